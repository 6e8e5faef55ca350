import { describe, expect, it } from 'vitest';
import type { DeclaredOperation, Modules } from '../../../../src/nest/mcp/hosts/mcp-discovery.js';
import {
  isTransportController,
  registeredInMcpNest1,
  unservedInMcpNest2,
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

describe('9.1g: the strategies of MCP-Nest 2', () => {
  const transportId = Symbol.for('@rekog/mcp-nest:transport');
  const listing = (...names: string[]) => ({
    transportId,
    built: true,
    getTools: () => names.map((name) => ({ metadata: { name } })),
  });
  const handed = (...methods: unknown[]) => ({
    transportId,
    messageHandlers: new Map(
      methods.map((mcpMethodRef, at) => [`${at}`, { extras: { mcpMethodRef } }]),
    ),
  });
  const declared = [
    { kind: 'tool', name: 'greet', server: '', method: { handler: Tools.prototype.run } },
  ] as unknown as DeclaredOperation[];
  const unserved = (...strategies: object[]) => {
    const providers = new Map<unknown, unknown>(
      strategies.map((instance, at) => [
        Symbol(`${at}`),
        { metatype: class McpStrategy {}, instance },
      ]),
    );
    const found = new Map([['one', { providers, controllers: new Map() }]]) as unknown as Modules;
    return unservedInMcpNest2(found, declared);
  };

  it('that listen do not serve what they do not list', () => {
    expect(unserved(listing('other'))).toEqual(declared);
    expect(unserved(listing())).toEqual(declared);
    expect(unserved(listing('greet'))).toEqual([]);
  });

  it('that do not listen yet do not serve what they were not handed', () => {
    expect(unserved(handed(() => 1))).toEqual(declared);
    expect(unserved(handed(() => 1, Tools.prototype.run))).toEqual([]);
  });

  it('say nothing where they are idle, of another server or not there; one of several is enough', () => {
    expect(unserved()).toEqual([]);
    expect(unserved(handed())).toEqual([]);
    const other = Symbol.for('@rekog/mcp-nest:transport:other');
    expect(unserved({ ...listing(), transportId: other })).toEqual([]);
    expect(unserved({ ...listing(), transportId: undefined })).toEqual([]);
    expect(unserved(listing(), listing('greet'))).toEqual([]);
  });
});
