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
  const at = (ttl: unknown, isError = false) =>
    kept.finished(kept.finish('ann', { isError }, ttl), 'ann');
  expect(at(5000)).toMatchObject({ task: { status: 'completed', ttl: 5000 } });
  expect(at(1e9, true)).toMatchObject({
    task: { status: 'failed', ttl: 600_000 },
    result: '{"isError":true}',
  });
  for (const ttl of [undefined, -1, '5']) expect(at(ttl)?.task['ttl']).toBe(600_000);
  expect(at(Number.MIN_VALUE)).toBeUndefined(); // over when it is asked for
  expect(kept.finished('another', 'ann')).toBeUndefined();
});

test('14.2 tasks: a result is of the caller alone whose call has left it', () => {
  const kept = new KeptTasks();
  const id = kept.finish('ann', {}, undefined);
  expect(kept.finished(id, 'ann')).toBeDefined();
  for (const other of ['bob', '', '__proto__', 'constructor'])
    expect(kept.finished(id, other)).toBeUndefined();
  expect([kept.isOwn(id), kept.isOwn('authplane-1'), kept.isOwn('__proto__')]).toEqual([
    true,
    false,
    false,
  ]);
});

test('14.6: their memory is bounded, and whoever leaves most there forgets his own', () => {
  const kept = new KeptTasks();
  const ofAnn = kept.finish('ann', { content: 'a'.repeat(5_000_000) }, undefined);
  const long = { content: 'b'.repeat(10_000_000) };
  const ofBob = Array.from({ length: 20 }, () => kept.finish('bob', long, undefined));
  expect(kept.finished(ofAnn, 'ann')).toBeDefined();
  expect(ofBob.filter((id) => kept.finished(id, 'bob') !== undefined)).toEqual(ofBob.slice(-2));
  const short = Array.from({ length: 10_000 }, () => kept.finish('bob', {}, undefined));
  expect(short.filter((id) => kept.finished(id, 'bob') !== undefined)).toEqual(short.slice(-64));
  const many = Array.from({ length: 20_000 }, (_, at) =>
    kept.finish(`caller ${at}`, {}, undefined),
  );
  const left = many.filter((id, at) => kept.finished(id, `caller ${at}`) !== undefined);
  expect([left.length > 5000, left.length < 17_000]).toEqual([true, true]);
});
