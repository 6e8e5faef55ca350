import { expect, test } from 'vitest';
import { heldAnswer } from '../../../src/gateway/tasks/held-answers.js';
import { TASKS } from '../../support/gateway/task-servers.js';
import { askingAs } from '../../support/gateway/upstream-objects.js';

const DECLARED = { _meta: { 'io.modelcontextprotocol/clientCapabilities': TASKS } };

/** One task, of one caller. */
function ask(method: string, params: object, who = 'ann') {
  const done: unknown[] = [];
  const task = {
    state: () => Promise.resolve({ taskId: 'ours', status: 'working' }),
    update: (responses: unknown) => done.push(responses),
    cancel: () => Promise.resolve(done.push('cancelled')),
  };
  const find = (id: unknown, key: string) => (id === 'ours' && key === 'ann' ? task : undefined);
  const answered = heldAnswer({ id: 7, method, params: params as never }, askingAs(who), {
    find,
  } as never);
  return answered.then(({ text }) => ({ ...JSON.parse(text), done }));
}

test('14.2 tasks: each method that the extension has', async () => {
  const mine = { ...DECLARED, taskId: 'ours', inputResponses: { a: {} } };
  expect(await ask('tasks/get', mine)).toMatchObject({
    id: 7,
    result: { resultType: 'complete', taskId: 'ours', status: 'working' },
  });
  const empty = { resultType: 'complete' };
  expect(await ask('tasks/update', mine)).toMatchObject({ result: empty, done: [{ a: {} }] });
  expect(await ask('tasks/cancel', mine)).toMatchObject({ result: empty, done: ['cancelled'] });
  await expect(ask('tasks/result', mine)).rejects.toMatchObject({ rpc: { code: -32601 } });
});

test('14.2 tasks: none of somebody else, and none without the extension', async () => {
  const mine = { ...DECLARED, taskId: 'ours' };
  await expect(ask('tasks/get', mine, 'bob')).rejects.toThrow('Unknown task');
  await expect(ask('tasks/get', { ...mine, taskId: 'other' })).rejects.toThrow('Unknown task');
  await expect(ask('tasks/get', { taskId: 'ours' })).rejects.toMatchObject({
    status: 400,
    rpc: { code: -32021, data: { requiredCapabilities: TASKS } },
  });
});
