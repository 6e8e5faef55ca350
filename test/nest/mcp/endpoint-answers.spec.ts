import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { type AuthplaneEvent, Events } from '../../../src/core/events.js';
import type { McpOptions } from '../../../src/core/mcp/settings.js';
import type { Caller } from '../../../src/core/token/caller.js';
import type { HttpExchange } from '../../../src/nest/http/exchange.js';
import { McpHiding } from '../../../src/nest/mcp/answers/hiding.js';
import { OperationTable } from '../../../src/nest/mcp/declared-operations.js';
import { EndpointAnswers } from '../../../src/nest/mcp/endpoint-answers.js';
import { MAYBE_STREAM, McpRequestReader } from '../../../src/nest/mcp/mcp-request.js';
import { OperationJudge } from '../../../src/nest/mcp/operation-judge.js';
import { McpState } from '../../../src/nest/mcp/state/server-state.js';
import { ownerOf } from '../../../src/nest/mcp/state/state-owners.js';
import { bodyOf, cleanUp, sendJson, serve } from '../../support/servers/http-servers.js';
import { callerOf } from '../../support/tokens/callers.js';

afterAll(cleanUp);

type Server = (request: IncomingMessage, response: ServerResponse, body: unknown) => void;

/** A server whose requests are judged and whose answers are watched, for one caller. */
async function start(options: McpOptions, server: Server, caller: Caller = callerOf([])) {
  const heard: AuthplaneEvent[] = [];
  const events = new Events();
  events.onEvent((event) => void heard.push(event));
  const state = new McpState();
  const table = new OperationTable(options, events);
  const hiding = new McpHiding();
  const judge = new OperationJudge(options, table, state, hiding, events);
  const answers = new EndpointAnswers(options, table, state, hiding, judge, events);
  const reader = new McpRequestReader('https://mcp.example.com/mcp', options, table, state);
  const { url } = await serve(async (request, response) => {
    const text = await bodyOf(request);
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    Object.assign(request, { body });
    const exchange = { request, reply: response } as HttpExchange;
    const isEndpoint = request.url === '/mcp';
    const asked = reader.read(exchange, { isEndpoint });
    if (asked === MAYBE_STREAM || asked === undefined) answers.watchMaybeStream(exchange, caller);
    else {
      const verdict = await judge.judge(asked, caller);
      answers.watch(exchange, caller);
      answers.conceal(exchange, caller, asked, verdict);
    }
    server(request, response, body);
  });
  const send = (body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${url}/mcp`, { method: 'POST', headers, body: JSON.stringify(body) });
  const get = (path = '/mcp', headers: Record<string, string> = {}) =>
    fetch(`${url}${path}`, { headers: { accept: 'text/event-stream', ...headers } });
  return { send, get, answers, state, heard };
}

const message = (method: string, params: object = {}) => ({
  jsonrpc: '2.0',
  id: 1,
  method,
  params,
});
const list = message('tools/list');
const toolNames = async (response: Response) =>
  ((await response.json()) as { result: { tools: { name: string }[] } }).result.tools.map(
    ({ name }) => name,
  );
const TOOLS = { tools: { read: ['a'] } };
const HIDING = { ...TOOLS, list: 'hide' } as const;
const lists: Server = (_request, response) =>
  sendJson(response, { id: 1, result: { tools: [{ name: 'read' }, { name: 'open' }] } });
const stream =
  (...events: string[]): Server =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(events.map((event) => `${event}\n\n`).join(''));
  };

describe('lists', () => {
  it('are without what is hidden from the caller', async () => {
    const { send } = await start(HIDING, lists);
    expect(await toolNames(await send(list))).toEqual(['open']);
    const allowed = await start(HIDING, lists, callerOf(['a']));
    expect(await toolNames(await allowed.send(list))).toEqual(['read', 'open']);
  });

  it('in event streams, too', async () => {
    const event = `data: ${JSON.stringify({ id: 1, result: { tools: [{ name: 'read' }] } })}`;
    const { send, get } = await start(HIDING, stream(event));
    expect(await (await send(list)).text()).toContain('"tools":[]');
    expect(await (await get()).text()).toContain('"tools":[]');
  });

  it('cannot be compressed or compared on their way, or nobody could read them here', async () => {
    const seen: unknown[] = [];
    const asked: Server = ({ headers }, response) => {
      seen.push([
        headers['accept-encoding'],
        headers['if-none-match'],
        headers['if-modified-since'],
      ]);
      sendJson(response, {});
    };
    const conditions = {
      'accept-encoding': 'gzip',
      'if-none-match': '"x"',
      'if-modified-since': 'Mon',
    };
    await (await start(HIDING, asked)).send(list, conditions);
    await (await start({}, asked)).send(list, conditions);
    expect(seen).toEqual([
      [undefined, undefined, undefined],
      ['gzip', '"x"', 'Mon'],
    ]);
  });

  it('9.8: tell which name of the options the server lacks, until all names are known', async () => {
    const options = { tools: { read: ['a'], misspelt: ['a'] } };
    const watching = await start(options, lists);
    await watching.send(list);
    expect(watching.heard).toEqual([{ type: 'unlisted_name', kind: 'tool', name: 'misspelt' }]);
    const knowing = await start(options, lists);
    knowing.answers.knowsAllNames();
    await knowing.send(list);
    expect(knowing.heard).toEqual([]);
  });
});

describe('a hidden operation', () => {
  it('reaches the server under another name, which the answer has no trace of', async () => {
    const asked: string[] = [];
    const echo: Server = (_request, response, body) => {
      const { name } = (body as { params: { name: string } }).params;
      asked.push(name);
      sendJson(response, { id: 1, error: { code: -32602, message: `Tool ${name} not found` } });
    };
    const { send, heard } = await start(HIDING, echo);
    const answer = await send(message('tools/call', { name: 'read' }));
    expect(await answer.json()).toMatchObject({ error: { message: 'Tool read not found' } });
    expect(asked).not.toContain('read');
    expect(heard).toMatchObject([
      { type: 'hidden', operations: [{ method: 'tools/call', name: 'read' }] },
    ]);
  });
});

describe('tasks', () => {
  const makes: Server = (_request, response) =>
    sendJson(response, { id: 1, result: { task: { taskId: 't1' } } });
  const call = message('tools/call', { name: 'open', task: {} });
  const caller = callerOf([]);

  it('are learned from the answers to calls that may make one', async () => {
    const { send, state } = await start(TOOLS, makes);
    await send(message('tools/call', { name: 'open' }));
    expect(state.tasks.needsOf('t1', ownerOf(caller))).toBeUndefined();
    await send(call);
    expect(state.tasks.needsOf('t1', ownerOf(caller))).toEqual({ all: [], anyOf: [] });
  });

  it('of others are in no list', async () => {
    const tasks: Server = (_request, response) =>
      sendJson(response, { id: 1, result: { tasks: [{ taskId: 't1' }, { taskId: 't2' }] } });
    const { send, state } = await start(TOOLS, tasks);
    state.tasks.learn({ result: { task: { taskId: 't2' } } }, ownerOf(caller), {
      all: [],
      anyOf: [],
    });
    expect(await (await send(message('tasks/list'))).json()).toEqual({
      ...{ id: 1, result: { tasks: [{ taskId: 't2' }] } },
    });
  });
});

describe('what belongs to callers', () => {
  const owner = ownerOf(callerOf([]));
  const opens: Server = (_request, response) => {
    response.setHeader('mcp-session-id', 's1');
    sendJson(response, {});
  };

  it('a session that an answer opens', async () => {
    const { send, state } = await start(TOOLS, opens);
    await send(message('initialize'));
    const asked = { headers: { 'mcp-session-id': 's1' }, url: '/mcp' } as never;
    expect(state.sessions.isForeign(asked, 'bob')).toBe(true);
    expect(state.sessions.isForeign(asked, owner)).toBe(false);
  });

  it('the events of a stream: an id of somebody else’s begins anew, and is told', async () => {
    let asked: unknown = 'nothing';
    const { get, state, heard } = await start(TOOLS, (request, response, body) => {
      asked = request.headers['last-event-id'];
      stream('id: e2\ndata: {}')(request, response, body);
    });
    state.events.remember('e1', 'bob');
    await (await get('/mcp', { 'last-event-id': 'e1' })).text();
    expect(asked).toBeUndefined();
    expect(heard).toMatchObject([{ type: 'foreign_event_id', caller: { sub: 'alice' } }]);
    expect(state.events.wasSent('e2', owner)).toBe(true);
  });

  it('a resumed stream is without events that are known to be somebody else’s', async () => {
    const both = stream('id: e1\ndata: {"of":"bob"}', 'id: e2\ndata: {"of":"alice"}');
    const { get, state } = await start(TOOLS, both);
    state.events.remember('e1', 'bob');
    state.events.remember('e0', owner);
    const text = await (await get('/mcp', { 'last-event-id': 'e0' })).text();
    expect(text).toContain('alice');
    expect(text).not.toContain('bob');
  });

  it('nothing, with sessionBinding: false', async () => {
    let asked: unknown;
    const { get, state, heard } = await start(
      { sessionBinding: false },
      (request, response, body) => {
        asked = request.headers['last-event-id'];
        stream('data: {}')(request, response, body);
      },
    );
    state.events.remember('e1', 'bob');
    await (await get('/mcp', { 'last-event-id': 'e1' })).text();
    expect([asked, heard]).toEqual(['e1', []]);
  });
});

describe('a GET on a path that is no endpoint', () => {
  const tools = `data: ${JSON.stringify({ id: 1, result: { tools: [{ name: 'read' }] } })}`;

  it('is a stream of MCP where its first event says so', async () => {
    const sse = stream('event: endpoint\ndata: /messages?sessionId=s1', tools);
    const { get } = await start(HIDING, sse);
    expect(await (await get('/sse')).text()).toContain('"tools":[]');
  });

  it('is left alone otherwise', async () => {
    const { get } = await start(HIDING, stream('data: {"a":1}', tools));
    expect(await (await get('/events')).text()).toContain('"name":"read"');
  });
});
