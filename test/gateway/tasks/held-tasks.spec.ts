import { expect, test } from 'vitest';
import { HeldTasks } from '../../../src/gateway/tasks/held-tasks.js';
import { askingAs } from '../../support/gateway/upstream-objects.js';

function held(maxSessions = 100) {
  const listeners: (() => void)[] = [];
  const closed: string[] = [];
  const made = (name: string) => ({
    name,
    error: (_: string, reason: string) => new Error(reason),
  });
  const [calendar, gone] = [made('calendar'), made('gone')];
  const registry = {
    options: { maxSessions, sessionIdleMs: 1000 },
    all: [calendar, gone],
    onChange: (listener: () => void) => void listeners.push(listener),
  };
  const tasks = new HeldTasks(registry as never);
  const hold = (id: string, callerKey = 'ann', upstream = calendar, ttl?: number) =>
    tasks.hold(
      {
        id,
        taskId: `${id} of the upstream`,
        route: { upstream } as never,
        callerKey,
        client: { capabilities: {}, clientInfo: undefined },
        session: { close: () => Promise.resolve(closed.push(id)) } as never,
        ttl,
      },
      askingAs(callerKey),
    );
  const changed = (all: unknown[]) => {
    registry.all = all as never;
    listeners.forEach((tell) => tell());
  };
  return { tasks, hold, closed, changed, calendar, gone };
}

test('14.2 tasks: a task is found by its caller alone', async () => {
  const { tasks, hold } = held();
  const task = hold('a');
  expect([tasks.find('a', 'ann'), tasks.find('a', 'bob'), tasks.find(1, 'ann')]).toEqual([
    task,
    undefined,
    undefined,
  ]);
  for (const id of ['__proto__', 'constructor', '', null, {}])
    expect(tasks.find(id, 'ann')).toBeUndefined();
  await tasks.close();
  expect(tasks.find('a', 'ann')).toBeUndefined();
});

test('14.2 tasks: a caller has 32, of which one that is over makes room; others have theirs', async () => {
  const { tasks, hold, closed } = held();
  const all = Array.from({ length: 32 }, (_, at) => hold(`task ${at}`));
  expect([tasks.place('ann'), typeof tasks.place('bob')]).toEqual([undefined, 'function']);
  all[3]!.isOver = true;
  expect([typeof tasks.place('ann'), tasks.size, closed]).toEqual(['function', 31, ['task 3']]);
  await tasks.close();
  expect([tasks.size, closed.length]).toEqual([0, 32]);
});

test('14.6: calls that begin at the same moment have no more places than tasks may be', async () => {
  const { tasks, hold } = held();
  const places = Array.from({ length: 10_000 }, () => tasks.place('ann'));
  const taken = places.filter((leave) => leave !== undefined);
  expect(taken).toHaveLength(32);
  taken[0]?.();
  taken[0]?.(); // once
  hold('a');
  expect(tasks.place('ann')).toBeUndefined();
  for (const leave of taken) leave();
  expect(typeof tasks.place('ann')).toBe('function');
  await tasks.close();
});

test('14.6: one that its upstream may have forgotten makes room, too', async () => {
  const { tasks, hold, calendar } = held(1);
  const one = hold('a', 'ann', calendar, Number.MIN_VALUE);
  expect([one.isSpare, hold('b', 'ann', calendar, -1).isSpare]).toEqual([true, false]);
  await tasks.close();
});

test('14.2 tasks: all of them together are no more than sessions may be', async () => {
  const { tasks, hold } = held(2);
  hold('a', 'ann');
  hold('b', 'bob');
  expect(tasks.place('cid')).toBeUndefined();
  await tasks.close();
});

test('14.2 tasks: an upstream that goes takes its own along, also those that are made meanwhile', async () => {
  const { tasks, hold, closed, changed, calendar, gone } = held();
  hold('a');
  const task = hold('b', 'ann', gone);
  changed([calendar]);
  expect([tasks.size, closed]).toEqual([1, ['b']]);
  tasks.end(task);
  expect(closed).toEqual(['b']);
  expect(() => hold('c', 'ann', gone)).toThrow('it was replaced while a task was made');
  expect(tasks.size).toBe(1);
  await tasks.close();
});
