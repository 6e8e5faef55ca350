import { expect, test } from 'vitest';
import { HeldQuestions } from '../../../src/gateway/tasks/held-questions.js';

const question = (id: unknown) => ({ id, method: 'roots/list', params: { at: String(id) } });
const answer = { result: {} };

test('14.1: a question is taken back under the very id', () => {
  const open = new HeldQuestions();
  for (const id of [1, '1', null, '__proto__']) expect(open.ask(question(id))).toBe(true);
  expect(Object.keys(open.shown()!)).toHaveLength(4);
  expect([2, undefined, 'null', {}].map((id) => open.withdraw(id))).not.toContain(true);
  expect([open.withdraw(1), open.withdraw(1)]).toEqual([true, false]);
  expect(Object.values(open.shown()!)).toEqual([
    { method: 'roots/list', params: { at: '1' } },
    { method: 'roots/list', params: { at: 'null' } },
    { method: 'roots/list', params: { at: '__proto__' } },
  ]);
  open.clear();
  expect([open.isEmpty, open.shown()]).toEqual([true, undefined]);
});

test('14.1: each has one answer, and stays open until that has arrived', async () => {
  const open = new HeldQuestions();
  open.ask(question(1));
  const [key = ''] = Object.keys(open.shown()!);
  const delivered: unknown[] = [];
  const failing = open.answer(key, answer, () => Promise.reject(new Error('away')));
  expect([open.shown(), open.isEmpty]).toEqual([undefined, false]);
  await expect(failing).rejects.toThrow('away');
  const deliver = async (id: unknown) => void delivered.push(id);
  await Promise.all([open.answer(key, answer, deliver), open.answer(key, answer, deliver)]);
  for (const other of ['__proto__', 'constructor', 'question-2'])
    await open.answer(other, answer, deliver);
  expect([delivered, open.isEmpty]).toEqual([[1], true]);
});

test('14.1: one that is taken back while its answer is on the way is not asked again', async () => {
  const open = new HeldQuestions();
  open.ask(question(1));
  const [key = ''] = Object.keys(open.shown()!);
  let fail: (error: Error) => void = () => undefined;
  const answering = open.answer(key, answer, () => new Promise((_, reject) => (fail = reject)));
  open.withdraw(1);
  fail(new Error('away'));
  await expect(answering).rejects.toThrow('away');
  expect(open.shown()).toBeUndefined();
});

test('14.6: there are 32 of one task', () => {
  const open = new HeldQuestions();
  for (let id = 0; id < 32; id++) open.ask(question(id));
  expect(open.ask(question(32))).toBe(false);
  open.withdraw(0);
  expect(open.ask(question(33))).toBe(true);
});
