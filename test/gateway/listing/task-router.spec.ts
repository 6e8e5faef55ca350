import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  InMemoryTaskMessageQueue,
  InMemoryTaskStore,
} from '@modelcontextprotocol/sdk/experimental/tasks';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { ElicitRequestSchema, ElicitResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const OWN = 'task-of-the-upstream';

/** One tool that always makes a task, which asks its user before it is over. */
function withTasks(): McpServer {
  const server = new McpServer(
    { name: 'old', version: '1' },
    {
      capabilities: { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
      taskStore: new InMemoryTaskStore(),
      taskMessageQueue: new InMemoryTaskMessageQueue(),
    },
  );
  server.experimental.tasks.registerToolTask(
    'plan',
    { description: 'Plans', execution: { taskSupport: 'required' } },
    {
      createTask: async (extra) => {
        const task = await extra.taskStore.createTask({ ttl: 60_000, pollInterval: 20 });
        void (async () => {
          const params = {
            message: 'when?',
            requestedSchema: { type: 'object' as const, properties: {} },
          };
          const relatedTask = { taskId: task.taskId };
          await extra.taskStore.updateTaskStatus(task.taskId, 'input_required');
          const { content } = await extra.sendRequest(
            { method: 'elicitation/create', params },
            ElicitResultSchema,
            { relatedTask } as object, // taken, but not typed
          );
          await extra.taskStore.storeTaskResult(task.taskId, 'completed', {
            content: [{ type: 'text', text: `planned for ${JSON.stringify(content)}` }],
          });
        })();
        return { task };
      },
      getTask: (extra) => extra.taskStore.getTask(extra.taskId),
      getTaskResult: (extra) => extra.taskStore.getTaskResult(extra.taskId) as never,
    },
  );
  return server;
}

describe('14.9a: tasks', () => {
  unhandledRejections();
  let old: LegacyUpstream;
  let young: RunningUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    old = await startLegacyUpstream(withTasks);
    young = await startUpstream(calendarServer);
    young.intercept = (_request, response, body) => {
      const { id, method, params } = JSON.parse(body);
      const isTask = method === 'tools/call' || method.startsWith('tasks/');
      if (!isTask) return false;
      const isKnown = method === 'tools/call' || params.taskId === OWN;
      const result = {
        ...{ resultType: method === 'tools/call' ? 'task' : 'complete', status: 'working' },
        ...{ taskId: OWN, ttlMs: 1000 },
      };
      const error = { code: -32602, message: 'no such task' };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(isKnown ? { result } : { error }) }));
      return true;
    };
    app = await startGateway({
      gateway: {
        secret: 'a secret of at least 32 characters',
        upstreams: {
          old: { url: old.url, token: none() },
          young: { url: young.url, token: none() },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
    await young.stop();
  });

  test('2026-07-28: ids of the gateway, for every method, and for their caller alone', async () => {
    const made = await app.ask(
      'tools/call',
      { name: 'young__list_events', arguments: {} },
      { capabilities: TASKS },
    );
    const { taskId, status } = made.json.result;
    expect([status, taskId.includes(OWN)]).toEqual(['working', false]);
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const headers = { 'mcp-name': taskId };
      const asked = await app.ask(method, { taskId }, { capabilities: TASKS, headers });
      expect(asked.json.result).toMatchObject({ taskId });
      const { body, headers: sent } = young.asked.at(-1)!;
      expect([JSON.parse(body).params.taskId, sent['mcp-name']]).toEqual([OWN, OWN]);
    }
    const before = young.asked.length;
    const token = await app.token({ sub: 'somebody else' });
    for (const [id, init] of [
      [taskId, { token }],
      [OWN, {}],
      [`${taskId}x`, {}],
    ] as const) {
      const headers = { 'mcp-name': id };
      const refused = await app.ask(
        'tasks/get',
        { taskId: id },
        { capabilities: TASKS, headers, ...init },
      );
      expect(refused.json.result).toBeUndefined();
    }
    expect(young.asked).toHaveLength(before);
  });

  test('without the capability nothing is read, and an answer is passed on as it is', async () => {
    const made = await app.ask('tools/call', { name: 'young__list_events', arguments: {} });
    expect(made.json.result.taskId).toBe(OWN);
  });

  test('2025-11-25: made, listed, asked about, and its result, with the SDK', async () => {
    const client = new Client(
      { name: 'v1', version: '1' },
      { capabilities: { elicitation: { form: {} }, tasks: { requests: {} } } },
    );
    const asked: string[] = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params.message);
      return { action: 'accept', content: { day: 'fri' } };
    });
    await client.connect(
      new StreamableHTTPClientTransport(new URL(app.mcpUrl), {
        requestInit: { headers: { authorization: `Bearer ${await app.token()}` } },
      }),
    );
    await client.listTools();
    const stream = client.experimental.tasks.callToolStream({ name: 'old__plan', arguments: {} });
    let taskId = '';
    let result: unknown;
    for await (const message of stream) {
      if (message.type === 'taskCreated') {
        ({ taskId } = message.task);
        const { tasks } = await client.experimental.tasks.listTasks();
        expect(tasks.map((task) => task.taskId)).toEqual([taskId]);
      }
      if (message.type === 'result') ({ result } = message);
      if (message.type === 'error') throw message.error;
    }
    expect(result).toMatchObject({ content: [{ text: 'planned for {"day":"fri"}' }] });
    expect(asked).toEqual(['when?']);
    expect(taskId).toMatch(/^[\w-]+\.[\w-]+$/); // of the gateway
    expect((await client.experimental.tasks.getTask(taskId)).status).toBe('completed');
    await client.close();
  });
});
