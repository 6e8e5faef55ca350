import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exchange, none } from 'authplane-nestjs/gateway';
import { type AskingServer, startAskingServer } from '../../support/gateway/asking-server.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { TASKS } from '../../support/gateway/task-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const ABLE = { ...TASKS, elicitation: { form: {} } };

describe('14.6: tasks of a server of 2025-11-25 under attack', () => {
  unhandledRejections();
  let old: AskingServer;
  let app: GatewayApp;
  beforeAll(async () => {
    old = await startAskingServer();
    app = await startGateway({ gateway: { upstreams: { old: { url: old.url, token: none() } } } });
  });
  beforeEach(() => {
    old.before = () => undefined;
    old.asked.splice(0);
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
  });

  const as = (sub: string) => app.token({ sub });
  async function about(method: string, taskId: unknown, token?: string, more: object = {}) {
    const headers = { 'mcp-name': String(taskId) };
    const init = { capabilities: ABLE, headers, ...(token === undefined ? {} : { token }) };
    return app.ask(method, { taskId, ...more }, init);
  }
  async function call(token: string, signal?: AbortSignal) {
    const init = { capabilities: ABLE, token, ...(signal === undefined ? {} : { signal }) };
    const { json } = await app.ask('tools/call', { name: 'old__plan', arguments: {} }, init);
    return json;
  }
  const made = async (token: string) => String((await call(token)).result.taskId);
  const count = (method: string) => old.asked.filter((one) => one.method === method).length;

  test('a restarted server that numbers its tasks anew gives nobody the task of somebody else', async () => {
    const [ann, bob] = [await as('ann'), await as('bob')];
    const ofAnn = await made(ann);
    const stop = new AbortController();
    const init = { capabilities: ABLE, token: ann, signal: stop.signal };
    const stream = await app.fetch(
      'subscriptions/listen',
      { notifications: { taskIds: [ofAnn] } },
      init,
    );
    const heard = stream.text().catch(() => '');
    await until(() => old.gets.length === 1); // whoever listens is told of the session that is lost
    old.restart();
    const ofBob = await made(bob);
    old.tasks.get('task-1')!.status = 'completed';
    old.tasks.get('task-1')!.result = { content: [{ type: 'text', text: 'of bob' }] };
    await until(() => count('GET') >= 2);
    const lost = (await about('tasks/get', ofAnn, ann)).json;
    expect(lost.error).toEqual({ code: -32602, message: 'Unknown task' });
    expect((await about('tasks/get', ofBob, bob)).json.result.result.content[0].text).toBe(
      'of bob',
    );
    for (const id of [ofAnn, ofBob])
      for (const token of [ann, bob])
        if ((id === ofAnn) !== (token === ann))
          expect((await about('tasks/get', id, token)).json.error.message).toBe('Unknown task');
    expect(count('initialize')).toBe(count('tools/list') + count('tools/call')); // none anew
    stop.abort();
    expect(await heard).not.toContain('of bob');
  });

  test('the same caller has two tasks that the server calls by one name', async () => {
    const ann = await as('ann');
    const first = await made(ann);
    const kept = new Set(old.sessions);
    old.tasks.delete([...old.tasks.keys()].at(-1)!); // so that the next one has its name
    const second = await made(ann);
    expect(second).not.toBe(first);
    expect((await about('tasks/get', first, ann)).json.result.status).toBe('working');
    for (const session of kept) expect(old.sessions.has(session)).toBe(true);
  });

  test('what is no id of a task, in any type, is unknown, and nothing is sent', async () => {
    const ann = await as('ann');
    for (const id of ['__proto__', 'constructor', 'task-1', '', 'a.b', '.', 'x'.repeat(5000)])
      for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
        expect((await about(method, id, ann)).json.error).toMatchObject({ code: -32602 });
    for (const id of [1, 1.5, null, {}, [], true])
      expect((await about('tasks/get', id, ann)).json.error.code).toBe(-32600);
    expect(old.asked.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  test('calls at the same moment make no more tasks than one caller may have', async () => {
    const cid = await as('cid');
    const answers = await Promise.all(Array.from({ length: 60 }, () => call(cid)));
    expect(answers.filter(({ result }) => result?.resultType === 'task')).toHaveLength(32);
    const { error } = answers.find((one) => one.error !== undefined);
    expect(error).toMatchObject({ code: -32603, message: expect.stringContaining('Too many') });
    expect((await call(await as('dan'))).result.resultType).toBe('task');
    const [first] = answers.flatMap(({ result }) => result?.taskId ?? []);
    await about('tasks/cancel', first, cid); // which makes room at once
    expect((await call(cid)).result.resultType).toBe('task');
  });

  test('who leaves before he knows of his task leaves none behind', async () => {
    const eve = await as('eve');
    const stop = new AbortController();
    const before = old.sessions.size;
    old.before = (method) => {
      if (method === 'tools/call') stop.abort();
    };
    await expect(call(eve, stop.signal)).rejects.toThrow();
    await until(() => count('tools/call') === 1 && old.sessions.size === before);
  });

  test('a task that is made while its server is replaced is said to be lost, and its session ended', async () => {
    const fay = await as('fay');
    old.before = async (method) => {
      if (method === 'tools/call')
        await app.upstreams.replace('old', { url: old.url, token: none() });
    };
    const { error } = await call(fay);
    expect(error).toMatchObject({ code: -32603, data: { upstream: 'old' } });
    await until(() => old.sessions.size === 0); // of those before, too
  });

  test('news without end ask the server one at a time', async () => {
    const gil = await as('gil');
    const taskId = await made(gil);
    const own = [...old.tasks.keys()].at(-1);
    const stop = new AbortController();
    const init = { capabilities: ABLE, token: gil, signal: stop.signal };
    const stream = await app.fetch(
      'subscriptions/listen',
      { notifications: { taskIds: [taskId] } },
      init,
    );
    await until(() => old.gets.length === 1 && count('tasks/get') === 1);
    let [running, most] = [0, 0];
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    old.before = async (method) => {
      if (method !== 'tasks/get') return;
      most = Math.max(most, ++running);
      await released;
      running--;
    };
    for (let times = 0; times < 1000; times++)
      old.say(old.gets[0], { method: 'notifications/tasks/status', params: { taskId: own } });
    await until(() => running > 0);
    release();
    await until(() => running === 0);
    expect([most, count('tasks/get') < 10]).toEqual([1, true]);
    stop.abort();
    await stream.text().catch(() => undefined);
  });

  test('14.6: a token that has ended meanwhile ends no task: the next one goes on with it', async () => {
    const answers: string[] = [];
    const before = new Set(old.sessions);
    const upstreams = { old: { url: old.url, token: exchange({ scope: 'plan' }) } };
    const resources = [{ url: old.url, scopeMap: { use: ['plan'] } }];
    const short = await startGateway({ gateway: { upstreams }, resources, scopes: ['use'] });
    const ask = async (method: string, params: object, token: string, name: string) => {
      const init = { capabilities: ABLE, token, headers: { 'mcp-name': name } };
      const { json, status } = await short.ask(method, { ...params }, init);
      answers.push(String(status));
      return json;
    };
    const soon = Math.floor(Date.now() / 1000) + 3600;
    const first = await short.token({ sub: 'ann', jti: '1', exp: soon });
    const { result } = await ask(
      'tools/call',
      { name: 'old__plan', arguments: {} },
      first,
      'old__plan',
    );
    const ended = await short.token({
      sub: 'ann',
      jti: '2',
      exp: Math.floor(Date.now() / 1000) - 3600,
    });
    await ask('tasks/get', { taskId: result.taskId }, ended, result.taskId);
    const next = await short.token({ sub: 'ann', jti: '3' });
    const state = await ask('tasks/get', { taskId: result.taskId }, next, result.taskId);
    expect([answers, state.result.status]).toEqual([['200', '401', '200'], 'working']);
    await short.close();
    await until(() => [...old.sessions].every((one) => before.has(one))); // with the token that came last
  });
});
