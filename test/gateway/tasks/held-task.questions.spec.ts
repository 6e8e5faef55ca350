import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { type AskingServer, startAskingServer } from '../../support/gateway/asking-server.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { TASKS } from '../../support/gateway/task-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const ABLE = { ...TASKS, elicitation: { form: {} } };
const ASKED = { method: 'elicitation/create', params: { message: 'when?' } };
const cancelled = (requestId: unknown) => ({
  method: 'notifications/cancelled',
  params: { requestId },
});

describe('14.1: what a task of a server of 2025-11-25 asks of a client of 2026-07-28', () => {
  unhandledRejections();
  let old: AskingServer;
  let app: GatewayApp;
  beforeAll(async () => {
    old = await startAskingServer();
    app = await startGateway({ gateway: { upstreams: { old: { url: old.url, token: none() } } } });
  });
  afterEach(() => {
    old.answerStatus = 202;
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
  });

  const about = (method: string, taskId: string, more: object = {}) => {
    const headers = { 'mcp-name': taskId };
    return app.ask(method, { taskId, ...more }, { capabilities: ABLE, headers });
  };
  const stateOf = async (taskId: string) => (await about('tasks/get', taskId)).json.result;
  /** A task that waits for the answer to question 7, and its key. */
  async function waiting(): Promise<{ taskId: string; key: string; own: string }> {
    const call = { name: 'old__plan', arguments: {} };
    const { taskId } = (await app.ask('tools/call', call, { capabilities: ABLE })).json.result;
    const own = [...old.tasks.keys()].at(-1)!;
    old.tasks.get(own)!.status = 'input_required';
    const before = old.results.length;
    const asking = stateOf(taskId);
    await until(() => old.results.length > before);
    old.say(old.results.at(-1), { id: 7, ...ASKED });
    const { inputRequests } = await asking;
    expect(Object.values(inputRequests)).toEqual([ASKED]);
    return { taskId, own, key: Object.keys(inputRequests)[0]! };
  }
  const settled = (taskId: string) =>
    until(async () => (await stateOf(taskId)).status === 'working');

  test('a question that is taken back on the stream of the result is not asked any more', async () => {
    const { taskId, own, key } = await waiting();
    for (const other of ['7', 8, null, undefined]) old.say(old.results.at(-1), cancelled(other));
    old.say(old.results.at(-1), { id: 8, ...ASKED });
    await until(async () => Object.keys((await stateOf(taskId)).inputRequests).length === 2);
    old.tasks.get(own)!.status = 'working';
    old.say(old.results.at(-1), cancelled(7));
    old.say(old.results.at(-1), cancelled(8));
    await settled(taskId);
    const answers = old.answers.length;
    const inputResponses = { [key]: { action: 'accept', content: {} } };
    expect((await about('tasks/update', taskId, { inputResponses })).status).toBe(200);
    expect(old.answers).toHaveLength(answers);
  });

  test('on the stream of the session, too, which is open for as long as something is asked', async () => {
    const { taskId, own } = await waiting();
    await until(() => old.gets.length === 1);
    old.tasks.get(own)!.status = 'working';
    old.say(old.gets[0], cancelled(7));
    await settled(taskId);
    await until(() => old.gets.length === 0);
  });

  test('whoever listens to the task is told', async () => {
    const { taskId, own } = await waiting();
    const stop = new AbortController();
    const notifications = { taskIds: [taskId] };
    const init = { capabilities: ABLE, signal: stop.signal };
    const stream = await app.fetch('subscriptions/listen', { notifications }, init);
    let heard = '';
    const reading = (async () => {
      for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>)
        heard += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    await until(() => heard.includes('"status":"input_required"'));
    old.tasks.get(own)!.status = 'working';
    old.say(old.results.at(-1), cancelled(7));
    await until(() => heard.includes('"status":"working"'));
    stop.abort();
    await reading;
  });

  test('an answer that the server does not take is asked for again, and its client told', async () => {
    const { taskId, key } = await waiting();
    const inputResponses = { [key]: { action: 'accept', content: {} } };
    old.answerStatus = 503;
    expect((await about('tasks/update', taskId, { inputResponses })).status).toBe(502);
    expect(Object.keys((await stateOf(taskId)).inputRequests)).toEqual([key]);
    old.answerStatus = 202;
    const [first, second] = await Promise.all([
      about('tasks/update', taskId, { inputResponses }),
      about('tasks/update', taskId, { inputResponses }),
    ]);
    expect([first.status, second.status]).toEqual([200, 200]);
    const of7 = old.answers.filter((one) => (one as { id: unknown }).id === 7);
    expect(of7).toMatchObject([{ id: 7, result: { action: 'accept' } }]);
  });

  test('of 61 questions of one task 32 are asked, and each other one refused', async () => {
    const { taskId } = await waiting();
    old.answers.splice(0);
    for (let id = 100; id < 160; id++) old.say(old.results.at(-1), { id, ...ASKED });
    await until(() => old.answers.length === 29);
    const { inputRequests } = await stateOf(taskId);
    expect(Object.keys(inputRequests)).toHaveLength(32);
    expect(old.answers[0]).toMatchObject({
      error: { code: -32603, message: 'Too many questions' },
    });
  });
});
