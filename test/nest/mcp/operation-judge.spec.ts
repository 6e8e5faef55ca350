import { describe, expect, it } from 'vitest';
import { type AuthplaneEvent, Events } from '../../../src/core/events.js';
import {
  InvalidRequestError,
  OperationRefusedError,
} from '../../../src/core/errors/request-errors.js';
import type { Eventually } from '../../../src/core/lib/deadline.js';
import { listsIn, operationsOf, tasksOf, methodsOf } from '../../../src/core/mcp/json-rpc.js';
import type { McpOptions } from '../../../src/core/mcp/settings.js';
import { McpHiding } from '../../../src/nest/mcp/answers/hiding.js';
import { OperationTable } from '../../../src/nest/mcp/declared-operations.js';
import type { McpRequest } from '../../../src/nest/mcp/mcp-request.js';
import { OperationJudge } from '../../../src/nest/mcp/operation-judge.js';
import { McpState } from '../../../src/nest/mcp/state/server-state.js';
import { ownerOf } from '../../../src/nest/mcp/state/state-owners.js';
import { callerOf } from '../../support/tokens/callers.js';

function start(options: McpOptions) {
  const heard: AuthplaneEvent[] = [];
  const events = new Events();
  events.onEvent((event) => void heard.push(event));
  const state = new McpState();
  const table = new OperationTable(options, events);
  const judge = new OperationJudge(options, table, state, new McpHiding(), events);
  const judged = (body: unknown, scopes: string[] = []) =>
    judge.judge(requestOf(body), callerOf(scopes));
  return { judge, judged, state, heard };
}

const requestOf = (body: unknown, more: Partial<McpRequest> = {}): McpRequest => ({
  ...{ operations: [...operationsOf(body), ...methodsOf(body)], tasks: tasksOf(body) },
  ...{ lists: listsIn(body), wantsTasks: false, mayMakeTask: false, isOpen: true, ...more },
});
const call = (name: string) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
const read = (uri: string) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'resources/read',
  params: { uri },
});

/** Of rules that are not asynchronous. */
function known<T>(value: Eventually<T>): T {
  if (value instanceof Promise) throw new Error('a promise');
  return value;
}

describe('what the operations of a request need', () => {
  const options = { tools: { read: ['a'], write: { all: ['b'], any: ['c', 'd'] } } };

  it('together', () => {
    const { judged } = start(options);
    const { needs, hidden, rules } = known(judged([call('read'), call('write'), call('open')]));
    expect([...needs.all].sort()).toEqual(['a', 'b']);
    expect(needs.anyOf).toEqual([['c', 'd']]);
    expect([hidden, rules]).toEqual([[], []]);
    expect(known(judged({ method: 'ping' })).needs).toEqual({ all: [], anyOf: [] });
  });

  it('a problem of the body is thrown', () => {
    const { judge } = start(options);
    const problem = new InvalidRequestError('unread');
    expect(() => judge.judge(requestOf({}, { problem }), callerOf([]))).toThrow(problem);
  });
});

describe('a rule that refuses', () => {
  const fault = new TypeError('x');
  const options: McpOptions = {
    tools: {
      never: () => false,
      broken: () => {
        throw fault;
      },
      later: async () => false as const,
      needs: async () => ['late'],
    },
  };

  it('is an error that names the operation, and no event', () => {
    const { judged, heard } = start(options);
    expect(() => judged([call('x'), call('never')])).toThrow(OperationRefusedError);
    expect(() => judged(call('never'))).toThrow('tools/call "never": its rule refuses this caller');
    expect(heard).toEqual([]);
  });

  it('by a fault of its own is an event as well', () => {
    const { judged, heard } = start(options);
    expect(() => judged(call('broken'))).toThrow('tools/call "broken": its rule failed');
    expect(heard).toEqual([
      {
        type: 'rule_failed',
        operation: { method: 'tools/call', name: 'broken' },
        reason: 'its rule failed',
        fault,
      },
    ]);
  });

  it('may be asynchronous', async () => {
    const { judged } = start(options);
    await expect(judged([call('later')])).rejects.toThrow('"later": its rule refuses this caller');
    expect(await judged(call('needs'))).toMatchObject({ needs: { all: ['late'] } });
  });
});

