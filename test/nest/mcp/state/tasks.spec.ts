import { afterEach, describe, expect, it } from 'vitest';
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { rewritten } from '../../../../src/nest/mcp/answers/json-messages.js';
import { McpTasks, withoutTasks } from '../../../../src/nest/mcp/state/tasks.js';
import { platforms } from '../../../support/nest/start-app.js';
import {
  Host,
  type McpApp,
  type McpHost,
  type PostInit,
  request,
  startMcpApp,
} from '../../../support/nest/mcp-app.js';

/** Without sessions, as one store for all callers. */
function taskHost(enableJsonResponse: boolean): McpHost {
  const taskStore = new InMemoryTaskStore();
  return async (incoming, response, body) => {
    const server = new McpServer(
      { name: 'tasks', version: '1' },
      {
        taskStore,
        capabilities: { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
      },
    );
    for (const name of ['write', 'slow']) {
      server.experimental.tasks.registerToolTask(
        name,
        {},
        {
          createTask: async ({ taskStore: store }) => {
            const task = await store.createTask({ ttl: null });
            const content = [{ type: 'text' as const, text: 'a secret' }];
            if (name === 'write')
              await store.storeTaskResult(task.taskId, 'completed', { content });
            return { task };
          },
          getTask: ({ taskId, taskStore: store }) => store.getTask(taskId),
          getTaskResult: ({ taskId, taskStore: store }) => store.getTaskResult(taskId) as never,
        },
      );
    }
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse });
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(incoming, response, body);
  };
}

const alice: PostInit = { scope: 'write', claims: { sub: 'alice' } };
const bob: PostInit = { scope: '', claims: { sub: 'bob' } };
const makeTask = (name: string) =>
  request('tools/call', { name, arguments: {}, task: { ttl: 60_000 } });
const METHODS = ['tasks/get', 'tasks/result', 'tasks/cancel'];
const UNKNOWN = 'f'.repeat(32); // as long as a real one

let server: McpApp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const cases = platforms.flatMap((platform) =>
  ([true, false] as const).flatMap((json) =>
    (['show', 'hide'] as const).map((list) => ({ platform, json, list })),
  ),
);

describe.each(cases)('tasks on $platform, JSON answers: $json, list: $list', (one) => {
  async function start(mcp: object = {}): Promise<McpApp> {
    server = await startMcpApp({
      platform: one.platform,
      mcp: { tools: { write: ['write'], slow: ['write'] }, list: one.list, ...mcp },
      metadata: { providers: [{ provide: Host, useValue: new Host(taskHost(one.json)) }] },
    });
    return server;
  }

  async function made(name = 'write', by = alice): Promise<string> {
    const answer = await server!.post(makeTask(name), by);
    return String(answer.json.result.task.taskId);
  }

  const listed = async (by: PostInit): Promise<string[]> => {
    const { json } = await server!.post(request('tasks/list'), by);
    return json.result.tasks.map(({ taskId }: { taskId: string }) => taskId);
  };

  it('9.9a: a task answers to the caller whose call made it', async () => {
    const { post } = await start();
    const taskId = await made();
    expect(await listed(alice)).toEqual([taskId]);
    expect((await post(request('tasks/get', { taskId }), alice)).json.result.taskId).toBe(taskId);
    const result = await post(request('tasks/result', { taskId }), alice);
    expect(result.json.result.content[0].text).toBe('a secret');
    const running = await made('slow');
    const cancelled = await post(request('tasks/cancel', { taskId: running }), alice);
    expect(cancelled.json.result.status).toBe('cancelled');
  });

  it('9.9a: to all others it is unknown, to the byte, and not in their lists', async () => {
    const { post } = await start();
    const taskId = await made('slow');
    const others = [
      bob,
      { scope: 'write', claims: { sub: 'bob' } },
      { scope: 'write', claims: { sub: 'alice', client_id: 'another' } },
    ];
    for (const other of others) {
      expect(await listed(other)).toEqual([]);
      for (const method of METHODS) {
        const foreign = await post(request(method, { taskId }), other);
        const unknown = await post(request(method, { taskId: UNKNOWN }), other);
        expect(foreign.text).toContain('rror');
        expect(foreign.text.replaceAll(taskId, UNKNOWN)).toBe(unknown.text);
        expect(foreign.status).toBe(unknown.status);
        const names = ({ headers }: { headers: Headers }) => [
          ...headers.keys(),
          headers.get('content-length'),
        ];
        expect(names(foreign)).toEqual(names(unknown));
      }
    }
    expect((await post(request('tasks/get', { taskId }), alice)).json.result.status).toBe(
      'working',
    );
  });

  it('9.9a: it needs what its call needed', async () => {
    const { post } = await start();
    const taskId = await made();
    const lacking = { ...alice, scope: '' };
    expect(await listed(lacking)).toEqual([]);
    for (const method of METHODS) {
      const refused = await post(request(method, { taskId }), lacking);
      if (one.list === 'hide') expect(refused.text).toContain('Task not found');
      else expect([refused.status, refused.json.scope]).toEqual([403, 'write']);
    }
  });

  it('9.9a: a request cannot be made part of the task of another', async () => {
    const { post } = await start();
    const taskId = await made('slow');
    const related = { 'io.modelcontextprotocol/related-task': { taskId } };
    const answer = await post(request('tasks/result', { taskId: UNKNOWN, _meta: related }), bob);
    expect(answer.text).toContain('Task not found');
    expect(answer.text).not.toContain(taskId);
  });

  it('sessionBinding: false leaves tasks to the server', async () => {
    const { post } = await start({ sessionBinding: false });
    const taskId = await made();
    expect(await listed(bob)).toEqual([taskId]);
    expect((await post(request('tasks/get', { taskId }), bob)).json.result.taskId).toBe(taskId);
  });
});

