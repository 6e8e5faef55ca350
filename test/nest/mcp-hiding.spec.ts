import { describe, expect, it } from '@jest/globals';
import { operationsOf } from '../../src/core/json-rpc.js';
import { OperationScopes, requirementsOf } from '../../src/core/operation-scopes.js';
import { McpHiding } from '../../src/nest/mcp-hiding.js';

const STAND_IN = /^Z[0-9a-f]{32}:[\w-]*~$/;
const call = (name: string) => ({ method: 'tools/call', params: { name } });
const base64 = (name: string) => `=?base64?${Buffer.from(name).toString('base64')}?=`;

describe('McpHiding', () => {
  it('renames in the body and the header that repeats the name', () => {
    const body = [call('a'), call('b')];
    const rawHeaders = ['Mcp-Name', ' a ', 'MCP-NAME', base64('b'), 'mcp-name', 'c', 'x', 'a'];
    const headers: Record<string, string> = { 'mcp-name': 'a', x: 'a' };
    const request = { raw: { headers, rawHeaders } as never, body };
    new McpHiding().hide(request, operationsOf(body));
    const [first, second] = body.map(({ params }) => params.name);
    expect([first, second]).toEqual([
      expect.stringMatching(STAND_IN),
      expect.stringMatching(STAND_IN),
    ]);
    expect(first).not.toBe(second);
    expect(headers).toEqual({ 'mcp-name': first, x: 'a' });
    expect(rawHeaders).toEqual([
      ...['Mcp-Name', first, 'MCP-NAME', second],
      ...['mcp-name', 'c', 'x', 'a'],
    ]);
  });

  it('adds no header where there was none', () => {
    const body = call('');
    const request = { raw: { headers: {}, rawHeaders: [] } as never, body };
    new McpHiding().hide(request, operationsOf(body));
    expect(body.params.name).toMatch(STAND_IN);
    expect(request).toEqual({ raw: { headers: {}, rawHeaders: [] }, body });
  });

  it('a stand-in that needs scopes itself hides nothing', () => {
    const hiding = new McpHiding();
    const resource = {
      kind: 'resource',
      method: 'resources/read',
      name: 'x://y',
      params: {},
    } as const;
    const scopes = (uri: string) =>
      new OperationScopes(requirementsOf({ resources: { [uri]: ['a'] } }));
    expect(hiding.canHide(resource, scopes('x://{y}'))).toBe(true);
    expect(hiding.canHide(resource, scopes('{+any}'))).toBe(false);
  });
});
