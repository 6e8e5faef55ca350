import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Events } from '../../../src/core/events.js';
import type { McpOptions } from '../../../src/core/mcp/settings.js';
import type { HttpExchange } from '../../../src/nest/http/exchange.js';
import { OperationTable } from '../../../src/nest/mcp/declared-operations.js';
import { MAYBE_STREAM, McpRequestReader } from '../../../src/nest/mcp/mcp-request.js';
import { McpState } from '../../../src/nest/mcp/state/server-state.js';

interface Sent {
  readonly method?: string;
  readonly url?: string;
  readonly originalUrl?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

const JSON_TYPE = { 'content-type': 'application/json', 'content-length': '10' };
const TOOLS = { tools: { read: ['a'] } };

function exchange({ method = 'POST', url = '/mcp', headers = {}, ...rest }: Sent): HttpExchange {
  const request = Object.assign(new IncomingMessage(new Socket()), { method, url, ...rest });
  request.headers = headers;
  return { request, reply: new ServerResponse(request) };
}

function readerOf(options: McpOptions = TOOLS, resource = 'https://mcp.example.com/mcp') {
  const state = new McpState();
  const reader = new McpRequestReader(
    resource,
    options,
    new OperationTable(options, new Events()),
    state,
  );
  const read = (sent: Sent, isEndpoint = true) => reader.read(exchange(sent), { isEndpoint });
  return { reader, state, read };
}

const call = (name: string, more: object = {}) => ({
  ...{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, ...more } },
});
/** What was found in a request; a stream or nothing is none. */
const asked = (found: ReturnType<McpRequestReader['read']>) => {
  if (found === undefined || found === MAYBE_STREAM) throw new Error('nothing was read');
  return found;
};
const EMPTY = { operations: [], tasks: [], lists: [], wantsTasks: false, mayMakeTask: false };

describe('isAtEndpoint', () => {
  it.each(['/mcp', '/MCP/', '//mcp?x=y', '/%6dcp', '/mcp;v=1', 'http://mcp.example.com/mcp'])(
    '%s is, however it is spelt',
    (url) => {
      expect(readerOf().reader.isAtEndpoint(exchange({ url }))).toBe(true);
    },
  );

  it.each(['/', '/mcp/files', '/x/mcp', '/mcps'])('%s is not', (url) => {
    expect(readerOf().reader.isAtEndpoint(exchange({ url }))).toBe(false);
  });

  it('before middleware rewrote it, or after', () => {
    const { reader } = readerOf();
    expect(reader.isAtEndpoint(exchange({ url: '/inner', originalUrl: '/mcp' }))).toBe(true);
    expect(reader.isAtEndpoint(exchange({ url: '/mcp', originalUrl: '/outer' }))).toBe(true);
  });
});

describe('what is asked for at an endpoint', () => {
  it('operations, of each message', () => {
    const { operations } = asked(readerOf().read({ body: [call('read'), call('write')] }));
    expect(operations).toMatchObject([
      { kind: 'tool', method: 'tools/call', name: 'read' },
      { kind: 'tool', method: 'tools/call', name: 'write' },
    ]);
  });

  it('whether it may need no caller, where anything may', () => {
    const isOpen = (body: unknown, options: McpOptions) =>
      asked(readerOf({ ...TOOLS, ...options }).read({ body })).isOpen;
    const anybody: McpOptions = { authentication: 'when-needed' };
    expect(isOpen([call('read'), call('write')], anybody)).toBe(true);
    expect(isOpen({ jsonrpc: '2.0', id: 1, method: 'notes/sync' }, anybody)).toBe(false);
    expect(isOpen([call('read')], {})).toBe(false);
  });

  it('methods, where they are judged', () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'notes/sync', params: {} };
    const found = (options: McpOptions) => asked(readerOf(options).read({ body }));
    const named = [{ kind: 'method', name: 'notes/sync' }];
    expect(found({ methods: { 'notes/sync': ['a'] } }).operations).toMatchObject(named);
    expect(found({ unknownMethods: 'refuse' }).operations).toMatchObject(named);
    expect(found(TOOLS)).toMatchObject({ operations: [] });
  });

  it('lists', () => {
    const body = [{ method: 'tools/list' }, { method: 'prompts/list' }];
    expect(new Set(asked(readerOf().read({ body })).lists)).toEqual(new Set(['tool', 'prompt']));
  });

  it('tasks, where state is bound to callers', () => {
    const body = [
      { jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { taskId: 't' } },
      { jsonrpc: '2.0', id: 2, method: 'tasks/list' },
      call('read', { task: {} }),
    ];
    expect(asked(readerOf().read({ body }))).toMatchObject({
      ...{ tasks: [{ name: 't' }], wantsTasks: true, mayMakeTask: true },
    });
    expect(asked(readerOf({ ...TOOLS, sessionBinding: false }).read({ body }))).toMatchObject({
      ...{ tasks: [], wantsTasks: false, mayMakeTask: false },
    });
  });

  it('nothing, of a request without a body', () => {
    for (const method of ['GET', 'DELETE']) {
      expect(asked(readerOf().read({ method }))).toEqual({ ...EMPTY, isOpen: true });
    }
  });
});

