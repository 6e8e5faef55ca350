import { expect, test } from 'vitest';
import { HeldTasks } from '../../../src/gateway/tasks/held-tasks.js';

function held(maxSessions = 100) {
  const listeners: (() => void)[] = [];
  const closed: string[] = [];
  const registry = {
    options: { maxSessions, sessionIdleMs: 1000 },
    all: ['calendar'],
    onChange: (listener: () => void) => void listeners.push(listener),
  };
  const tasks = new HeldTasks(registry as never);
  const hold = (id: string, callerKey = 'ann', upstream = 'calendar') =>
    tasks.hold({
      id,
      taskId: `${id} of the upstream`,
      route: { upstream } as never,
      callerKey,
      sessions: { close: () => Promise.resolve(closed.push(id)) } as never,
    });
  return { tasks, hold, closed, changed: () => listeners.forEach((tell) => tell()) };
}

test('14.2 tasks: a task is found by its caller alone', async () => {
  const { tasks, hold } = held();
  const task = hold('a');
  expect([tasks.find('a', 'ann'), tasks.find('a', 'bob'), tasks.find(1, 'ann')]).toEqual([
    task,
    undefined,
    undefined,
  ]);
  await tasks.close();
  expect(tasks.find('a', 'ann')).toBeUndefined();
});

test('14.2 tasks: a caller has 32, of which one that is over makes room; others have theirs', async () => {
  const { tasks, hold, closed } = held();
  const all = Array.from({ length: 32 }, (_, at) => hold(`task ${at}`));
  expect([tasks.makesRoom('ann'), tasks.makesRoom('bob')]).toEqual([false, true]);
  all[3]!.isOver = true;
  expect([tasks.makesRoom('ann'), tasks.size, closed]).toEqual([true, 31, ['task 3']]);
  await tasks.close();
  expect([tasks.size, closed.length]).toEqual([0, 32]);
});

test('14.2 tasks: all of them together are no more than sessions may be', async () => {
  const { tasks, hold } = held(2);
  hold('a', 'ann');
  hold('b', 'bob');
  expect(tasks.makesRoom('cid')).toBe(false);
  await tasks.close();
});

test('14.2 tasks: an id that comes again is another task; an upstream that goes takes its own along', async () => {
  const { tasks, hold, closed, changed } = held();
  hold('a');
  const again = hold('a');
  expect([tasks.find('a', 'ann') === again, closed]).toEqual([true, ['a']]);
  hold('b', 'ann', 'gone');
  changed();
  expect([tasks.size, closed]).toEqual([1, ['a', 'b']]);
  await tasks.close();
});
