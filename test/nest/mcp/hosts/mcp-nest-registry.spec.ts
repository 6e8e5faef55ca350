import { describe, expect, it } from '@jest/globals';
import type { Modules } from '../../../../src/nest/mcp/hosts/mcp-discovery.js';
import {
  isTransportController,
  registeredInMcpNest1,
} from '../../../../src/nest/mcp/hosts/mcp-nest-registry.js';

class Tools {
  run() {
    return 'done';
  }
}
/** By the name and the methods by which it is known. */
class McpRegistryDiscoveryService {
  getTools(id: string) {
    return id === 'server'
      ? [{ metadata: { name: 'greet' }, providerClass: Tools, methodName: 'run' }]
      : [];
  }
}

const tools = new Tools();
const modules = (id: unknown) =>
  new Map([
    [
      'one',
      {
        providers: new Map<unknown, unknown>([
          ['MCP_MODULE_ID', { instance: id }],
          [McpRegistryDiscoveryService, { instance: new McpRegistryDiscoveryService() }],
          [Tools, { metatype: Tools, instance: tools }],
        ]),
        controllers: new Map(),
      },
    ],
  ]) as unknown as Modules;

describe('the registry of MCP-Nest 1', () => {
  it('says which method of which class runs for a name', () => {
    expect(registeredInMcpNest1(modules('server'))).toEqual([
      {
        server: 'server',
        kind: 'tool',
        name: 'greet',
        key: 'getTools greet',
        method: 'run',
        types: [Tools],
        handlers: [Tools.prototype.run],
      },
    ]);
  });

  it('is none where the module does not know itself', () => {
    expect(registeredInMcpNest1(modules(undefined))).toEqual([]);
  });

  it('a class that is no transport is none, whatever it extends', () => {
    class StreamableHttpController {}
    class Own extends StreamableHttpController {}
    expect([Own, Tools].map((type) => isTransportController(type as never))).toEqual([true, false]);
  });
});
