import { describe, expect, test } from 'vitest';
import { OperationRouter } from '../../../src/gateway/listing/operation-router.js';
import { RpcError, UnknownOperationError } from '../../../src/gateway/wire/gateway-errors.js';

const route = (own: string) => ({
  upstream: { name: 'cal', isLocal: false },
  item: { own },
});
/** Where names lead: `cal_list` to the tool `list` of an upstream, and so on. */
const routes = {
  named: async (kind: string, name: string) => {
    if (kind === 'tools' && name === 'cal_list') return route('list');
    return kind === 'prompts' && name === 'cal_plan' ? route('plan') : undefined;
  },
  resource: async (uri: string) => (uri === 'cal://a' ? route(uri) : undefined),
  template: async (text: string) => (text === 'cal://{id}' ? route(text) : undefined),
};
const tasks = {
  route: (method: string, params: object) =>
    method === 'tasks/get' ? ({ route: route('task'), params, name: 'task' } as never) : undefined,
};
const router = new OperationRouter(routes as never, tasks);

function routed(method: string, params: Record<string, unknown>, reader: object = {}) {
  return router.route(method, params, reader as never, () => undefined);
}

describe('OperationRouter', () => {
  test.each([
    ['tools/call', { name: 'cal_list', arguments: { a: 1 } }, 'list'],
    ['prompts/get', { name: 'cal_plan' }, 'plan'],
  ])('%s goes to the upstream under its own name', async (method, params, own) => {
    const found = await routed(method, params);
    expect(found).toMatchObject({ name: own, params: { ...params, name: own } });
    expect(found?.route.upstream.name).toBe('cal');
  });

  test('a URI stays as it is', async () => {
    const found = await routed('resources/read', { uri: 'cal://a' });
    expect(found).toMatchObject({ name: 'cal://a', params: { uri: 'cal://a' } });
  });

  test('a completion names what it completes in its own words, and nothing in the header', async () => {
    const prompt = { type: 'ref/prompt', name: 'cal_plan' };
    const argument = { name: 'a', value: 'b' };
    expect(await routed('completion/complete', { ref: prompt, argument })).toMatchObject({
      ...{ name: undefined, params: { ref: { type: 'ref/prompt', name: 'plan' }, argument } },
    });
    const resource = { type: 'ref/resource', uri: 'cal://{id}' };
    expect(await routed('completion/complete', { ref: resource })).toMatchObject({
      params: { ref: resource },
    });
  });

  test('what is about a task goes where the task is, and is judged again all the same', async () => {
    let judged = 0;
    const params = { taskId: 'x' };
    const found = await router.route('tasks/get', params, {} as never, () => void judged++);
    expect(found).toMatchObject({ name: 'task', params });
    expect(judged).toBe(1);
    const refusing = () => {
      throw new RpcError(200, { code: -1, message: 'no' });
    };
    await expect(router.route('tasks/get', params, {} as never, refusing)).rejects.toThrow('no');
  });

  test.each(['tools/list', 'ping', 'initialize', 'notes/sync'])(
    '%s is no operation',
    async (method) => {
      expect(await routed(method, { name: 'cal_list' })).toBeUndefined();
    },
  );

  test.each([
    ['tools/call', { name: 'other' }, 'Unknown tool: other'],
    ['prompts/get', { name: 'other' }, 'Unknown prompt: other'],
    ['resources/read', { uri: 'cal://b' }, 'Unknown resource: cal://b'],
  ])('%s of %j leads nowhere', async (method, params, problem) => {
    const unknown = routed(method, params);
    await expect(unknown).rejects.toThrow(UnknownOperationError);
    await expect(unknown).rejects.toThrow(problem);
  });

  test.each([
    ['tools/call', {}, 'name'],
    ['tools/call', { name: 5 }, 'name'],
    ['resources/read', { uri: ['cal://a'] }, 'uri'],
    ['completion/complete', {}, 'uri'],
  ])('%s of %j is no question', async (method, params, member) => {
    const wrong = routed(method, params);
    await expect(wrong).rejects.toThrow(RpcError);
    await expect(wrong).rejects.toThrow(`Invalid params: ${member} must be a string`);
  });

  test('what a view does not show is unknown, and nobody is asked', async () => {
    const hidden = routed('tools/call', { name: 'cal_list' }, { isShown: () => false });
    await expect(hidden).rejects.toThrow('Unknown tool: cal_list');
  });

  test('tells where it goes before the guard judges once more', async () => {
    const order: string[] = [];
    const reader = { onRoute: (upstream: string) => void order.push(upstream) };
    const judged = async () => void order.push('judged');
    await router.route('tools/call', { name: 'cal_list' }, reader as never, judged);
    expect(order).toEqual(['cal', 'judged']);
  });

  test('a name that the guard has hidden meanwhile is unknown, by the name it put there', async () => {
    const params = { name: 'cal_list' };
    const hide = () => void (params.name = 'stand-in');
    const hidden = router.route('tools/call', params, {} as never, hide);
    await expect(hidden).rejects.toThrow('Unknown tool: stand-in');
  });

  test('what the guard refuses goes nowhere', async () => {
    const refuse = () => Promise.reject(new Error('refused'));
    const refused = router.route('tools/call', { name: 'cal_list' }, {} as never, refuse);
    await expect(refused).rejects.toThrow('refused');
  });
});
