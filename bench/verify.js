/**
 * What one verification costs: against the bare signature check (the floor) and against what one would
 * write with jose. `npm run bench`. Figures are ratios of this run on this machine; quote no others.
 */
import { Buffer } from 'node:buffer';
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { AuthplaneClient } from 'authplane-nestjs/core';
import { dpopProof, generateDPoPKey, startAuthorizationServer } from 'authplane-nestjs/testing';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { interleave, median, ratio } from './interleave.js';

const resource = 'http://127.0.0.1:3000/mcp';
const server = await startAuthorizationServer();
const client = await AuthplaneClient.create({ issuer: server.issuer, devMode: true });
const ours = client.resource({ resource, scopes: [], inboundDPoP: {} });
const keySet = createRemoteJWKSet(new URL(server.jwksUri));

const key = await generateDPoPKey();
const bearer = await server.issueToken({ aud: [resource], scope: 'mcp:tools' });
const bound = await server.issueToken({ aud: [resource], cnf: { jkt: key.thumbprint } });
const fresh = await Promise.all(
  Array.from({ length: 40_000 }, () => server.issueToken({ aud: [resource], scope: 'mcp:tools' })),
);
const proofs = Array.from({ length: 40_000 }, () =>
  dpopProof(key, { method: 'POST', url: resource, accessToken: bound }),
);
const next = (list) => {
  let index = 0;
  return () => list[index++ % list.length];
};
const nextToken = next(fresh);
const nextProof = next(proofs);

const [header, payload, signature] = bearer.split('.');
const signed = Buffer.from(`${header}.${payload}`);
const bytes = Buffer.from(signature, 'base64url');
const publicKey = createPublicKey({ key: server.jwks().keys[0], format: 'jwk' });

const withJose = (token) =>
  jwtVerify(token, keySet, {
    issuer: server.issuer,
    audience: resource,
    typ: 'at+jwt',
    algorithms: ['ES256'],
    requiredClaims: ['sub', 'client_id', 'jti', 'iat', 'exp'],
  });
const headersOf = (token, proof) =>
  proof === undefined
    ? ['Authorization', `Bearer ${token}`]
    : ['Authorization', `DPoP ${token}`, 'DPoP', proof];
const authenticate = (token, proof) =>
  ours.authenticate({ method: 'POST', url: '/mcp', headers: headersOf(token, proof) });

// A fast verifier that forgot a check must fail the benchmark.
const tampered = `${bearer.slice(0, -8)}AAAAAAAA`;
for (const verifier of [withJose, authenticate]) await assert.rejects(verifier(tampered));
await assert.rejects(authenticate(bound));
await authenticate(bound, proofs[0]);
await assert.rejects(authenticate(bound, proofs[0]));
proofs.shift();

const times = await interleave({
  'ES256 signature check alone': async () =>
    verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes),
  'jose.jwtVerify, remote key set': () => withJose(bearer),
  'authenticate, token seen before': () => authenticate(bearer),
  'authenticate, new token': () => authenticate(nextToken()),
  'authenticate, token seen before, new DPoP proof': () => authenticate(bound, nextProof()),
});

console.log(`Node ${process.versions.node}, OpenSSL ${process.versions.openssl}\n`);
for (const name of Object.keys(times)) {
  const microseconds = median(times[name]).toFixed(1).padStart(8);
  const floor = ratio(times, name, 'ES256 signature check alone').toFixed(3);
  const jose = ratio(times, name, 'jose.jwtVerify, remote key set').toFixed(3);
  console.log(`${name.padEnd(50)} ${microseconds} us   x floor ${floor}   x jose ${jose}`);
}
client.close();
await server.close();
