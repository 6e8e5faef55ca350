/**
 * What a request costs the main thread of a Nest application on Fastify, against the same application without
 * this package. The load comes from this process; each application is another one, and is started anew.
 */
import { Buffer } from 'node:buffer';
import { interleave, joined } from './lib/interleave.js';
import { accessToken, newKey } from './lib/mint.js';
import { again, compare, report } from './lib/report.js';
import { Target } from './lib/target.js';

const isFull = process.env.FULL === '1';
const only = process.env.BENCH_ONLY?.split(',');
const STARTS = Number(process.env.BENCH_STARTS ?? (isFull ? 3 : 1));
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? (isFull ? 13 : 7));

const key = newKey();
process.env.BENCH_KEY = JSON.stringify(key.jwk); // for the applications
const elsewhere = { aud: 'https://mcp.example.com/elsewhere' };
const bearer = (claims) => `authorization: Bearer ${accessToken(key, { claims })}\r\n`;
const CREDENTIALS = { none: '', here: bearer({}), elsewhere: bearer(elsewhere) };

const call = (id) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'query', arguments: { sql: 'select id, name from customers limit 20' } },
});
const BODIES = {
  thing: { sql: 'select id, name from customers limit 20', limit: 20, cursor: null, tags: ['a'] },
  call: call(1),
  batch: Array.from({ length: 50 }, (_, id) => call(id)),
  list: { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} },
};

function post(body, credentials) {
  const text = JSON.stringify(BODIES[body]);
  return Buffer.from(
    `POST /mcp HTTP/1.1\r\nhost: mcp.example.com\r\ncontent-type: application/json\r\n` +
      `accept: application/json, text/event-stream\r\nuser-agent: bench\r\n${CREDENTIALS[credentials]}` +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

function stream(query, credentials) {
  return Buffer.from(
    `GET /mcp?${query} HTTP/1.1\r\nhost: mcp.example.com\r\naccept: text/event-stream\r\n` +
      `${CREDENTIALS[credentials]}\r\n`,
  );
}

/** A case that refuses what must be refused, or it is none. */
async function requireRefusal(name, variant, body, credentials, status) {
  if (only !== undefined && !only.includes(name)) return;
  const target = new Target(variant, post(body, credentials), {
    count: 1,
    connections: 1,
    expect: [status],
  });
  await target.start();
  target.stop();
}

async function table(name, title, base, targets, goals = {}) {
  if (only !== undefined && !only.includes(name)) return;
  const runs = [];
  for (let starts = 0; starts < STARTS; starts++) {
    const running = Object.fromEntries(
      [
        [base.name, base],
        [again(base.name), base],
        ...Object.entries(targets).map(([n, t]) => [n, t]),
      ].map(([row, { make }]) => [row, make()]),
    );
    for (const target of Object.values(running)) await target.start();
    const cases = Object.fromEntries(
      Object.entries(running).map(([row, { slice }]) => [row, slice]),
    );
    runs.push(await interleave(cases, { rounds: ROUNDS, warmUps: 5 }));
    for (const target of Object.values(running)) target.stop();
  }
  report(name, title, compare(joined(runs), { base: base.name, goals }));
}

const at = (variant, request, options) => ({ make: () => new Target(variant, request, options) });
const atMost = (most) => ({ of: 'added', most });
const least = (value) => ({ of: 'rate', least: value });
/** Another build, to see what a change has brought. */
const before = (name, { make }) =>
  process.env.BENCH_BEFORE === undefined
    ? {}
    : {
        [`${name}, before`]: {
          make: () => Object.assign(make(), { env: { BENCH_PACKAGE: process.env.BENCH_BEFORE } }),
        },
      };
const rows = (cases) =>
  Object.assign(
    {},
    ...Object.entries(cases).map(([name, one]) => ({ [name]: one, ...before(name, one) })),
  );

await requireRefusal('http-request', 'plain', 'thing', 'none', 401);
await requireRefusal('http-request', 'plain', 'thing', 'here', 401);
await requireRefusal('http-mcp', 'mcp', 'call', 'elsewhere', 401);
await requireRefusal('http-early', 'early', 'call', 'none', 401);

await table(
  'http-request',
  'One request on a plain controller',
  { name: 'unguarded', ...at('bare', post('thing', 'none')) },
  {
    'a guard that only awaits': at('async', post('thing', 'none')),
    ...rows({
      'no guard on the route': at('open', post('thing', 'none')),
      'token seen before': at('plain', post('thing', 'elsewhere')),
      'the same, AuthContext injected': at('asked', post('thing', 'elsewhere')),
      'no credentials': at('plain', post('thing', 'none'), { expect: [401] }),
    }),
  },
  {
    'no guard on the route': atMost(1),
    'token seen before': [atMost(8), least(0.88)],
    'no credentials': atMost(10),
  },
);
await table(
  'http-mcp',
  'One MCP request, with a decision for each tool',
  { name: 'unguarded', ...at('bare', post('call', 'none')) },
  {
    ...rows({
      'token seen before': at('mcp', post('call', 'here')),
      'no credentials': at('mcp', post('call', 'none'), { expect: [401] }),
    }),
    'no credentials, earlyRefusal': at('early', post('call', 'none'), { expect: [401] }),
    'good token, earlyRefusal': at('early', post('call', 'here')),
  },
  {
    'token seen before': [atMost(11), least(0.85)],
    'no credentials, earlyRefusal': least(1.3),
  },
);
await table(
  'http-batch',
  'A batch of 50 calls',
  { name: 'unguarded', ...at('bare', post('batch', 'none'), { count: 300 }) },
  rows({ 'token seen before': at('mcp', post('batch', 'here'), { count: 300 }) }),
  { 'token seen before': atMost(15) },
);
await table(
  'http-list',
  'A list of 1,000 tools',
  { name: 'unguarded', ...at('bare', post('list', 'none'), { count: 60, connections: 8 }) },
  {
    'JSON.stringify and JSON.parse': at('reparsed', post('list', 'none'), {
      count: 60,
      connections: 8,
    }),
    ...rows({
      'all shown': at('mcp', post('list', 'here'), { count: 60, connections: 8 }),
      '500 hidden': at('hiding', post('list', 'here'), { count: 60, connections: 8 }),
    }),
  },
  { '500 hidden': { to: 'JSON.stringify and JSON.parse', most: 1.2 } },
);
for (const [size, events, count, title] of [
  [200, 1000, 24, '1,000 events of 200 characters'],
  [1_000_000, 1, 24, 'An event of a megabyte'],
]) {
  const query = `events=${events}&size=${size}`;
  const options = { count, connections: 8 };
  await table(
    `http-stream-${size}`,
    title,
    { name: 'unguarded', ...at('bare', stream(query, 'none'), options) },
    rows({
      'nothing hidden': at('mcp', stream(query, 'here'), options),
      'hidden names': at('hiding', stream(query, 'here'), options),
    }),
    { 'nothing hidden': size === 200 ? atMost(1000) : { most: 1.2 } },
  );
}
