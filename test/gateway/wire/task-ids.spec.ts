import { expect, test } from 'vitest';
import { TaskIds } from '../../../src/gateway/wire/task-ids.js';

const SECRET = 'a secret of at least 32 characters';
const owner = { upstream: 'calendar', callerKey: 'issuer\0ann\0agent', tool: 'plan' };

test('14.9a: an id is good for its caller alone, in every process with the secret', () => {
  const id = new TaskIds(SECRET).wrap('t.1', owner);
  expect(id).not.toContain('t.1');
  expect(new TaskIds(SECRET).unwrap(id, owner.callerKey)).toEqual({
    upstream: 'calendar',
    taskId: 't.1',
    tool: undefined,
  });
  expect(new TaskIds(SECRET).unwrap(id, 'issuer\0bob\0agent')).toBeUndefined();
  expect(new TaskIds(undefined).unwrap(id, owner.callerKey)).toBeUndefined();
});

test('14.9a: the tool that has made it is remembered', () => {
  const ids = new TaskIds(SECRET);
  expect(ids.unwrap(ids.wrap('t', owner), owner.callerKey)?.tool).toBe('plan');
});

test.each([undefined, 1, '', '.', 'a.b', 'x'.repeat(5000)])('14.9a: %p is no task', (id) => {
  expect(new TaskIds(SECRET).unwrap(id, owner.callerKey)).toBeUndefined();
});

test('14.9a: every place of an id in a message, and no other', () => {
  const ids = new TaskIds(SECRET);
  const wrapped = ids.wrap('t', owner);
  const task = { taskId: 't', status: 'working' };
  const mine = { ...task, taskId: wrapped };
  const related = { 'io.modelcontextprotocol/related-task': { taskId: 't' }, other: 1 };
  const other = { structuredContent: { taskId: 't' } };
  for (const [before, after] of [
    [{ result: { resultType: 'task', ...task } }, { result: { resultType: 'task', ...mine } }],
    [{ result: { task } }, { result: { task: mine } }],
    [{ result: { tasks: [task, 1] } }, { result: { tasks: [mine, 1] } }],
    [
      { method: 'notifications/tasks/status', params: task },
      { method: 'notifications/tasks/status', params: mine },
    ],
    [
      { method: 'elicitation/create', params: { _meta: related } },
      {
        method: 'elicitation/create',
        params: {
          _meta: { 'io.modelcontextprotocol/related-task': { taskId: wrapped }, other: 1 },
        },
      },
    ],
    [{ result: other }, { result: other }],
    [{ error: { code: 1 } }, { error: { code: 1 } }],
  ]) {
    expect(ids.wrapIn(before!, owner)).toEqual(after);
  }
});
