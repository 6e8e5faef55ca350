import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { TaskStatusNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { none } from 'authplane-nestjs/gateway';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import {
  legacyTaskServer,
  startTaskUpstream,
  TaskControls,
  TASKS,
  type TaskUpstream,
} from '../../support/gateway/task-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

describe('14.2 tasks: who hears of a task, in each of four ways', () => {
  unhandledRejections();
  let old: LegacyUpstream;
  let young: TaskUpstream;
  let app: GatewayApp;
  let controls: TaskControls;
  let stop = new AbortController();
  const clients: Client[] = [];
  beforeAll(async () => {
    controls = new TaskControls();
    old = await startLegacyUpstream(() => legacyTaskServer(controls));
    young = await startTaskUpstream();
    app = await startGateway({
      scopes: ['plans'],
      gateway: {
        upstreams: {
          old: { url: old.url, token: none() },
          young: { url: young.url, token: none(), tools: { later: { scopes: ['plans'] } } },
        },
      },
    });
  });
  afterEach(async () => {
    stop.abort();
    stop = new AbortController();
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await until(() => young.listening.size === 0);
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
    await young.stop();
  });

  const made = async (name: string) =>
    (await app.ask('tools/call', { name, arguments: {} }, { capabilities: TASKS })).json.result
      .taskId as string;
  const listen = async (taskIds: readonly string[], init: object = {}) => {
    const { signal } = stop;
    const given = { capabilities: TASKS, signal, ...init };
    const response = await app.fetch('subscriptions/listen', { notifications: { taskIds } }, given);
    return eventsOf(response);
  };
  const nextOf = async (stream: Awaited<ReturnType<typeof listen>>) => (await stream.next()).value;

  test('2026 client, 2026 server: its own by its own id, and what nobody asked for by nobody', async () => {
    const taskId = await made('young__later');
    const own = [...young.tasks.keys()].at(-1)!;
    const stream = await listen([taskId, 'forged']);
    expect((await nextOf(stream)).params.notifications).toEqual({ taskIds: [taskId] });
    await until(() => [...young.listening.values()].some((ids) => ids.includes(own)));
    young.tell({ taskId: 'of nobody', status: 'completed' });
    young.put(own, { status: 'completed', result: { content: [] } });
    expect(await nextOf(stream)).toMatchObject({
      method: 'notifications/tasks',
      params: { taskId, status: 'completed', result: { content: [] } },
    });
  });

  test('2026 client, 2025 server: the state it has, and each change', async () => {
    const taskId = await made('old__wait');
    const stream = await listen([taskId]);
    expect((await nextOf(stream)).params.notifications).toEqual({ taskIds: [taskId] });
    expect((await nextOf(stream)).params).toMatchObject({ taskId, status: 'working' });
    controls.finish();
    expect(await nextOf(stream)).toMatchObject({
      method: 'notifications/tasks',
      params: { taskId, status: 'completed', result: { content: [{ text: 'done' }] } },
    });
  });

  test('whoever lacks the scope of the call that made it is asked for it, also at tasks/get', async () => {
    const params = { name: 'young__later', arguments: {} };
    const able = await app.token({ scope: 'plans' });
    const call = await app.ask('tools/call', params, { capabilities: TASKS, token: able });
    const { taskId } = call.json.result;
    const token = await app.token({ scope: '' });
    const init = { capabilities: TASKS, token, headers: { 'mcp-name': taskId } };
    for (const [method, body] of [
      ['subscriptions/listen', { notifications: { taskIds: [taskId] } }],
      ['tasks/get', { taskId }],
      ['tasks/cancel', { taskId }],
    ] as const) {
      const { status, headers } = await app.ask(method, body, init);
      expect([status, headers.get('www-authenticate')]).toEqual([
        403,
        expect.stringContaining('scope="plans"'),
      ]);
    }
    const signal = stop.signal;
    const response = await app.fetch(
      'subscriptions/listen',
      { notifications: { taskIds: [taskId] } },
      { capabilities: TASKS, token: able, signal },
    );
    expect(response.status).toBe(200);
  });

  test('somebody else hears nothing, and a client without the extension is told', async () => {
    const ids = [await made('young__later'), await made('old__wait')];
    const stream = await listen(ids, { token: await app.token({ sub: 'somebody else' }) });
    expect((await nextOf(stream)).params.notifications).toEqual({});
    const refused = await app.ask('subscriptions/listen', { notifications: { taskIds: ids } });
    expect([refused.status, refused.json.error.code]).toEqual([400, -32021]);
    controls.finish();
  });

  test.each(['young__later', 'old__wait'])('2025 client: %s, on its stream', async (name) => {
    const client = new Client({ name: 'v1', version: '1' }, { capabilities: {} });
    clients.push(client);
    const heard: unknown[] = [];
    client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => {
      heard.push([params.taskId, params.status]);
    });
    const authorization = `Bearer ${await app.token()}`;
    await client.connect(
      new StreamableHTTPClientTransport(new URL(app.mcpUrl), {
        requestInit: { headers: { authorization } },
      }),
    );
    await client.listTools();
    const gets = () => old.log.filter((line) => line === 'GET session').length;
    await until(() => gets() > 0);
    const calling = client.experimental.tasks.callToolStream({ name, arguments: {} });
    const first = (await calling.next()).value;
    const taskId = first?.type === 'taskCreated' ? first.task.taskId : '';
    if (name === 'young__later') {
      const own = [...young.tasks.keys()].at(-1)!;
      await until(() => [...young.listening.values()].some((ids) => ids.includes(own)));
      young.put(own, { status: 'completed', result: { content: [] } });
    } else controls.finish();
    await until(() => heard.some((one) => String(one) === `${taskId},completed`));
    expect(taskId).not.toBe('');
  });
});
