/**
 * How long calls to one upstream take while another is called that hangs, is slow, answers with garbage or is gone:
 * the slowest of each hundred, to the same beside an upstream that is well and called as often.
 */
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { none } from 'authplane-nestjs/gateway';
import { application, ask, child, modern, RESOURCE } from './gateway-app.js';
import { mainThreadCpu, processCpu } from './lib/cpu.js';
import { interleave } from './lib/interleave.js';
import { again, compare, report } from './lib/report.js';

const isFull = process.env.FULL === '1';
const CALLS = Number(process.env.BENCH_CALLS ?? 1000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? (isFull ? 31 : 7));
/** Six calls to the other upstream at once, ten times a second where it answers. */
const BESIDE = 6;
const EVERY_MS = 100;
const TIMEOUT_MS = 1500;
const BROKEN = { hangs: 'hangs', slow: 'is slow', garbage: 'sends garbage', gone: 'is gone' };

const target = await child('upstream');
const others = await child('upstream');
const gone = await child('upstream');
gone.process.kill();
await once(gone.process, 'exit');
const server = await child('server', target.said);
const app = await application({ target: target.said, issuer: server.said, more: otherUpstreams() });
const load = await child('client');
const beside = await child('client');
const token = await ask(server, 'user-1');

const named = (name) => modern('tools/call', { name, arguments: {} }, token);
const timed = Array.from({ length: CALLS }, () => named('up__echo'));
const cases = {
  'beside one that is well': whileCalled('well'),
  [again('beside one that is well')]: whileCalled('well'),
  ...eachBroken(whileCalled),
};
const atMost = { metric: 'wall', most: 1.2 };
const rows = compare(await interleave(cases, { rounds: ROUNDS }), {
  base: 'beside one that is well',
  goals: eachBroken(() => atMost),
  steady: 'wall',
  within: 0.2, // the slowest of many vary more than their mean, and 20 % is what the goal is about
});
report('gateway-faults', 'The slowest of each hundred calls, beside another upstream', rows);
await app.close();
for (const { process: one } of [target, others, server, load, beside]) one.kill();

function otherUpstreams() {
  const options = { token: none(), timeoutMs: TIMEOUT_MS, breaker: false };
  const urls = {
    well: `${others.said}/mcp`,
    ...Object.fromEntries(Object.keys(BROKEN).map((name) => [name, `${others.said}/${name}`])),
    gone: `${gone.said}/mcp`,
  };
  return Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, { url, ...options }]));
}

function eachBroken(of) {
  return Object.fromEntries(
    Object.entries(BROKEN).map(([name, does]) => [`beside one that ${does}`, of(name)]),
  );
}

/** A slice: the slowest of each hundred, and the CPU of one call. */
function whileCalled(name) {
  const messages = Array.from({ length: BESIDE }, () => named(`${name}__echo`));
  return async () => {
    const stopped = ask(beside, { url: RESOURCE, messages, everyMs: EVERY_MS });
    const before = { main: mainThreadCpu(), process: processCpu(), wall: performance.now() };
    const { times } = await ask(load, { url: RESOURCE, messages: timed });
    const used = { main: mainThreadCpu() - before.main, process: processCpu() - before.process };
    beside.process.send({ isStopped: true });
    const { statuses } = await stopped;
    requireStatus(name, statuses);
    times.sort((one, more) => one - more);
    return {
      wall: times[Math.ceil(CALLS * 0.99) - 1] * 1000,
      main: used.main / CALLS,
      process: used.process / CALLS,
    };
  };
}

/** A fault that is none would compare nothing. What is passed through is not read, so garbage arrives as it is. */
function requireStatus(name, statuses) {
  const isRefused = ['hangs', 'gone'].includes(name);
  if (statuses.every((status) => (status === 200) === isRefused))
    throw new Error(`one that is ${name} answers ${statuses}`);
}
