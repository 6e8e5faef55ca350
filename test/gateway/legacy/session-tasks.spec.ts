import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { startTaskUpstream, type TaskUpstream, TASKS } from '../../support/gateway/task-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

describe('14.2 tasks: a client of 2025-11-25, a server of 2026-07-28', () => {
  unhandledRejections();
  let young: TaskUpstream;
  let app: GatewayApp;
  const clients: Client[] = [];
  beforeAll(async () => {
    young = await startTaskUpstream();
    app = await startGateway({
      gateway: { upstreams: { young: { url: young.url, token: none() } } },
    });
  });
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.close())));
  afterAll(async () => {
    await app.close();
    await young.stop();
  });

  async function connect(sub = 'user', extensions = {}): Promise<Client> {
    const capabilities = { elicitation: { form: {} }, ...extensions };
    const client = new Client({ name: 'v1', version: '1' }, { capabilities });
    clients.push(client);
    const authorization = `Bearer ${await app.token({ sub })}`;
    await client.connect(
      new StreamableHTTPClientTransport(new URL(app.mcpUrl), {
        requestInit: { headers: { authorization } },
      }),
    );
    await client.listTools();
    return client;
  }
  const streamOf = (client: Client, name: string) =>
    client.experimental.tasks.callToolStream({ name: `young__${name}`, arguments: {} });
  /** Makes a task, and says how both know it. */
  async function made(client: Client): Promise<{ ours: string; own: string }> {
    const first = await streamOf(client, 'later').next();
    if (first.value?.type !== 'taskCreated') throw new Error('no task');
    return { ours: first.value.task.taskId, own: [...young.tasks.keys()].at(-1)! };
  }
  const text = (said: string) => ({ content: [{ type: 'text', text: said }] });

  test('its tools may be tasks; made, asked about, and the result', async () => {
    const client = await connect();
    const { tools } = await client.listTools();
    expect(tools.map(({ execution }) => execution)).toEqual([
      { taskSupport: 'optional' },
      { taskSupport: 'optional' },
    ]);
    const states: unknown[] = [];
    for await (const message of streamOf(client, 'later')) {
      if (message.type === 'taskCreated') {
        const { taskId, ...task } = message.task;
        expect(taskId).not.toContain('task-');
        expect(task).toEqual({
          status: 'working',
          createdAt: expect.any(String),
          lastUpdatedAt: expect.any(String),
          ttl: 60_000,
          pollInterval: 20,
        });
        young.put([...young.tasks.keys()].at(-1)!, { status: 'completed', result: text('later') });
      }
      states.push(message.type);
      if (message.type === 'result') expect(message.result).toMatchObject(text('later'));
    }
    expect(states.at(-1)).toBe('result');
    const call = JSON.parse(young.asked.find(({ method }) => method === 'tools/call')!.body);
    expect(call.params.task).toBeUndefined();
    expect(young.asked.findLast(({ method }) => method === 'tasks/get')!.headers).toMatchObject({
      'mcp-name': [...young.tasks.keys()].at(-1),
    });
  });

  test('what it asks, the client is asked once, on the stream of tasks/result', async () => {
    const client = await connect();
    const asked: unknown[] = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push([params.message, params._meta]);
      void until(() => young.updates.length > 0).then(() => {
        young.put(own, { status: 'working' });
        setImmediate(() => young.put(own, { status: 'completed', result: text('asked') }));
      });
      return { action: 'accept', content: { name: 'ann' } };
    });
    const { ours, own } = await made(client);
    const params = { message: 'who?', requestedSchema: { type: 'object', properties: {} } };
    const inputRequests = { name: { method: 'elicitation/create', params } };
    young.put(own, { status: 'input_required', inputRequests });
    expect((await client.experimental.tasks.getTask(ours)).status).toBe('input_required');
    const result = await client.experimental.tasks.getTaskResult(ours, CallToolResultSchema);
    const related = { 'io.modelcontextprotocol/related-task': { taskId: ours } };
    expect(result).toEqual({ ...text('asked'), _meta: related });
    expect(asked).toEqual([['who?', related]]);
    expect(young.updates.at(-1)).toEqual({
      name: { action: 'accept', content: { name: 'ann' } },
    });
  });

  test('14.1: what it does not ask any more is taken back, and the result comes all the same', async () => {
    const client = await connect();
    const withdrawn: unknown[] = [];
    client.setRequestHandler(ElicitRequestSchema, async (_request, { signal }) => {
      young.put(own, { status: 'working' });
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      withdrawn.push(signal.reason);
      young.put(own, { status: 'completed', result: text('without it') });
      return { action: 'cancel' };
    });
    const { ours, own } = await made(client);
    const params = { message: 'who?', requestedSchema: { type: 'object', properties: {} } };
    const inputRequests = { name: { method: 'elicitation/create', params } };
    const updates = young.updates.length;
    young.put(own, { status: 'input_required', inputRequests });
    const result = await client.experimental.tasks.getTaskResult(ours, CallToolResultSchema);
    expect(result).toMatchObject(text('without it'));
    expect([withdrawn.length, young.updates.length]).toEqual([1, updates]);
  });

  test('one that fails: with a result that says so, or with an error', async () => {
    const client = await connect();
    const { ours, own } = await made(client);
    const result = { ...text('no'), isError: true };
    young.put(own, { status: 'completed', result });
    expect((await client.experimental.tasks.getTask(ours)).status).toBe('failed');
    expect(await client.experimental.tasks.getTaskResult(ours, CallToolResultSchema)).toMatchObject(
      result,
    );
    const second = await made(client);
    young.put(second.own, { status: 'failed', error: { code: -32050, message: 'broken' } });
    await expect(
      client.experimental.tasks.getTaskResult(second.ours, CallToolResultSchema),
    ).rejects.toMatchObject({
      code: -32050,
    });
  });

  test('cancelled at once and for good, though the server only means to', async () => {
    const client = await connect();
    const { ours, own } = await made(client);
    expect((await client.experimental.tasks.cancelTask(ours)).status).toBe('cancelled');
    young.put(own, { status: 'completed', result: text('too late') });
    expect((await client.experimental.tasks.getTask(ours)).status).toBe('cancelled');
    for (const refused of [
      client.experimental.tasks.cancelTask(ours),
      client.experimental.tasks.getTaskResult(ours, CallToolResultSchema),
    ])
      await expect(refused).rejects.toMatchObject({ code: -32602 });
  });

  test('a call that is over at once is a task that is', async () => {
    const client = await connect();
    const types: string[] = [];
    let taskId = '';
    for await (const message of streamOf(client, 'now')) {
      types.push(message.type);
      if (message.type === 'taskCreated') ({ taskId } = message.task);
      if (message.type === 'result') expect(message.result).toMatchObject(text('now ran'));
    }
    expect(types).toEqual(['taskCreated', 'taskStatus', 'result']);
    await expect(client.experimental.tasks.cancelTask(taskId)).rejects.toMatchObject({
      code: -32602,
    });
  });

  test('the list has those of the session, as they are now', async () => {
    const client = await connect();
    const [one, other] = [await made(client), await made(client)];
    young.put(other.own, { status: 'completed', result: text('') });
    await made(await connect('somebody else'));
    const { tasks } = await client.experimental.tasks.listTasks();
    expect(tasks.map(({ taskId, status }) => [taskId, status])).toEqual([
      [one.ours, 'working'],
      [other.ours, 'completed'],
    ]);
  });

  test('14.6: of the tasks that a session makes the newest 64 are listened to', async () => {
    const client = await connect();
    for (let count = 0; count < 70; count++) await made(client);
    const newest = [...young.tasks.keys()].slice(-64);
    const heard = () => [...young.listening.values()].flat();
    await until(() => newest.every((id) => heard().includes(id)) && young.listening.size === 1);
    expect(heard().sort()).toEqual(newest.sort());
  });

  test('somebody else, forged ids: nothing is sent', async () => {
    const { ours, own } = await made(await connect());
    const other = await connect('somebody else');
    const before = young.asked.length;
    const { getTask, getTaskResult, cancelTask } = {
      getTask: (id: string) => other.experimental.tasks.getTask(id),
      getTaskResult: (id: string) =>
        other.experimental.tasks.getTaskResult(id, CallToolResultSchema),
      cancelTask: (id: string) => other.experimental.tasks.cancelTask(id),
    };
    for (const id of [ours, own, `${ours}x`, ours.slice(1)])
      for (const use of [getTask, getTaskResult, cancelTask])
        await expect(use(id)).rejects.toMatchObject({ code: -32602 });
    expect(young.asked).toHaveLength(before);
  });

  test('without task: what needs one says so, and the extension is of the other revision', async () => {
    const client = await connect('user', TASKS);
    const call = (name: string) =>
      client.request(
        { method: 'tools/call', params: { name: `young__${name}`, arguments: {} } },
        CallToolResultSchema,
      );
    await expect(call('later')).rejects.toMatchObject({
      code: -32601,
      message: expect.stringContaining("young__later runs as a task only: call it with 'task'"),
    });
    expect(await call('now')).toMatchObject(text('now ran'));
  });

  test('a client that cancels its question about the result asks the server no more', async () => {
    const client = await connect();
    const { ours, own } = await made(client);
    const stop = new AbortController();
    const { signal } = stop;
    const asking = client.experimental.tasks.getTaskResult(ours, CallToolResultSchema, { signal });
    const polls = () => young.asked.filter((one) => one.body.includes(`"taskId":"${own}"`)).length;
    await until(() => polls() >= 2);
    stop.abort('enough');
    await expect(asking).rejects.toThrow();
    await until(async () => {
      const before = polls();
      await new Promise((resolve) => setTimeout(resolve, 250)); // longer than the time between two of them
      return polls() === before;
    });
  });
});
