import { describe, expect, it } from 'vitest';
import { operationsOf } from '../../../../src/core/mcp/json-rpc.js';
import { hasPlainNameHeader, McpHiding } from '../../../../src/nest/mcp/answers/hiding.js';

const STAND_IN = /^[\ufdd0-\ufde9]$/;
const call = (name: string) => ({ method: 'tools/call', params: { name } });
const base64 = (name: string) => `=?base64?${Buffer.from(name).toString('base64')}?=`;

function hide(request: { readonly raw: never; readonly body: unknown }): void {
  const hiding = new McpHiding();
  hiding.hide(
    request,
    operationsOf(request.body).map((one) => hiding.hidden(one)),
  );
}

describe('McpHiding', () => {
  it('renames in the body and the header that repeats the name', () => {
    const body = [call('a'), call('b')];
    const rawHeaders = ['Mcp-Name', ' a ', 'MCP-NAME', base64('b'), 'mcp-name', 'c', 'x', 'a'];
    const headers: Record<string, string> = { 'mcp-name': 'a', x: 'a' };
    const request = { raw: { headers, rawHeaders } as never, body };
    hide(request);
    const [first, second] = body.map(({ params }) => params.name);
    expect([first, second]).toEqual([
      expect.stringMatching(STAND_IN),
      expect.stringMatching(STAND_IN),
    ]);
    expect(first).not.toBe(second);
    expect(headers).toEqual({ 'mcp-name': base64(String(first)), x: 'a' });
    expect(rawHeaders).toEqual([
      ...['Mcp-Name', base64(String(first)), 'MCP-NAME', base64(String(second))],
      ...['mcp-name', 'c', 'x', 'a'],
    ]);
  });

  it('follows a name that is a stand-in already', () => {
    const body = call('write');
    const headers: Record<string, string> = { 'mcp-name': 'write' };
    const request = { raw: { headers, rawHeaders: [] } as never, body };
    const hiding = new McpHiding();
    const [operation] = operationsOf(body);
    for (const standIn of ['first', 'second']) {
      hiding.hide(request, operation === undefined ? [] : [{ ...operation, standIn }]);
      expect([body.params.name, headers]).toEqual([standIn, { 'mcp-name': base64(standIn) }]);
    }
  });

  it('adds no header where there was none', () => {
    const body = call('');
    const request = { raw: { headers: {}, rawHeaders: [] } as never, body };
    hide(request);
    expect(body.params.name).toMatch(/^Z[0-9a-f]{32}:~$/);
    expect(request).toEqual({ raw: { headers: {}, rawHeaders: [] }, body });
  });

  it.each([
    [undefined, true],
    ['write', true],
    [' write ', true],
    ['=?base64?d3JpdGU=?=', true],
    ['=?base64?d3JpdGV=?=', false], // bits behind the end
    ['=?base64?d3JpdGU?=', false],
    ['=?base64?d3Jp dGU=?=', false],
    ['=?base64?_-8=?=', false],
    ['=?base64?/w==?=', false], // no UTF-8
    ['=?BASE64?d3JpdGU=?=', false],
    ['=?base64?', false],
    ['wr\u00fcte', false],
  ])('9.9: a name that servers may read differently in the header: %j', (header, isPlain) => {
    const headers = header === undefined ? {} : { 'mcp-name': header };
    expect(hasPlainNameHeader({ headers } as never)).toBe(isPlain);
  });
});
