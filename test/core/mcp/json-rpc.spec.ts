import { describe, expect, it, test } from 'vitest';
import { InvalidRequestError } from 'authplane-nestjs/core';
import {
  asksForTasks,
  asksForUpdates,
  isJsonRpc,
  isOfMcp,
  listsIn,
  mayMakeTask,
  messagesIn,
  methodsOf,
  operationsOf,
  renameOperation,
  requestIdIn,
  tasksOf,
} from '../../../src/core/mcp/json-rpc.js';

const message = (method: unknown, params?: unknown) => ({ jsonrpc: '2.0', id: 1, method, params });
const found = (body: unknown) =>
  operationsOf(body).map(({ kind, method, name }) => `${kind} ${method} ${name}`);

describe('operations of a JSON-RPC body', () => {
  it.each([
    [message('tools/call', { name: 'a' }), ['tool tools/call a']],
    [message('prompts/get', { name: 'a' }), ['prompt prompts/get a']],
    [message('resources/read', { uri: 'x://y' }), ['resource resources/read x://y']],
    [message('resources/subscribe', { uri: 'x://y' }), ['resource resources/subscribe x://y']],
    [message('resources/unsubscribe', { uri: 'x://y' }), ['resource resources/unsubscribe x://y']],
    [
      message('completion/complete', { ref: { type: 'ref/prompt', name: 'a' } }),
      ['prompt completion/complete a'],
    ],
    [
      message('completion/complete', { ref: { type: 'x', name: 'a', uri: 'b' } }),
      ['prompt completion/complete a', 'resource completion/complete b'],
    ],
    [
      message('subscriptions/listen', { notifications: { resourceSubscriptions: ['a', 'b'] } }),
      ['resource subscriptions/listen a', 'resource subscriptions/listen b'],
    ],
    // A server that is careless about ids is not to be reached past the guard.
    [{ method: 'tools/call', params: { name: 'a' } }, ['tool tools/call a']],
    [message('tools/call', { name: '' }), ['tool tools/call ']],
    [message('tools/call', { name: '__proto__' }), ['tool tools/call __proto__']],
  ])('%j', (body, expected) => {
    expect(found(body)).toEqual(expected);
    expect(found([body, body])).toEqual([...expected, ...expected]);
  });

  it.each([
    undefined,
    null,
    1,
    'tools/call',
    [],
    {},
    [[message('tools/call', { name: 'nested' })]],
    message('Tools/Call', { name: 'a' }),
    message('tools/call ', { name: 'a' }),
    message(['tools/call'], { name: 'a' }),
    message('tools/call'),
    message('tools/call', 'a'),
    message('tools/call', ['a']),
    message('tools/call', { Name: 'a' }),
    message('tools/call', Object.create({ name: 'inherited' })),
    Object.create(message('tools/call', { name: 'inherited' })),
    message('completion/complete', { ref: 'a' }),
    message('completion/complete', {}),
    message('subscriptions/listen', {}),
    message('subscriptions/listen', { notifications: { resourceSubscriptions: 'a' } }),
    message('constructor', { name: 'a' }),
    { jsonrpc: '2.0', id: 1, result: { name: 'a' } },
  ])('nothing to ask scopes for: %j', (body) => {
    expect(operationsOf(body)).toEqual([]);
  });

  it.each([
    message('tools/call', { name: ['a'] }),
    message('tools/call', { name: { toString: 'a' } }),
    message('prompts/get', { name: null }),
    message('resources/read', { uri: ['notes://secret'] }),
    message('resources/read', { uri: [['notes://secret']] }),
    message('resources/unsubscribe', { uri: 1 }),
    message('completion/complete', { ref: { type: 'ref/resource', uri: ['notes://{a}'] } }),
    message('subscriptions/listen', { notifications: { resourceSubscriptions: ['a', ['b']] } }),
  ])('9.1: a name that a server would have to make a text of is refused: %j', (body) => {
    for (const one of [body, [message('ping'), body]]) {
      expect(() => operationsOf(one)).toThrow(InvalidRequestError);
    }
  });

  it('9.9a: and so is the id of a task', () => {
    const related = { 'io.modelcontextprotocol/related-task': { taskId: ['t'] } };
    for (const params of [{ taskId: ['t'] }, { taskId: 1 }, { taskId: 't', _meta: related }]) {
      expect(() => tasksOf(message('tasks/get', params))).toThrow(InvalidRequestError);
    }
  });

  it('refuses long batches, many subscriptions and members that may become prototypes', () => {
    const call = message('tools/call', { name: 'a' });
    expect(operationsOf(Array(100).fill(call))).toHaveLength(100);
    const uris = Array(1001).fill('x://y');
    const refused = [
      Array(101).fill(call),
      message('subscriptions/listen', { notifications: { resourceSubscriptions: uris } }),
      JSON.parse('{"method":"tools/call","__proto__":{"params":{"name":"a"}}}'),
      JSON.parse('{"method":"tools/call","params":{"__proto__":{"name":"a"}}}'),
      JSON.parse('[{"method":"completion/complete","params":{"ref":{"__proto__":{}}}}]'),
    ];
    for (const body of refused) expect(() => operationsOf(body)).toThrow(InvalidRequestError);
  });

  it.each(['{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}', '{}', 'null'])(
    '9.25: an element of a batch with a member named __proto__ is refused, wherever it stands: %s',
    (prototype) => {
      const bad: unknown = JSON.parse(`{"jsonrpc":"2.0","id":1,"__proto__":${prototype}}`);
      const good = message('ping');
      for (const body of [bad, [bad], [good, bad], [bad, good], [[], 1, good, bad]]) {
        for (const read of [operationsOf, listsIn, asksForUpdates]) {
          expect(() => read(body)).toThrow(InvalidRequestError);
        }
      }
    },
  );

  it('hardening: at most 1,000 operations in a request, however they are spread over its messages', () => {
    const listen = (count: number) =>
      message('subscriptions/listen', {
        notifications: { resourceSubscriptions: Array(count).fill('x://y') },
      });
    expect(operationsOf(listen(1000))).toHaveLength(1000);
    expect(operationsOf([listen(400), listen(600)])).toHaveLength(1000);
    for (const body of [[listen(400), listen(601)], Array(100).fill(listen(1000))]) {
      expect(() => operationsOf(body)).toThrow(InvalidRequestError);
    }
  });

  it('9.1: refuses URIs that are too long to be looked up; names may be of any length', () => {
    const uri = 'a'.repeat(8192);
    const messages = (text: string) => [
      message('resources/read', { uri: text }),
      message('completion/complete', { ref: { uri: text } }),
      message('subscriptions/listen', { notifications: { resourceSubscriptions: [text] } }),
    ];
    expect(operationsOf(messages(uri))).toHaveLength(3);
    for (const body of messages(`${uri}a`)) {
      expect(() => operationsOf(body)).toThrow(InvalidRequestError);
    }
    expect(operationsOf(message('tools/call', { name: `${uri}a` }))).toHaveLength(1);
  });

  it('hardening: a request with too many operations is given up at the first one too many', () => {
    const uris = Array(1000).fill('x://y');
    let read = 0;
    const listen = Object.defineProperty({ method: 'subscriptions/listen' }, 'params', {
      get: () => {
        read++;
        return { notifications: { resourceSubscriptions: uris } };
      },
    });
    expect(() => operationsOf(Array(100).fill(listen))).toThrow(InvalidRequestError);
    expect(read).toBe(2);
  });

  it('knows what opens a stream of updates', () => {
    expect(asksForUpdates(message('subscriptions/listen'))).toBe(true);
    expect(asksForUpdates([message('ping'), message('subscriptions/listen')])).toBe(true);
    for (const body of [message('tools/call'), message('resources/subscribe'), undefined, []]) {
      expect(asksForUpdates(body)).toBe(false);
    }
  });

  it.each([
    [{ jsonrpc: '2.0', method: 'anything' }],
    [{ method: 'tools/call', params: { name: 'a' } }],
    [[{}, { id: 1, jsonrpc: 2, method: 'prompts/list' }]],
    [[1, null, 'a', {}, { jsonrpc: '2.0', method: '' }]],
    [JSON.parse('{"jsonrpc":"2.0","__proto__":{"method":"tools/call"}}')],
    [JSON.parse('{"__proto__":{"jsonrpc":"2.0","method":"tools/call"}}')],
  ])('tells JSON-RPC: %j', (body: unknown) => {
    expect(isJsonRpc(body)).toBe(true);
  });

  it.each([
    [undefined],
    [null],
    ['{"jsonrpc":"2.0","method":"a"}'],
    [{}],
    [[]],
    [{ jsonrpc: '1.0', method: 'a' }],
    [{ jsonrpc: 2.0, method: 'a' }],
    [{ method: 'call', params: { name: 'a' } }],
    [{ jsonrpc: '2.0', method: ['a'] }],
    [{ jsonrpc: '2.0', id: 1, result: {} }],
    [{ body: { jsonrpc: '2.0', method: 'a' } }],
    [JSON.parse('{"__proto__":null,"method":"a"}')],
  ])('from other JSON: %j', (body: unknown) => {
    expect(isJsonRpc(body)).toBe(false);
  });

  it('renames in the very object', () => {
    const uris = ['a', 'b'];
    const body = [
      message('tools/call', { name: 'a' }),
      message('subscriptions/listen', { notifications: { resourceSubscriptions: uris } }),
    ];
    for (const operation of operationsOf(body)) renameOperation(operation, `${operation.name}!`);
    expect(body[0]).toMatchObject({ params: { name: 'a!' } });
    expect(uris).toEqual(['a!', 'b!']);
  });

  it('knows the list methods, and what they list', () => {
    for (const [method, kind] of [
      ['tools/list', 'tool'],
      ['resources/list', 'resource'],
      ['resources/templates/list', 'resource'],
      ['prompts/list', 'prompt'],
    ] as const) {
      expect(listsIn(message(method))).toEqual([kind]);
      expect(listsIn([message('ping'), message(method)])).toEqual([kind]);
    }
    expect(listsIn([message('tools/list'), message('prompts/list')])).toEqual(['tool', 'prompt']);
    expect(listsIn(message('tools/call'))).toEqual([]);
    expect(listsIn(undefined)).toEqual([]);
  });
});

