/**
 * What a gateway costs the main thread of its process: calls that are passed through and calls of sessions, against a
 * plain forwarder (guard, `fetchAs`, pipe) in the same process; a merged list, against serialising it once; and
 * the heap of callers who are idle. Authorization server, upstreams and clients are other processes.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { application, ask, child, MANY, message, modern, RESOURCE, TOOLS } from './gateway-app.js';
import { mainThreadCpu, processCpu } from './lib/cpu.js';
import { interleave } from './lib/interleave.js';
import { again, compare, keep, report } from './lib/report.js';

const isFull = process.env.FULL === '1';
const CALLS = 60;
const ROUNDS = isFull ? 41 : 21;
const IDLE = isFull ? 1000 : 300;
const LISTS = 5;
const OPENING = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} };
/** Nobody calls twice as the same user. */
let next = 0;

await measure();

async function measure() {
  const target = await child('upstream');
  const server = await child('server', target.said);
  const load = await child('client');
  const app = await application({ target: target.said, issuer: server.said });
  const token = await ask(server, 'user-1');

  const sendTo = (path, messages) => ask(load, { url: new URL(path, RESOURCE).href, messages });
  const slice = (path, one, count = CALLS) => {
    const messages = Array.from({ length: count }, () => one);
    return async () => {
      const before = { main: mainThreadCpu(), process: processCpu(), wall: performance.now() };
      await sendTo(path, messages);
      return {
        wall: ((performance.now() - before.wall) * 1000) / count,
        main: (mainThreadCpu() - before.main) / count,
        process: (processCpu() - before.process) / count,
      };
    };
  };
  const args = { day: 'fri' };
  const { session } = await sendTo('/mcp', [message('initialize', OPENING, token)]);
  const inSession = (name) =>
    message('tools/call', { name, arguments: args }, token, { 'mcp-session-id': session });
  const forwarded = modern('tools/call', { name: 'echo', arguments: args }, token);
  const calls = {
    forwarder: slice('/plain', forwarded),
    [again('forwarder')]: slice('/plain', forwarded),
    'passed through': slice(
      '/mcp',
      modern('tools/call', { name: 'up__echo', arguments: args }, token),
    ),
    'session to session': slice('/mcp', inSession('old__echo')),
    'session to 2026-07-28': slice('/mcp', inSession('up__echo')),
    '2026-07-28 to session': slice(
      '/mcp',
      modern('tools/call', { name: 'old__echo', arguments: args }, token),
    ),
    'a proxy without a guard': slice('/open', forwarded),
    'direct, without a gateway': slice(`${target.said}/mcp`, forwarded),
  };
  const most = (limit) => ({ metric: 'main', most: limit });
  const goals = {
    'passed through': [most(1.15), { of: 'rate', to: 'a proxy without a guard', least: 0.85 }],
    'session to session': most(1.5),
    'session to 2026-07-28': most(1.5),
    '2026-07-28 to session': most(1.5),
  };
  const rows = compare(await interleave(calls, { rounds: ROUNDS, warmUps: 5 }), {
    base: 'forwarder',
    goals,
  });
  report('gateway', 'One call of a tool through the gateway', rows);

  const list = modern('tools/list', {}, token);
  const text = await listed(RESOURCE, list);
  const parsed = JSON.parse(text);
  assert.equal(parsed.result.tools.length, MANY * TOOLS + 2);
  const serialise = async () => {
    const before = { main: mainThreadCpu(), process: processCpu(), wall: performance.now() };
    for (let times = 0; times < LISTS; times++) JSON.stringify(parsed);
    return {
      wall: ((performance.now() - before.wall) * 1000) / LISTS,
      main: (mainThreadCpu() - before.main) / LISTS,
      process: (processCpu() - before.process) / LISTS,
    };
  };
  const lists = {
    'serialised once': serialise,
    [again('serialised once')]: serialise,
    'listed, warm': slice('/mcp', list, LISTS),
  };
  const listRows = compare(await interleave(lists, { rounds: isFull ? 21 : 9 }), {
    base: 'serialised once',
    goals: { 'listed, warm': most(3) },
  });
  report('gateway-list', `A list of ${MANY} upstreams with ${TOOLS} tools each`, listRows);

  await idle(server, sendTo);
  await app.close();
  for (const { process: one } of [target, server, load]) one.kill();
}

/** Callers who have listed and called, and clients in sessions who have called two upstreams, and do nothing now. */
async function idle(server, sendTo) {
  if (globalThis.gc === undefined) return;
  const bytes = {
    caller: await heapOf(async (token) => {
      const call = modern('tools/call', { name: 'up__echo', arguments: {} }, token);
      await sendTo('/mcp', [modern('tools/list', {}, token), call]);
    }, server),
    session: await heapOf(async (token) => {
      const { session } = await sendTo('/mcp', [message('initialize', OPENING, token)]);
      const call = (name) =>
        message('tools/call', { name, arguments: {} }, token, { 'mcp-session-id': session });
      await sendTo('/mcp', [call('up__echo'), call('old__echo')]);
    }, server),
  };
  for (const [who, size] of Object.entries(bytes))
    console.log(`heap of an idle ${who}: ${(size / 1000).toFixed(1)} kB`);
  keep('gateway-idle', { upstreams: MANY + 2, bytes });
}

/** What is left of each after so many of them. */
async function heapOf(visit, server) {
  const visits = async (count) => {
    for (let index = 0; index < count; index++) await visit(await ask(server, `user-${next++}`));
    for (let times = 0; times < 3; times++) globalThis.gc();
    return process.memoryUsage().heapUsed;
  };
  await visits(20);
  const before = await visits(0);
  return ((await visits(IDLE)) - before) / IDLE;
}

async function listed(url, { headers, body }) {
  const response = await globalThis.fetch(url, { method: 'POST', headers: { ...headers }, body });
  return response.text();
}
