import { expect, test } from 'vitest';
import { HeldListeners } from '../../../src/gateway/tasks/held-listeners.js';
import { askingAs } from '../../support/gateway/upstream-objects.js';
import { until } from '../../support/time/until.js';

test('14.6: states are told in their order, one question at a time for all that is new', async () => {
  const open: ((status: string) => void)[] = [];
  let questions = 0;
  const listeners = new HeldListeners(
    () => (questions++, new Promise((resolve) => open.push((status) => resolve({ status })))),
    () => undefined,
  );
  const heard: unknown[] = [];
  const gone = new AbortController();
  let left = 0;
  const asking = askingAs('ann', { signal: gone.signal });
  listeners.add(
    ({ status }) => heard.push(status),
    asking,
    () => left++,
  );
  for (let times = 0; times < 100; times++) listeners.tell();
  open.shift()!('working');
  await until(() => open.length === 1);
  open.shift()!('completed');
  await until(() => heard.length === 2);
  expect([heard, questions, listeners.isEmpty]).toEqual([['working', 'completed'], 2, false]);
  listeners.tell();
  open.shift()!('completed'); // no news
  listeners.tell();
  gone.abort();
  listeners.tell();
  expect([left, listeners.isEmpty, heard.length, questions]).toEqual([1, true, 2, 3]);
});

test('14.6: one whose state cannot be asked for is told the next one', async () => {
  const logged: unknown[] = [];
  let isAway = true;
  const listeners = new HeldListeners(
    () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve({ status: 'working' })),
    (error) => logged.push(error),
  );
  const heard: unknown[] = [];
  const asking = askingAs('ann');
  listeners.add(
    (task) => heard.push(task),
    asking,
    () => undefined,
  );
  await until(() => logged.length === 1);
  isAway = false;
  listeners.tell();
  await until(() => heard.length === 1);
});
