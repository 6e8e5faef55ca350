/**
 * What one verification costs in this process: against the bare signature check, which is the floor, and
 * against what one would write with jose. `ALG=RS256` or `EdDSA` for other signatures, `FULL=1` for longer.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { verify } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { calls, interleave } from './lib/interleave.js';
import {
  accessToken,
  boundToken,
  ISSUER,
  newKey,
  proof,
  RESOURCE,
  serverAsFetch,
  withBadSignature,
} from './lib/mint.js';
import { again, compare, report } from './lib/report.js';

const FULL = process.env.FULL === '1';
const ALG = process.env.ALG ?? 'ES256';
const FLOOR = 'raw check';
const AT_ONCE = 16;
/** Another build, to compare with; an old one knows none of the options of this one. */
const OTHER = process.env.BENCH_CORE;
const { AuthplaneClient } = await import(OTHER ?? 'authplane-nestjs/core');

const key = newKey(ALG);
const proofKey = newKey(ALG === 'EdDSA' ? 'EdDSA' : 'ES256');
const client = await AuthplaneClient.create({ issuer: ISSUER, fetch: serverAsFetch([key.jwk]) });
const shared = { resource: RESOURCE, scopes: [], inboundDPoP: {} };
/** More tokens than are remembered, so that each is new when it comes again. */
const tokens = Array.from({ length: 20_000 }, () => Buffer.from(accessToken(key)));
const bearer = tokens[0];
const bound = Buffer.from(boundToken(key, proofKey));
const proofs = Array.from({ length: FULL ? 120_000 : 60_000 }, () =>
  Buffer.from(proof(proofKey, String(bound))),
);
let proofsUsed = 0;

const warm = client.resource(shared);
const verifiers =
  OTHER === undefined
    ? { sync: () => form('sync'), pool: () => form('pool') }
    : { '': () => client.resource(shared) };
await prove(warm);
for (const make of Object.values(verifiers)) await prove(make());
const withJose = joseVerifier();
await assert.rejects(withJose(withBadSignature(String(bearer))));

const cases = {
  [FLOOR]: calls(rawCheck(), slice()),
  [again(FLOOR)]: calls(rawCheck(), slice()),
  [`raw check on the thread pool, ${AT_ONCE} at once`]: calls(rawCheckOnPool(), slice(AT_ONCE)),
  'jose.jwtVerify': calls((i) => withJose(nth(i)), slice()),
  [`jose.jwtVerify, ${AT_ONCE} at once`]: calls((i) => withJose(nth(i)), slice(AT_ONCE)),
  'verify, remembered': calls(() => warm.verify(text(bearer)), slice()),
  'authenticate, remembered': calls(() => authenticate(warm, text(bearer)), slice()),
};
if (warm.authenticateNow !== undefined) {
  const connection = {};
  Object.assign(cases, {
    'authenticateNow, remembered': calls(() => now(warm, text(bearer)), slice()),
    'authenticateNow, same connection': calls(() => now(warm, text(bearer), connection), slice()),
  });
}
for (const [name, make] of Object.entries(verifiers)) {
  for (const atOnce of [1, AT_ONCE]) {
    const how = `${name === '' ? '' : `, ${name}`}${atOnce === 1 ? '' : `, ${atOnce} at once`}`;
    const resource = make();
    cases[`new token${how}`] = calls((i) => authenticate(resource, nth(i)), slice(atOnce));
    cases[`remembered token, new proof${how}`] = calls(
      () => authenticate(resource, text(bound), nextProof()),
      { ...slice(atOnce), sliceMs: 30 },
    );
  }
}

const goals = {
  'verify, remembered': { most: 0.03 },
  'authenticateNow, same connection': { most: 0.01 },
  'new token, sync': { most: 1.25, metric: 'wall' },
  'remembered token, new proof, sync': { most: 1.35, metric: 'wall' },
  [`new token, pool, ${AT_ONCE} at once`]: { most: 0.8 },
  [`remembered token, new proof, pool, ${AT_ONCE} at once`]: { most: 0.9 },
};
const slices = await interleave(cases, { rounds: FULL ? 21 : 9 });
report(`verify-${ALG}`, `One verification, ${ALG}`, compare(slices, { base: FLOOR, goals }));
client.close();

