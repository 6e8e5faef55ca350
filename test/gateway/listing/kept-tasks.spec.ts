import { expect, test } from 'vitest';
import { KeptTasks } from '../../../src/gateway/listing/kept-tasks.js';

test('14.2 tasks: a session has the newest 64 of its own; one that is cancelled stays so', () => {
  const kept = new KeptTasks();
  const [one, other] = [{}, {}];
  for (let at = 0; at < 70; at++) kept.note(one, { taskId: `t${at}`, status: 'working' });
  expect(kept.of(one).map(({ taskId }) => taskId)).toEqual(
    Array.from({ length: 64 }, (_, at) => `t${at + 6}`),
  );
  expect(kept.of(other)).toEqual([]);
  kept.note(one, { taskId: 't6', status: 'cancelled' });
  expect(kept.note(one, { taskId: 't6', status: 'completed' })).toEqual({
    taskId: 't6',
    status: 'cancelled',
  });
});

test('14.2 tasks: a result is kept for as long as the client wants, ten minutes at most', () => {
  const kept = new KeptTasks();
  const at = (ttl: unknown, isError = false) => kept.finished(kept.finish({ isError }, ttl));
  expect(at(5000)).toMatchObject({ task: { status: 'completed', ttl: 5000 } });
  expect(at(1e9, true)).toMatchObject({
    task: { status: 'failed', ttl: 600_000 },
    result: '{"isError":true}',
  });
  for (const ttl of [undefined, -1, '5']) expect(at(ttl)?.task['ttl']).toBe(600_000);
  expect(at(Number.MIN_VALUE)).toBeUndefined(); // over when it is asked for
  expect(kept.finished('another')).toBeUndefined();
});

test('14.2 tasks: their memory is bounded, however many there are and however long they are', () => {
  const kept = new KeptTasks();
  const long = { content: 'a'.repeat(20_000_000) };
  const ids = Array.from({ length: 6 }, () => kept.finish(long, undefined));
  expect(ids.filter((id) => kept.finished(id) !== undefined).length).toBeLessThan(5);
  const short = Array.from({ length: 21_000 }, () => kept.finish({}, undefined));
  expect(kept.finished(short[0]!)).toBeUndefined();
  expect(kept.finished(short.at(-1)!)).toBeDefined();
});
