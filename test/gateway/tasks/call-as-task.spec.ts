import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callLegacyTool } from '../../../src/gateway/tasks/call-as-task.js';
import { HeldTasks } from '../../../src/gateway/tasks/held-tasks.js';
import { TaskIds } from '../../../src/gateway/wire/task-ids.js';
import { eventsOf } from '../../support/gateway/event-reader.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { legacyTaskServer, TaskControls, TASKS } from '../../support/gateway/task-servers.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { cleanUp, serve } from '../../support/servers/http-servers.js';
import { until } from '../../support/time/until.js';

const ABLE = { ...TASKS, elicitation: { form: {} } };

describe('14.2 tasks: which calls to a server of 2025-11-25 become one', () => {
  let old: LegacyUpstream;
  let controls: TaskControls;
  let tasks: HeldTasks;
  beforeAll(async () => {
    controls = new TaskControls();
    old = await startLegacyUpstream(() => legacyTaskServer(controls));
    const options = { maxSessions: 100, sessionIdleMs: 60_000 };
    const all = { includes: () => true };
    tasks = new HeldTasks({ options, all, onChange: () => () => undefined } as never);
  });
  afterAll(async () => {
    await tasks.close();
    await cleanUp();
    await old.stop();
  });

  /** What a client would get of it. */
  async function result(
    own: string,
    taskSupport: string | undefined,
    capabilities: object,
    url = old.url,
  ) {
    const params = {
      name: own,
      arguments: {},
      _meta: { 'io.modelcontextprotocol/clientCapabilities': capabilities },
    };
    const verdict = { token: undefined, timeoutMs: undefined };
    const execution =
      taskSupport === undefined ? {} : { execution: JSON.stringify({ taskSupport }) };
    const item = { name: `old__${own}`, own, verdict, ...execution };
    const route = { upstream: upstreamAt(url), item } as never;
    const request = { id: 5, method: 'tools/call', params };
    const call = { route, request, params, asking: askingAs() };
    const pass = await callLegacyTool(call, tasks, new TaskIds(undefined));
    const { url: gateway } = await serve((_request, response) => void pass(response));
    for await (const { result: last } of eventsOf(await fetch(gateway))) return last;
  }

  test('one that may, of a client that can', async () => {
    for (const [name, support] of [
      ['wait', 'optional'],
      ['plan', 'required'],
    ] as const)
      expect(await result(name, support, ABLE)).toMatchObject({ resultType: 'task' });
    expect(old.received()).toContain('"capabilities":{"elicitation":{"form":{}}}');
  });

  test('none of a client that cannot: it waits, or hears what it needs', async () => {
    await expect(result('plan', 'required', { elicitation: {} })).rejects.toMatchObject({
      status: 400,
      rpc: {
        code: -32021,
        message: 'old__plan runs as a task only: declare the extension for tasks',
        data: { requiredCapabilities: TASKS },
      },
    });
    controls.finish(); // of the test before
    const waiting = result('wait', 'optional', {});
    const done = waiting.then(() => (isOver = true));
    let isOver = false;
    await until(() => (controls.finish(), isOver));
    await done;
    expect(await waiting).toMatchObject({ resultType: 'complete', content: [{ text: 'done' }] });
  });

  test('none of a tool that is none, nor of a server that says it can and does not', async () => {
    expect(await result('plain', undefined, ABLE)).toMatchObject({ resultType: 'complete' });
    const without = await startLegacyUpstream();
    const count = await result('count', 'optional', ABLE, without.url);
    expect(count).toMatchObject({ resultType: 'complete', content: [{ text: '1' }] });
    await until(() => without.sessions.size === 0);
    await without.stop();
  });

  test('of one caller 32, however many he asks for', async () => {
    while (tasks.size < 32) await result('wait', 'optional', ABLE);
    await expect(result('plan', 'required', ABLE)).rejects.toMatchObject({
      rpc: { code: -32603, message: expect.stringContaining('Too many tasks') },
    });
    expect(tasks.size).toBe(32);
  });
});
