import { describe, expect, test } from 'vitest';
import {
  holdsToken,
  outgoingRequest,
  passedOn,
} from '../../../src/gateway/wire/upstream-request.js';

const TRACE = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

describe('what of the inbound request goes on', () => {
  test('parameters of a tool and the trace, and nothing else', () => {
    const inbound = {
      ...{ 'mcp-param-region': 'eu', traceparent: TRACE, authorization: 'Bearer t', cookie: 'a=b' },
      ...{ dpop: 'x', 'mcp-session-id': 's', 'x-mcp-param-a': 'x', 'set-cookie': ['x'] },
    };
    expect(passedOn(inbound)).toEqual({ 'mcp-param-region': 'eu', traceparent: TRACE });
  });

  test.each([
    TRACE.slice(1),
    TRACE.toUpperCase(),
    `${TRACE}-`,
    TRACE.replace('-01', '-0g'),
    `${'-'.repeat(55)}`,
  ])('W3C Trace Context: %s is none', (traceparent) => {
    expect(passedOn({ traceparent })).toEqual({});
  });

  test('of very many parameters the first', () => {
    const many = Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`mcp-param-${n}`, 'x']));
    expect(Object.keys(passedOn(many))).toHaveLength(64);
  });
});

describe('a request of 2026-07-28', () => {
  const message = { id: 1, method: 'tools/call', params: { name: 'liste é' }, name: 'liste é' };

  test('is built from nothing', () => {
    const { headers, body } = outgoingRequest(message, { 'mcp-param-a': 'b', accept: 'x' });
    expect(JSON.parse(body)).toEqual({
      ...{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'liste é' } },
    });
    expect(headers).toEqual({
      ...{ 'mcp-param-a': 'b', accept: 'application/json, text/event-stream' },
      ...{ 'accept-encoding': 'identity', 'content-type': 'application/json' },
      ...{ 'mcp-method': 'tools/call', 'mcp-protocol-version': '2026-07-28' },
      ...{ 'mcp-name': expect.stringMatching(/^=\?base64\?/), 'user-agent': 'authplane-nestjs' },
    });
  });

  test('names only what has a name', () => {
    const { headers } = outgoingRequest({ id: 1, method: 'tools/list', params: {} });
    expect(headers).not.toHaveProperty('mcp-name');
  });
});

describe('the inbound token in an outgoing request', () => {
  const token = 'eyJ.payload.signature';
  const base64 = `=?base64?${Buffer.from(`a ${token}`).toString('base64')}?=`;

  test.each<[string, Parameters<typeof holdsToken>[0]]>([
    ['the body', { body: `{"a":"${token}"}` }],
    ['a header', { headers: { a: `Bearer ${token}` } }],
    ['an encoded header', { headers: { a: base64 } }],
  ])('is found in %s', (_, request) => {
    expect(holdsToken(request, token)).toBe(true);
  });

  test('is not where it is not, nor where there is none', () => {
    expect(holdsToken({ headers: { a: 'b' }, body: '{}' }, token)).toBe(false);
    expect(holdsToken({}, token)).toBe(false);
    expect(holdsToken({ headers: { a: 'b' }, body: '{}' }, '')).toBe(false);
  });
});
