/**
 * What many keys, many tokens and many used proofs cost: per check, and in memory. Needs `--expose-gc`,
 * which `npm run bench:full` gives it.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { mainThreadCpu } from './lib/cpu.js';
import { calls, interleave } from './lib/interleave.js';
import {
  accessToken,
  ISSUER,
  newKey,
  RESOURCE,
  serverAsFetch,
  withBadSignature,
} from './lib/mint.js';
import { again, compare, keep, report } from './lib/report.js';

const FULL = process.env.FULL === '1';
const MOST = 50_000;
/** Proofs that are timed together, on the clock of the thread: a crowded machine takes it away for longer. */
const BATCH = 50;
const { AuthplaneClient, InMemoryDPoPReplayStore } = await import(
  process.env.BENCH_CORE ?? 'authplane-nestjs/core'
);

const key = newKey('ES256', 'mine');
/** Side by side in memory, as the copies of one are with which they are compared. */
const packed = (list) => list.map((one) => Buffer.from(one));
const tokens = packed(Array.from({ length: MOST }, () => accessToken(key)));
const resourceWith = async (keys, options = {}) => {
  const client = await AuthplaneClient.create({ issuer: ISSUER, fetch: serverAsFetch(keys) });
  return client.resource({ resource: RESOURCE, scopes: [], ...options });
};

await manyTokens();
await manyKeys();
await bytesPerToken();
if (FULL) for (const live of [330_000, 1_600_000]) await manyProofs(live);
process.exit();

async function manyTokens() {
  const resource = await resourceWith([key.jwk]);
  await assert.rejects(resource.verify(withBadSignature(String(tokens[0]))));
  for (const token of tokens) await resource.verify(text(token));
  const one = 'one token';
  // Each request brings bytes of its own; here they are read from memory, for one token as for many.
  const copies = packed(tokens.map(() => String(tokens[0])));
  const cases = { [one]: inTurn(resource, copies), [again(one)]: inTurn(resource, copies) };
  for (const count of [1000, 10_000, MOST]) {
    cases[`${count} in turn`] = inTurn(resource, tokens.slice(0, count));
  }
  const slices = await interleave(cases, { rounds: FULL ? 21 : 9 });
  const goals = { [`${MOST} in turn`]: { most: 1.5 } };
  report('scale-tokens', 'Tokens that are remembered', compare(slices, { base: one, goals }));
}

function inTurn(resource, list) {
  return calls((i) => resource.verify(text(list[i % list.length])), { sliceMs: 40, most: MOST });
}

async function manyKeys() {
  const others = Array.from(
    { length: FULL ? 1000 : 100 },
    (_, i) => newKey('ES256', `key-${i}`).jwk,
  );
  const forget = { verifiedTokens: { maxEntries: 0 }, verification: 'sync' };
  const cases = {};
  for (const [name, keys] of [
    ['one key', [key.jwk]],
    [again('one key'), [key.jwk]],
    [`${others.length + 1} keys`, [...others, key.jwk]],
  ]) {
    const resource = await resourceWith(keys, forget);
    cases[name] = calls((i) => resource.verify(text(tokens[i % MOST])), { sliceMs: 40 });
  }
  const slices = await interleave(cases, { rounds: FULL ? 21 : 9 });
  const goals = { [`${others.length + 1} keys`]: { most: 1.05 } };
  report(
    'scale-keys',
    'New tokens by size of the key set',
    compare(slices, { base: 'one key', goals }),
  );
}

/** Of the heap, per remembered token; the token itself is not kept. */
async function bytesPerToken() {
  const count = 40_000;
  const warm = await resourceWith([key.jwk], { verification: 'sync' });
  for (const token of tokens.slice(0, 500)) await warm.verify(text(token));
  const resource = await resourceWith([key.jwk], { verification: 'sync' });
  const before = used();
  for (const token of tokens.slice(0, count)) await resource.verify(text(token));
  const bytes = (used() - before) / count;
  assert.equal((await resource.verify(text(tokens[0]))).issuer, ISSUER);
  console.log(`\nmemory: ${bytes.toFixed(0)} bytes for each remembered token (goal 600)`);
  keep('scale-memory', { bytesPerToken: bytes, goal: 600 });
}

/** As many as come in at 1000 a second, and 5000, while they are remembered. */
async function manyProofs(live) {
  const store = new InMemoryDPoPReplayStore({ maxEntries: 2_000_000 });
  const expiry = Date.now() / 1000 + 390;
  const before = used();
  let longest = 0;
  const began = mainThreadCpu();
  for (let done = 0; done < live; done += BATCH) {
    const start = mainThreadCpu();
    for (let i = done; i < Math.min(live, done + BATCH); i++) {
      assert.equal(await store.checkAndStore(proofKey(i), expiry + (i % 60)), true);
    }
    longest = Math.max(longest, (mainThreadCpu() - start) / 1000);
  }
  const each = (mainThreadCpu() - began) / live;
  const bytes = (used() - before) / live;
  assert.equal(await store.checkAndStore(proofKey(0), expiry), false);
  console.log(
    `\n${live} live proofs: ${each.toFixed(2)} µs each, hash included; ${BATCH} in ${longest.toFixed(1)} ms at most (goal 10), ` +
      `${bytes.toFixed(0)} bytes each`,
  );
  keep(`scale-proofs-${live}`, { microseconds: each, longestMs: longest, bytes });
}

/** Without an object for each, which the collector would have to finalise in the time that is measured. */
function proofKey(i) {
  return hash('sha256', String(i), 'base64url');
}

/** On the heap and outside of it. */
function used() {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function text(bytes) {
  return bytes.latin1Slice();
}