describe('unknownMethods: refuse', () => {
  const { judged } = start({ unknownMethods: 'refuse', methods: { 'notes/sync': ['a'] } });

  it('refuses methods of neither MCP nor the options', () => {
    expect(() => judged({ method: 'notes/other' })).toThrow(
      'notes/other "notes/other": a method that nobody knows',
    );
    expect(known(judged({ method: 'notes/sync' })).needs.all).toEqual(['a']);
    expect(known(judged({ method: 'ping' })).needs.all).toEqual([]);
  });

  it('is not the default', () => {
    expect(known(start({}).judged({ method: 'notes/other' })).needs.all).toEqual([]);
  });
});

describe('what is hidden', () => {
  const resources = { 'notes://secret/{id}': ['s'], 'notes://{kind}/{id}': ['a'] };
  const options: McpOptions = { list: 'hide', tools: { read: ['a'] }, resources };

  it('is asked for by another name, and its scopes are nobody’s', () => {
    const { judged } = start(options);
    const { needs, hidden } = known(judged([call('read'), call('open')]));
    expect(needs).toEqual({ all: [], anyOf: [] });
    expect(hidden).toMatchObject([{ method: 'tools/call', name: 'read' }]);
    expect(hidden[0]?.standIn).not.toBe('read');
  });

  it('is not, for whoever has its scopes', () => {
    const { judged } = start(options);
    expect(known(judged(call('read'), ['a']))).toMatchObject({ needs: { all: ['a'] }, hidden: [] });
  });

  it('9.9: a URI is judged as its siblings are, which others may serve', () => {
    const { judged } = start({ list: 'show', resources: { 'notes://{kind}/{id}': ['a'] } });
    expect(known(judged(read('notes://secret/1'))).needs.all).toEqual(['a']);
    const hiding = start(options);
    expect(known(hiding.judged(read('notes://secret/1'), ['a'])).hidden).toHaveLength(1);
  });

  it('is refused where every stand-in is hidden, too', () => {
    const { judged } = start({ list: 'hide', resources: { '{+uri}': ['a'] } });
    expect(() => judged(read('notes://a'))).toThrow('its URI cannot be hidden');
  });

  it('by a rule that has to be waited for', async () => {
    const { judged } = start({ list: 'hide', tools: { read: async () => ['a'] } });
    expect((await judged(call('read'))).hidden).toMatchObject([{ name: 'read' }]);
    expect((await judged(call('read'), ['a'])).hidden).toEqual([]);
    const catchAll = start({ list: 'hide', resources: { '{+uri}': async () => ['a'] } });
    await expect(catchAll.judged(read('notes://a'))).rejects.toThrow('its URI cannot be hidden');
  });
});

describe('tasks', () => {
  const get = (taskId: string) => ({
    jsonrpc: '2.0',
    id: 1,
    method: 'tasks/get',
    params: { taskId },
  });
  const made = (taskId: string) => ({ result: { task: { taskId } } });
  const needs = { all: ['a'], anyOf: [] };

  it('need what the call needed that has made them, and look unknown to all others', () => {
    const { judged, state } = start({});
    state.tasks.learn(made('mine'), ownerOf(callerOf([])), needs);
    state.tasks.learn(made('theirs'), 'somebody else', needs);
    expect(known(judged(get('mine')))).toMatchObject({ needs, hidden: [] });
    for (const id of ['theirs', 'nobody’s']) {
      expect(known(judged(get(id)))).toMatchObject({ needs: { all: [] }, hidden: [{ name: id }] });
    }
  });

  it('are hidden where scopes hide, once the scopes are gone', () => {
    const { judged, judge, state } = start({ list: 'hide', tools: { read: ['a'] } });
    state.tasks.learn(made('mine'), ownerOf(callerOf([])), needs);
    expect(known(judged(get('mine'))).hidden).toHaveLength(1);
    expect(known(judged(get('mine'), ['a'])).hidden).toEqual([]);
    expect(judge.showsTask('mine', callerOf([]))).toBe(false);
  });

  it('are shown in lists to whoever may ask for them', () => {
    const { judge, state } = start({});
    state.tasks.learn(made('mine'), ownerOf(callerOf([])), needs);
    state.tasks.learn(made('theirs'), 'somebody else', needs);
    const shows = (id: string, scopes: string[]) => judge.showsTask(id, callerOf(scopes));
    expect([shows('mine', ['a']), shows('mine', []), shows('theirs', ['a'])]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