describe('what cannot be judged is kept as the problem, and nothing is thrown', () => {
  it.each<[string, Sent, string]>([
    ['a body that nobody has parsed', { headers: JSON_TYPE }, 'no parsed JSON body'],
    ['a POST without one', {}, 'no parsed JSON body'],
    [
      'another charset',
      { headers: { 'content-type': 'application/json; charset=utf-16' }, body: call('read') },
      'JSON in another charset than UTF-8',
    ],
    ['a batch without end', { body: Array(101).fill(call('read')) }, 'a batch of 101 messages'],
    ['a name that is no text', { body: call(['read'] as never) }, '"name" of a message is no text'],
    [
      'a member named __proto__',
      { body: JSON.parse('{"method":"tools/call","__proto__":{}}') as unknown },
      'a member named __proto__',
    ],
  ])('%s', (_, sent, problem) => {
    const found = asked(readerOf().read(sent));
    expect(found).toMatchObject(EMPTY);
    expect(found.problem?.code).toBe('invalid_request');
    expect(found.problem?.message).toContain(problem);
  });

  it('a header that repeats a name in a spelling of its own, where names are hidden', () => {
    const sent = { headers: { 'mcp-name': '=?base64?cmVhZB=?=' }, body: call('read') };
    const hiding = readerOf({ ...TOOLS, list: 'hide' });
    expect(asked(hiding.read(sent)).problem?.message).toBe('Mcp-Name in no canonical encoding');
    expect(asked(readerOf().read(sent)).problem).toBeUndefined();
  });
});

describe('on other paths', () => {
  it('JSON-RPC is read wherever it is sent, parsed or as text', () => {
    const { read } = readerOf();
    for (const body of [
      call('read'),
      JSON.stringify(call('read')),
      Buffer.from('{"jsonrpc":"2.0","method":"x"}'),
    ]) {
      expect(read({ url: '/messages', body }, false)).toBeTypeOf('object');
    }
    expect(read({ url: '/orders', body: { method: 'card' } }, false)).toBeUndefined();
  });

  it('and so is what names a session', () => {
    const { read, state } = readerOf();
    const session = { method: 'DELETE', url: '/x', headers: { 'mcp-session-id': 's' } };
    expect(read(session, false)).toMatchObject(EMPTY);
    const message = { url: '/messages?sessionId=s', body: { a: 1 } };
    expect(read(message, false)).toBeUndefined();
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    state.sessions.open({ data: '/messages?sessionId=s', type: 'endpoint' }, response, 'alice');
    expect(read(message, false)).toMatchObject(EMPTY);
  });

  it('JSON that nobody has parsed is a problem; any other body only below the endpoint', () => {
    const { read } = readerOf();
    const raw = { headers: { 'content-type': 'text/plain', 'content-length': '10' } };
    expect(read({ url: '/x', headers: JSON_TYPE }, false)).toHaveProperty(
      'problem.code',
      'invalid_request',
    );
    expect(read({ url: '/x', ...raw }, false)).toBeUndefined();
    expect(read({ url: '/mcp/x', ...raw }, false)).toHaveProperty(
      'problem.code',
      'invalid_request',
    );
    const atRoot = readerOf(TOOLS, 'https://mcp.example.com');
    expect(atRoot.read({ url: '/x', ...raw }, false)).toBeUndefined();
  });

  it('a GET may be a stream', () => {
    expect(readerOf().read({ method: 'GET', url: '/sse' }, false)).toBe(MAYBE_STREAM);
    expect(readerOf().read({ method: 'PUT', url: '/sse' }, false)).toBeUndefined();
  });

  it('without any operation nothing is looked at', () => {
    const { read } = readerOf({});
    for (const sent of [{ body: call('read') }, { headers: JSON_TYPE }, { method: 'GET' }]) {
      expect(read({ url: '/x', ...sent }, false)).toBeUndefined();
    }
  });
});