function form(verification) {
  return client.resource({ ...shared, verification, verifiedTokens: { maxEntries: 1000 } });
}

function slice(atOnce = 1) {
  return { atOnce, sliceMs: FULL ? 60 : 40 };
}

/** A new string each time, as it comes off a socket. */
function text(bytes) {
  return bytes.latin1Slice();
}

function nth(i) {
  return text(tokens[i % tokens.length]);
}

function nextProof() {
  if (proofsUsed === proofs.length) throw new Error('the bench has run out of proofs');
  return text(proofs[proofsUsed++]);
}

function requestOf(token, shown, connection) {
  const credentials =
    shown === undefined
      ? ['Authorization', `Bearer ${token}`]
      : ['Authorization', `DPoP ${token}`, 'DPoP', shown];
  const headers = ['Host', 'mcp.example.com', 'Accept', 'application/json', ...credentials];
  return { method: 'POST', url: '/mcp', headers, connection };
}

function authenticate(resource, token, shown) {
  return resource.authenticate(requestOf(token, shown));
}

function now(resource, token, connection) {
  return resource.authenticateNow(requestOf(token, undefined, connection));
}

function signedParts() {
  const [header, claims, signature] = String(bearer).split('.');
  return { input: Buffer.from(`${header}.${claims}`), bytes: Buffer.from(signature, 'base64url') };
}

/** In the form that costs least: a signature in DER, and a key without options. */
function rawArguments() {
  const { input, bytes } = signedParts();
  const isEc = key.alg === 'ES256';
  return [key.alg === 'EdDSA' ? null : 'sha256', input, key.publicKey, isEc ? der(bytes) : bytes];
}

function rawCheck() {
  const given = rawArguments();
  assert.equal(verify(...given), true);
  return () => verify(...given);
}

function rawCheckOnPool() {
  const given = rawArguments();
  return () =>
    new Promise((resolve, reject) =>
      verify(...given, (error, holds) => (error ? reject(error) : resolve(holds))),
    );
}

function der(raw) {
  const integer = (bytes) => {
    const start = bytes.findIndex((byte) => byte !== 0);
    const significant = bytes.subarray(start === -1 ? bytes.length - 1 : start);
    const padded = significant[0] > 127 ? [0, ...significant] : [...significant];
    return [2, padded.length, ...padded];
  };
  const content = [...integer(raw.subarray(0, 32)), ...integer(raw.subarray(32))];
  return Buffer.from([0x30, content.length, ...content]);
}

function joseVerifier() {
  const keySet = createLocalJWKSet({ keys: [key.jwk] });
  const rules = {
    issuer: ISSUER,
    audience: RESOURCE,
    typ: 'at+jwt',
    algorithms: [ALG],
    requiredClaims: ['sub', 'client_id', 'jti', 'iat', 'exp'],
  };
  return (token) => jwtVerify(token, keySet, rules);
}

/** A fast verifier that forgot a check must fail the bench. */
async function prove(resource) {
  const good = String(tokens.at(-1));
  const refused = (token, shown) => assert.rejects(authenticate(resource, token, shown));
  const ended = Math.floor(Date.now() / 1000) - 3600;
  await authenticate(resource, good);
  await refused(withBadSignature(good));
  await refused(accessToken(key, { claims: { aud: 'https://other.example.com' } }));
  await refused(accessToken(key, { claims: { exp: ended, iat: ended - 60 } }));
  await refused(accessToken(newKey(ALG)));
  const token = boundToken(key, proofKey);
  const shown = proof(proofKey, token);
  await refused(token);
  await refused(token, proof(newKey(), token));
  await refused(token, proof(proofKey, good));
  await authenticate(resource, token, shown);
  await refused(token, shown);
}