describe('tasks in a JSON-RPC body', () => {
  const related = { _meta: { 'io.modelcontextprotocol/related-task': { taskId: 'r' } } };
  const ids = (body: unknown) => tasksOf(body).map(({ method, name }) => `${method} ${name}`);

  it.each([
    [message('tasks/get', { taskId: 't' }), ['tasks/get t']],
    [message('tasks/result', { taskId: 't' }), ['tasks/result t']],
    [message('tasks/cancel', { taskId: 't' }), ['tasks/cancel t']],
    [message('tasks/update', { taskId: 't' }), ['tasks/update t']],
    [message('tasks/get', { taskId: 't', ...related }), ['tasks/get t', 'tasks/get r']],
    [message('ping', related), ['ping r']],
    [message('tools/call', { name: 'a', taskId: 't' }), []],
    [message('tasks/list', {}), []],
    [{ jsonrpc: '2.0', method: 'notifications/tasks/status', params: { taskId: 't' } }, []],
    [{ jsonrpc: '2.0', id: 1, result: { taskId: 't', ...related } }, []],
  ])('9.9a: %j', (body, expected) => {
    expect(ids(body)).toEqual(expected);
    expect(ids([body, body])).toEqual([...expected, ...expected]);
  });

  it('hardening: a member named __proto__ is refused', () => {
    for (const params of ['{"__proto__":{"taskId":"t"}}', '{"_meta":{"__proto__":{}}}']) {
      const body: unknown = JSON.parse(`{"id":1,"method":"tasks/get","params":${params}}`);
      expect(() => tasksOf(body)).toThrow(InvalidRequestError);
    }
  });

  it('9.9a: what asks for them, and what may make one', () => {
    expect([asksForTasks(message('tasks/list')), asksForTasks(message('tools/list'))]).toEqual([
      true,
      false,
    ]);
    const capable = {
      'io.modelcontextprotocol/clientCapabilities': {
        extensions: { 'io.modelcontextprotocol/tasks': {} },
      },
    };
    expect(mayMakeTask(message('tools/call', { name: 'a', task: {} }))).toBe(true);
    expect(mayMakeTask([message('tools/call', { name: 'a', _meta: capable })])).toBe(true);
    expect(mayMakeTask(message('tools/call', { name: 'a', arguments: { task: {} } }))).toBe(false);
  });
});

