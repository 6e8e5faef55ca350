/**
 * One verification in this process, against what one would write with other libraries. They are installed
 * into `bench/peers` when they are not there.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createServer } from 'node:http';
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
import { hasPeers } from './lib/peers.js';
import { again, compare, report } from './lib/report.js';

const FULL = process.env.FULL === '1';
const AT_ONCE = 16;

if (!hasPeers()) process.exit();
const { bearerVerifiers, proofVerifiers } = await import('./peers/compositions.js');
const { AuthplaneClient } = await import('authplane-nestjs/core');

const key = newKey();
const proofKey = newKey();
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=600' });
  response.end(JSON.stringify({ keys: [key.jwk] }));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const jwksUri = `http://127.0.0.1:${server.address().port}/jwks`;
const trust = { issuer: ISSUER, resource: RESOURCE, jwksUri, jwk: key.jwk };

const client = await AuthplaneClient.create({ issuer: ISSUER, fetch: serverAsFetch([key.jwk]) });
const ours = (options) => {
  const resource = client.resource({ resource: RESOURCE, scopes: [], ...options });
  return ({ authorization, dpop }) => {
    const proofs = dpop === undefined ? [] : ['DPoP', dpop];
    const headers = ['Host', 'mcp.example.com', 'Authorization', authorization, ...proofs];
    return resource.authenticate({ method: 'POST', url: '/mcp', headers });
  };
};

await compareBearers();
await compareProofs();
server.close();
client.close();
process.exit();

async function compareBearers() {
  const verifiers = { authplane: ours({}), ...bearerVerifiers(trust) };
  const token = Buffer.from(accessToken(key));
  for (const [name, verify] of Object.entries(verifiers)) await proveBearer(name, verify);
  const run = (verify) =>
    calls(() => verify({ authorization: `Bearer ${token.latin1Slice()}` }), { sliceMs: 40 });
  const base = 'jose, remote key set';
  const cases = { [base]: run(verifiers[base]), [again(base)]: run(verifiers[base]) };
  for (const [name, verify] of Object.entries(verifiers)) cases[name] ??= run(verify);
  const slices = await interleave(cases, { rounds: FULL ? 21 : 7 });
  report('peers-bearer', 'The same token again and again', compare(slices, { base }));
}

async function compareProofs() {
  const verifiers = {
    'authplane, sync': ours({ inboundDPoP: {}, verification: 'sync' }),
    'authplane, pool': ours({ inboundDPoP: {}, verification: 'pool' }),
    ...proofVerifiers(trust),
  };
  for (const [name, verify] of Object.entries(verifiers)) await proveProof(name, verify);
  const token = Buffer.from(boundToken(key, proofKey));
  const proofs = Array.from({ length: FULL ? 60_000 : 25_000 }, () =>
    Buffer.from(proof(proofKey, String(token))),
  );
  let used = 0;
  const next = () => {
    if (used === proofs.length) throw new Error('the bench has run out of proofs');
    return proofs[used++].latin1Slice();
  };
  const run = (verify) =>
    calls(() => verify({ authorization: `DPoP ${token.latin1Slice()}`, dpop: next() }), {
      atOnce: AT_ONCE,
      sliceMs: 40,
      warmUp: 100,
    });
  const base = 'jose, careful composition';
  const cases = { [base]: run(verifiers[base]), [again(base)]: run(verifiers[base]) };
  for (const [name, verify] of Object.entries(verifiers)) cases[name] ??= run(verify);
  const slices = await interleave(cases, { rounds: FULL ? 21 : 7, warmUps: 1 });
  const title = `The same token with a new proof, ${AT_ONCE} at once`;
  report('peers-proof', title, compare(slices, { base }));
}

/** A fast verifier that forgot a check must fail the bench. */
async function proveBearer(name, verify) {
  const good = accessToken(key);
  const shown = (token) => verify({ authorization: `Bearer ${token}` });
  const ended = Math.floor(Date.now() / 1000) - 3600;
  await shown(good);
  for (const bad of [
    withBadSignature(good),
    accessToken(key, { claims: { aud: 'https://other.example.com' } }),
    accessToken(key, { claims: { exp: ended, iat: ended - 60 } }),
    accessToken(newKey()),
  ]) {
    await assert.rejects(async () => shown(bad), undefined, `${name} accepts what it must not`);
  }
}

async function proveProof(name, verify) {
  const token = boundToken(key, proofKey);
  const shown = (dpop) => verify({ authorization: `DPoP ${token}`, dpop });
  const good = proof(proofKey, token);
  await shown(good);
  const bad = [proof(newKey(), token), proof(proofKey, accessToken(key)), withBadSignature(good)];
  if (!name.includes('no replay store')) bad.push(good);
  for (const one of bad) {
    await assert.rejects(async () => shown(one), undefined, `${name} accepts what it must not`);
  }
}
