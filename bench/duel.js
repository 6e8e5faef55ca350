/**
 * Whole requests against applications that are guarded by what one would write with other libraries, and what a
 * route beside them feels. The load comes from this process; each application is another one, started anew.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createServer } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { interleave, joined } from './lib/interleave.js';
import { accessToken, boundToken, newKey, proof, withBadSignature } from './lib/mint.js';
import { hasPeers } from './lib/peers.js';
import { again, compare, report } from './lib/report.js';
import { Connection, Target } from './lib/target.js';

if (!hasPeers()) process.exit();

const isFull = process.env.FULL === '1';
const STARTS = Number(process.env.BENCH_STARTS ?? (isFull ? 3 : 1));
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? (isFull ? 9 : 5));
const WARM_UPS = 5;
const COUNT = 400;
/** Requests a second with a proof each, and how long a slice of them lasts. */
const RATE = 1000;
const SECONDS = isFull ? 2 : 1;
const EVERY_MS = 5;
const LANES = 128;

const [SIBLING, JOSE, OURS] = ['sibling composition', 'careful jose composition', 'authplane'];
const VARIANTS = {
  [SIBLING]: 'sibling',
  [again(SIBLING)]: 'sibling',
  [JOSE]: 'jose',
  [OURS]: 'bound',
};
const BEARERS = { ...VARIANTS, [OURS]: 'bearer' };

const key = newKey();
const proofKey = newKey();
const keys = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=600' });
  response.end(JSON.stringify({ keys: [key.jwk] }));
});
await new Promise((resolve) => keys.listen(0, '127.0.0.1', resolve));
process.env.BENCH_KEY = JSON.stringify(key.jwk); // for the applications
process.env.BENCH_JWKS = `http://127.0.0.1:${keys.address().port}/jwks`;

const BODY = JSON.stringify({ sql: 'select id, name from customers limit 20', limit: 20 });
const token = accessToken(key);
const bound = boundToken(key, proofKey);
const withBearer = (text) => post(`authorization: Bearer ${text}\r\n`);
const withProof = (shown, text = bound) =>
  post(`authorization: DPoP ${text}\r\ndpop: ${shown}\r\n`);

function post(credentials) {
  return Buffer.from(
    `POST /mcp HTTP/1.1\r\nhost: mcp.example.com\r\ncontent-type: application/json\r\n` +
      `accept: application/json, text/event-stream\r\nuser-agent: bench\r\n${credentials}` +
      `content-length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`,
  );
}

const OPEN = Buffer.from(
  'GET /open HTTP/1.1\r\nhost: mcp.example.com\r\nuser-agent: bench\r\n\r\n',
);

/** What was shown to one application has not been shown to another: they take turns with the same proofs. */
function inTurn(list) {
  let used = 0;
  return () => {
    if (used === list.length) throw new Error('the bench has run out of proofs');
    return list[used++];
  };
}

/** A fast guard that forgot a check must fail the bench. */
async function prove(variant, good, bad, repeats) {
  const target = new Target(variant, good, { count: 1, connections: 1 });
  await target.start();
  const connection = new Connection();
  await connection.open(target.port);
  for (const one of [...bad, ...(repeats ? [good] : [])]) {
    assert.equal(await connection.ask(one), 401, `${variant} accepts what it must not`);
  }
  connection.close();
  target.stop();
}

async function run(
  variants,
  make,
  measure,
  { rounds = ROUNDS, warmUps = WARM_UPS, starts = STARTS } = {},
) {
  const runs = [];
  for (let start = 0; start < starts; start++) {
    const running = Object.fromEntries(
      Object.entries(variants).map(([name, variant]) => [name, make(variant)]),
    );
    for (const target of Object.values(running)) await target.start();
    const cases = Object.fromEntries(
      Object.entries(running).map(([name, target]) => [name, () => measure(target)]),
    );
    runs.push(await interleave(cases, { rounds, warmUps }));
    for (const target of Object.values(running)) target.stop();
  }
  return joined(runs);
}

const times = (least, to) => ({ of: 'rate', least, to });