describe('methods in a JSON-RPC body', () => {
  it('9.9a: each message is the use of its method', () => {
    const body = [message('vendor/run', { a: 1 }), { id: 1, result: {} }, message('ping')];
    expect(methodsOf(body)).toMatchObject([
      { kind: 'method', name: 'vendor/run', method: 'vendor/run', params: { a: 1 } },
      { kind: 'method', name: 'ping' },
    ]);
    expect(methodsOf({ id: 1, result: {} })).toEqual([]);
    expect(methodsOf(message(''))).toMatchObject([{ name: '' }]);
  });

  it.each(['initialize', 'ping', 'tools/list', 'tasks/list', 'server/discover', 'tools/call'])(
    'MCP has %s',
    (method) => expect(isOfMcp(method)).toBe(true),
  );

  it.each(['', 'Ping', 'ping ', 'vendor/run', 'constructor', '__proto__'])(
    'MCP has no %j',
    (method) => expect(isOfMcp(method)).toBe(false),
  );
});

describe('JSON-RPC 2.0 §5: the id of an answer', () => {
  it.each([
    [{ id: 0 }, 0],
    [{ id: '' }, ''],
    [{ id: null }, undefined],
    [{ id: { a: 1 } }, undefined],
    [Object.create({ id: 1 }), undefined],
    ['text', undefined],
    [undefined, undefined],
  ])('%j: %j', (sent, id) => {
    expect(requestIdIn(sent)).toBe(id);
  });

  it('is of that name where it is kept under another', () => {
    expect(requestIdIn({ id: 1, requestId: 2 }, 'requestId')).toBe(2);
  });
});

test('13.1: each message is read once for all questions about it', () => {
  let reads = 0;
  const message = () => ({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    get params() {
      reads++;
      return { name: 'query', task: {} };
    },
  });
  const messages = messagesIn([message(), message()]);
  expect(operationsOf(messages).map(({ name }) => name)).toEqual(['query', 'query']);
  expect([tasksOf(messages), mayMakeTask(messages)]).toEqual([[], true]);
  expect([listsIn(messages), asksForTasks(messages)]).toEqual([[], false]);
  expect(reads).toBe(2);
});
