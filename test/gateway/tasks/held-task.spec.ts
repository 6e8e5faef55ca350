import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { legacyTaskServer, TaskControls, TASKS } from '../../support/gateway/task-servers.js';
import { until } from '../../support/time/until.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const ABLE = { ...TASKS, elicitation: { form: {} } };

describe('14.2 tasks: a client of 2026-07-28, a server of 2025-11-25', () => {
  unhandledRejections();
  let old: LegacyUpstream;
  let app: GatewayApp;
  let controls: TaskControls;
  beforeAll(async () => {
    controls = new TaskControls();
    old = await startLegacyUpstream(() => legacyTaskServer(controls));
    app = await startGateway({ gateway: { upstreams: { old: { url: old.url, token: none() } } } });
  });
  afterAll(async () => {
    await app.close();
    await old.stop();
  });

  const call = (name: string, capabilities: Record<string, unknown> = ABLE) =>
    app.ask('tools/call', { name: `old__${name}`, arguments: {} }, { capabilities });
  const about = async (method: string, taskId: string, more: object = {}, init: object = {}) => {
    const headers = { 'mcp-name': taskId };
    return app.ask(method, { taskId, ...more }, { capabilities: ABLE, headers, ...init });
  };
  const stateOf = async (taskId: string, status: string) => {
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    let task: Record<string, any> = {};
    await until(async () => {
      task = (await about('tasks/get', taskId)).json.result;
      return task['status'] === status;
    });
    return task;
  };

  test('a tool that may be one runs as a task, whose result comes with its state', async () => {
    const { taskId, ...made } = (await call('wait')).json.result;
    expect(made).toEqual({
      resultType: 'task',
      status: 'working',
      createdAt: expect.any(String),
      lastUpdatedAt: expect.any(String),
      ttlMs: 3_600_000,
      pollIntervalMs: 20,
    });
    expect(taskId).not.toContain(controls.made.at(-1));
    const running = (await about('tasks/get', taskId)).json.result;
    expect(running).toEqual({ ...made, taskId, resultType: 'complete' });
    controls.finish();
    const over = await stateOf(taskId, 'completed');
    expect(over['result']).toEqual({ content: [{ type: 'text', text: 'done' }] });
  });

  test('one that has failed with a result is completed, as this revision wants it', async () => {
    const { taskId } = (await call('wait')).json.result;
    controls.finish({ isError: true, content: [] });
    const over = await stateOf(taskId, 'completed');
    expect(over['result']).toEqual({ isError: true, content: [] });
  });

  test('what the server asks is what the task waits for, and goes on with the answer', async () => {
    const { taskId } = (await call('plan')).json.result;
    const waiting = await stateOf(taskId, 'input_required');
    const [key = ''] = Object.keys(waiting['inputRequests']);
    expect(waiting['inputRequests'][key]).toEqual({
      method: 'elicitation/create',
      params: expect.objectContaining({ message: 'when?' }),
    });
    expect((await about('tasks/get', taskId)).json.result.inputRequests).toEqual(
      waiting['inputRequests'],
    );
    const inputResponses = {
      unknown: { action: 'cancel' },
      [key]: { action: 'accept', content: { day: 'fri' } },
    };
    const { result } = (await about('tasks/update', taskId, { inputResponses })).json;
    expect(result).toEqual({ resultType: 'complete' });
    const over = await stateOf(taskId, 'completed');
    expect(over['result'].content).toEqual([{ type: 'text', text: 'planned for {"day":"fri"}' }]);
    expect(controls.answers.at(-1)).toMatchObject({ action: 'accept' });
  });

  test('a cancelled one is cancelled; once more changes nothing', async () => {
    const { taskId } = (await call('wait')).json.result;
    for (const times of [1, 2]) {
      expect(controls.made.length).toBeGreaterThan(times);
      const { result } = (await about('tasks/cancel', taskId)).json;
      expect(result).toEqual({ resultType: 'complete' });
    }
    expect((await about('tasks/get', taskId)).json.result.status).toBe('cancelled');
    controls.finish();
  });

  test('a session that the server has forgotten takes its tasks along', async () => {
    const { taskId } = (await call('wait')).json.result;
    old.forget();
    const { json } = await about('tasks/get', taskId);
    expect(json.error).toEqual({ code: -32602, message: 'Unknown task' });
    controls.finish();
  });
});