describe('McpTasks', () => {
  const needs = { all: ['x'], anyOf: [] };
  const answer = (result: unknown) => JSON.stringify({ jsonrpc: '2.0', id: 1, result });
  const learn = (tasks: McpTasks, json: string, owner: string, needed = needs) =>
    rewritten(json, (message) => tasks.learn(message, owner, needed));

  it.each([
    ['2025-11-25', answer({ task: { taskId: 't', status: 'working' } })],
    ['the extension for 2026-07-28', answer({ resultType: 'task', taskId: 't' })],
    ['a batch', `[${answer({})},${answer({ task: { taskId: 't' } })}]`],
  ])('learns a task from an answer: %s', (_, json) => {
    const tasks = new McpTasks();
    learn(tasks, json, 'alice');
    expect([tasks.needsOf('t', 'alice'), tasks.needsOf('t', 'bob')]).toEqual([needs, undefined]);
  });

  it.each([
    answer({ taskId: 't', status: 'working' }),
    answer({ content: [{ task: { taskId: 't' } }] }),
    answer({ task: { taskId: 1 } }),
    '{"jsonrpc":"2.0","method":"x","params":{"task":{"taskId":"t"}}}',
    'null',
    '',
    '{',
  ])('and from nothing else: %s', (json) => {
    const tasks = new McpTasks();
    learn(tasks, json, 'alice');
    expect(tasks.needsOf('t', 'alice')).toBeUndefined();
  });

  it('the first owner stays', () => {
    const tasks = new McpTasks();
    const json = answer({ task: { taskId: 't' } });
    learn(tasks, json, 'alice');
    learn(tasks, json, 'bob', { all: [], anyOf: [] });
    expect([tasks.needsOf('t', 'alice'), tasks.needsOf('t', 'bob')]).toEqual([needs, undefined]);
  });

  it('a list keeps what is shown; anything else stays as it is', () => {
    const isShown = (id: string) => id === 'a';
    const withoutOthers = (json: string) =>
      rewritten(json, (message) => withoutTasks(message, isShown));
    const tasks = [{ taskId: 'a' }, { taskId: 'b' }, {}, null, 'c'];
    expect(withoutOthers(answer({ tasks, nextCursor: 'n' }))).toBe(
      answer({ tasks: [{ taskId: 'a' }], nextCursor: 'n' }),
    );
    for (const same of [answer({ tasks: [{ taskId: 'a' }] }), answer({ tasks: 1 }), ' {"a":1}']) {
      expect(withoutOthers(same)).toBe(same);
    }
  });
});
