import { describe, expect, it } from 'vitest';
import type { Modules } from '../../../../src/nest/mcp/hosts/mcp-discovery.js';
import { mcpNest } from '../../../../src/nest/mcp/hosts/mcp-nest.js';

class McpModule {}
class Tools {
  marked() {
    return 'done';
  }
  plain() {
    return 'done';
  }
}
Reflect.defineMetadata('mcp:tool', { name: '' }, Tools.prototype.marked);

const modulesWith = (...tokens: string[]) =>
  new Map([
    ['one', { metatype: McpModule, providers: new Map(tokens.map((token) => [token, {}])) }],
  ]) as unknown as Modules;
const marked = { name: 'marked', handler: Tools.prototype.marked };

describe('MCP-Nest', () => {
  it('is told by its tokens; another library with its keys is none', () => {
    expect(mcpNest.hosts(modulesWith('MCP_MODULE_ID')).map(({ name }) => name)).toEqual([
      'MCP-Nest 1',
      'MCP-Nest 2',
    ]);
    const others = mcpNest.hosts(modulesWith('MCP_MODULE_ID', 'MCP_MODULE_OPTIONS'));
    expect(others.map(({ name }) => name)).toEqual(['MCP-Nest 2']);
    expect(mcpNest.isUsed(modulesWith('MCP_STRATEGY'), [])).toBe(true);
    expect(mcpNest.isUsed(modulesWith('other'), [])).toBe(false);
    expect(mcpNest.isThere(modulesWith())).toBe(true);
  });

  it('names a method that has no name of its own by its key', () => {
    const [first, second] = mcpNest.hosts(modulesWith('MCP_MODULE_ID'));
    expect(first?.operationsOn(marked, Tools as never)).toEqual([{ kind: 'tool', name: 'marked' }]);
    expect(second?.operationsOn(marked, Tools as never)).toEqual([]); // no transport of version 2
  });

  it('knows marked methods, and controllers that carry its transport', () => {
    expect(mcpNest.isOperation(Tools.prototype.marked)).toBe(true);
    expect(mcpNest.isOperation(Tools.prototype.plain)).toBe(false);
    class BoundMcpHttpController {}
    class Own extends BoundMcpHttpController {}
    expect(mcpNest.isTransport(Own as never)).toBe(true);
    expect(mcpNest.isTransport(Tools as never)).toBe(false);
  });
});