async function bearers() {
  const other = accessToken(key, { claims: { aud: 'https://other.example.com' } });
  const none = post('');
  for (const variant of new Set(Object.values(BEARERS))) {
    const bad = [withBearer(withBadSignature(token)), withBearer(other), none];
    await prove(variant, withBearer(token), bad);
  }
  const make = (variant) => new Target(variant, withBearer(token), { count: COUNT });
  const slices = await run(BEARERS, make, (target) => target.slice());
  const goals = { [OURS]: times(5, SIBLING) };
  report(
    'duel-bearer',
    'The same token again and again, over HTTP',
    compare(slices, { base: SIBLING, goals }),
  );
}

async function proofs() {
  for (const variant of new Set(Object.values(VARIANTS))) {
    const bad = [
      withProof(proof(newKey(), bound)),
      withProof(proof(proofKey, token)),
      withBearer(bound),
    ];
    await prove(variant, withProof(proof(proofKey, bound)), bad, true);
  }
  const list = Array.from({ length: COUNT * (1 + ROUNDS + WARM_UPS) }, () =>
    withProof(proof(proofKey, bound)),
  );
  const make = (variant) => new Target(variant, inTurn(list), { count: COUNT });
  const slices = await run(VARIANTS, make, (target) => target.slice());
  const goals = { [OURS]: [times(2.6, JOSE), times(3.5, SIBLING)] };
  report(
    'duel-proof',
    'The same token with a new proof, over HTTP',
    compare(slices, { base: SIBLING, goals }),
  );
}

/** How long requests to another route take, 99 of 100 of them, while so many proofs come in each second. */
async function bystander() {
  const count = RATE * SECONDS;
  const rounds = isFull ? 5 : 3;
  const list = Array.from({ length: count * (2 + rounds) }, () =>
    withProof(proof(proofKey, bound)),
  );
  const make = (variant) => new Crowd(variant, inTurn(list));
  const measure = (target) => target.crowded(count);
  const names = [SIBLING, again(SIBLING), OURS];
  const variants = Object.fromEntries(names.map((name) => [name, VARIANTS[name]]));
  const options = { rounds, warmUps: 1, starts: isFull ? 2 : 1 };
  const slices = await run(variants, make, measure, options);
  const goals = { [OURS]: { metric: 'wall', most: 0.25 } };
  const title = `An open route beside ${RATE} requests with a proof each second: 99 of 100 take less than`;
  report('duel-bystander', title, compare(slices, { base: SIBLING, goals, steady: 'wall' }));
}

class Crowd extends Target {
  constructor(variant, next) {
    super(variant, next, { count: 1, connections: LANES });
  }

  /** Requests come at their time, whether those before are answered or not. */
  async crowded(count) {
    const began = performance.now();
    const cpu = await this.cpu();
    const waiting = [];
    const neighbour = this.#neighbour(began, (count / RATE) * 1000);
    for (let sent = 0; sent < count;) {
      const due = Math.min(count, Math.floor(((performance.now() - began) * RATE) / 1000));
      for (; sent < due; sent++) waiting.push(this.askInTurn());
      await delay(1);
    }
    const latencies = (await neighbour).sort((a, b) => a - b);
    await Promise.all(waiting);
    const { main, process: all } = await this.cpu();
    const wall = latencies[Math.ceil(latencies.length * 0.99) - 1] * 1000;
    return { wall, main: (main - cpu.main) / count, process: (all - cpu.process) / count };
  }

  async #neighbour(began, during) {
    const connection = new Connection();
    await connection.open(this.port);
    const latencies = [];
    for (let due = 0; due < during; due += EVERY_MS) {
      const left = began + due - performance.now();
      if (left > 0) await delay(left);
      const asked = Math.max(began + due, performance.now() - EVERY_MS);
      assert.equal(await connection.ask(OPEN), 200);
      latencies.push(performance.now() - asked);
    }
    connection.close();
    return latencies;
  }
}

const only = process.env.BENCH_ONLY?.split(',');
for (const [name, bench] of Object.entries({ bearers, proofs, bystander })) {
  if (only === undefined || only.includes(name)) await bench();
}
keys.close();
process.exit();
