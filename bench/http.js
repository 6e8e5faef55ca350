/**
 * What a request costs the main thread of a Nest application on Fastify, against the same application without
 * this package. The load comes from this process; each application is another one, and is started anew.
 */
import { Buffer } from 'node:buffer';
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { interleave, joined } from './lib/interleave.js';
import { accessToken, newKey } from './lib/mint.js';
import { again, compare, report } from './lib/report.js';

const CONNECTIONS = 32;
const isFull = process.env.FULL === '1';
const only = process.env.BENCH_ONLY?.split(',');
const STARTS = Number(process.env.BENCH_STARTS ?? (isFull ? 3 : 1));
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? (isFull ? 25 : 9));

const key = newKey();
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

/** One connection that asks for one thing after the other. */
class Connection {
  #socket;
  #answered = () => undefined;
  #head = '';
  #missing = 0;
  #isChunked = false;
  #tail = '';

  async open(port) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay(true);
    this.#socket.on('data', (data) => this.#read(data));
    await once(this.#socket, 'connect');
  }

  /** @returns the status. */
  ask(request) {
    this.#head = '';
    this.#missing = Infinity;
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.write(request);
    });
  }

  close() {
    this.#socket.destroy();
  }

  #read(data) {
    let rest = data;
    if (this.#missing === Infinity) {
      this.#head += data.latin1Slice();
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /content-length: (\d+)/i.exec(this.#head.slice(0, end))?.[1];
      this.#isChunked = length === undefined;
      rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
      this.#missing = Number(length ?? 0);
      this.#tail = '';
    }
    this.#missing -= rest.length;
    this.#tail = (this.#tail + rest.subarray(-7).latin1Slice()).slice(-7);
    const isOver = this.#isChunked ? this.#tail.endsWith('0\r\n\r\n') : this.#missing === 0;
    if (isOver) this.#answered(Number(this.#head.slice(9, 12)));
  }
}

/** An application that runs, and the load on it. */
class Target {
  #process;
  #connections = [];

  constructor(
    variant,
    request,
    { count = 1200, expect = [201, 200], connections = CONNECTIONS, env = {} } = {},
  ) {
    Object.assign(this, { variant, request, count, expect, connections, env });
  }

  async start() {
    this.#process = fork(fileURLToPath(new URL('http-app.js', import.meta.url)), [this.variant], {
      env: { ...process.env, BENCH_KEY: JSON.stringify(key.jwk), ...this.env },
    });
    const [{ port }] = await once(this.#process, 'message');
    this.#connections = Array.from({ length: this.connections }, () => new Connection());
    await Promise.all(this.#connections.map((one) => one.open(port)));
    await this.slice();
  }

  slice = async () => {
    let left = this.count;
    const before = { wall: performance.now(), ...(await this.#cpu()) };
    await Promise.all(
      this.#connections.map(async (connection) => {
        while (left-- > 0) {
          const status = await connection.ask(this.request);
          assert.ok(this.expect.includes(status), `${this.variant} answered ${status}`);
        }
      }),
    );
    const wall = ((performance.now() - before.wall) * 1000) / this.count;
    const { main, process: all } = await this.#cpu();
    return {
      wall,
      main: (main - before.main) / this.count,
      process: (all - before.process) / this.count,
    };
  };

  stop() {
    for (const connection of this.#connections) connection.close();
    this.#process.disconnect();
  }

  async #cpu() {
    this.#process.send('cpu');
    const [cpu] = await once(this.#process, 'message');
    return cpu;
  }
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
const least = (value) => ({ metric: 'wall', most: 1 / value });
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
    'token seen before': atMost(8),
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
    'token seen before': atMost(11),
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
);
for (const [size, events, count, title] of [
  [200, 100, 100, '100 events of 200 characters'],
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
    { 'nothing hidden': size === 200 ? atMost(100) : { most: 1.2 } },
  );
}
