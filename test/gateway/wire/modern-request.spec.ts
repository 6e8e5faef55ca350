import { describe, expect, test } from 'vitest';
import { RpcError } from '../../../src/gateway/wire/gateway-errors.js';
import { isModern, modernRequest } from '../../../src/gateway/wire/modern-request.js';

const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const headers = {
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'tools/call',
  'mcp-name': 'a',
};
const body = (change: object = {}, params: object = {}) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'a', _meta: meta, ...params },
  ...change,
});

function refusal(message: unknown, changed: Record<string, string | undefined> = {}): unknown {
  try {
    return modernRequest(message, { ...headers, ...changed });
  } catch (error) {
    if (error instanceof RpcError) return [error.status, error.rpc.code];
    throw error;
  }
}

describe('14.B: requests of 2026-07-28', () => {
  test('are told by their body, or by a header that says so', () => {
    expect(isModern(body(), {})).toBe(true);
    expect(isModern(body({}, { _meta: {} }), headers)).toBe(true);
    expect(isModern(body({}, { _meta: {} }), { 'mcp-protocol-version': '2025-11-25' })).toBe(false);
    expect(isModern([body()], {})).toBe(false);
  });

  test('that are right are read, and notifications ask for nothing', () => {
    expect(refusal(body())).toMatchObject({ id: 1, method: 'tools/call', params: { name: 'a' } });
    expect(refusal(body(), { 'mcp-name': '=?base64?YQ==?=' })).toMatchObject({ id: 1 });
    const notification: { id?: number } = body();
    delete notification.id;
    expect(refusal(notification)).toBeUndefined();
  });

  test.each([
    ['no JSON-RPC', { name: 'x' }, {}, -32600],
    ['an id that is none', body({ id: null }), {}, -32600],
    ['an id that is no whole number', body({ id: 1.5 }), {}, -32600],
    ['no params', body({ params: undefined }), {}, -32602],
    [
      'no capabilities',
      body({}, { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } }),
      {},
      -32602,
    ],
    [
      'a version to come',
      body({}, { _meta: { ...meta, 'io.modelcontextprotocol/protocolVersion': '2027-01-01' } }),
      {},
      -32022,
    ],
    ['no version in the headers', body(), { 'mcp-protocol-version': undefined }, -32020],
    ['another method', body(), { 'mcp-method': 'tools/list' }, -32020],
    ['no name', body(), { 'mcp-name': undefined }, -32020],
    ['another name', body(), { 'mcp-name': 'b' }, -32020],
    ['a name that is encoded wrongly', body(), { 'mcp-name': '=?base64?YQ=?=' }, -32020],
  ])('%s: 400', (_what, message, changed, code) => {
    expect(refusal(message, changed)).toEqual([400, code]);
  });
});
