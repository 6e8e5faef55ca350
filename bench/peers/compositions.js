/**
 * What one would write with other libraries: each a function of a request, `{ authorization, dpop }`, that
 * gives claims or rejects. None of them remembers tokens but fast-jwt.
 */
import { Buffer } from 'node:buffer';
import { createHash, createPublicKey } from 'node:crypto';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { auth } from 'express-oauth2-jwt-bearer';
import fastJwt from 'fast-jwt';
import * as jose from 'jose';
import jwksRsa from 'jwks-rsa';
import * as oauth from 'oauth4webapi';
import { ExtractJwt, Strategy } from 'passport-jwt';

const { Request } = globalThis;

/** @param trust `{ issuer, resource, jwksUri, jwk }` */
export function bearerVerifiers({ issuer, resource, jwksUri, jwk }) {
  const rules = { issuer, audience: resource, typ: 'at+jwt', algorithms: [jwk.alg] };
  const remote = jose.createRemoteJWKSet(new URL(jwksUri));
  const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const fast = fastJwt.createVerifier({
    key: async () => pem,
    cache: 10_000,
    allowedIss: issuer,
    allowedAud: resource,
    algorithms: [jwk.alg],
    checkTyp: 'at+jwt',
  });
  return {
    'jose, remote key set': async (request) =>
      (await jose.jwtVerify(tokenOf(request), remote, rules)).payload,
    'fast-jwt, cache': (request) => fast(tokenOf(request)),
    'passport-jwt, jwks-rsa': passport({ issuer, resource, jwksUri, jwk }),
    'express-oauth2-jwt-bearer': express({ issuer, resource, jwksUri, jwk }),
    oauth4webapi: byOauth4webapi({ issuer, resource, jwksUri }),
    'MCP SDK requireBearerAuth, jose': mcpSdk(remote, rules),
    'sibling composition': sibling({ issuer, resource, jwk }),
  };
}

export function proofVerifiers({ issuer, resource, jwksUri, jwk }) {
  return {
    'jose, careful composition': carefulJose({ issuer, resource, jwksUri, jwk }),
    'express-oauth2-jwt-bearer, no replay store': express({ issuer, resource, jwksUri, jwk }, true),
    'oauth4webapi, no replay store': byOauth4webapi({ issuer, resource, jwksUri }, true),
    'sibling composition': sibling({ issuer, resource, jwk }),
  };
}

/** For a guard: tokens as they come, bound to a key or not; those that are bound with a proof. */
export function verifierOf(name, trust) {
  return name === 'sibling' ? sibling(trust) : carefulJose(trust);
}

function tokenOf({ authorization }) {
  return authorization.slice(authorization.indexOf(' ') + 1);
}

function hashOf(text) {
  return createHash('sha256').update(text).digest('base64url');
}

function passport({ issuer, resource, jwksUri, jwk }) {
  const strategy = new Strategy(
    {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKeyProvider: jwksRsa.passportJwtSecret({ jwksUri, cache: true }),
      issuer,
      audience: resource,
      algorithms: [jwk.alg],
    },
    (payload, done) => done(null, payload),
  );
  return (request) =>
    new Promise((resolve, reject) => {
      const fail = (reason) => reject(new Error(`refused: ${reason}`));
      const one = Object.assign(Object.create(strategy), { success: resolve, fail, error: fail });
      one.authenticate({ headers: request }, {});
    });
}

function middleware(handler, requestOf) {
  return (headers) =>
    new Promise((resolve, reject) => {
      const request = requestOf(headers);
      const response = {
        set: () => response,
        setHeader: () => response,
        status: () => response,
        json: (body) => reject(new Error(JSON.stringify(body))),
      };
      handler(request, response, (error) => (error ? reject(error) : resolve(request.auth)));
    });
}

function express({ issuer, resource, jwksUri, jwk }, isBound = false) {
  const { host, pathname } = new URL(resource);
  const dpop = isBound ? { enabled: true, required: true } : { enabled: false };
  const trust = { issuer, jwksUri, audience: resource, tokenSigningAlg: jwk.alg, strict: true };
  return middleware(auth({ ...trust, dpop }), (headers) => ({
    ...{ headers, host, method: 'POST', query: {}, protocol: 'https' },
    url: pathname,
    originalUrl: pathname,
    is: () => false,
    get: (name) => (name.toLowerCase() === 'host' ? host : headers[name.toLowerCase()]),
  }));
}

function byOauth4webapi({ issuer, resource, jwksUri }, requireDPoP = false) {
  const server = { issuer, jwks_uri: jwksUri };
  const options = { [oauth.allowInsecureRequests]: true, [oauth.jwksCache]: {}, requireDPoP };
  return (headers) =>
    oauth.validateJwtAccessToken(
      server,
      new Request(resource, { method: 'POST', headers }),
      resource,
      options,
    );
}

function mcpSdk(remote, rules) {
  const verifier = {
    verifyAccessToken: async (token) => {
      const { payload } = await jose.jwtVerify(token, remote, rules);
      const { client_id: clientId, scope, exp: expiresAt } = payload;
      return { token, clientId, scopes: scope.split(' '), expiresAt, extra: payload };
    },
  };
  return middleware(requireBearerAuth({ verifier }), (headers) => ({ headers }));
}

/** A set of identifiers that is searched for expired ones every now and then. */
class SweptMemory {
  #expiries = new Map();
  #untilSweep = 256;

  add(id, expiry, now) {
    if ((this.#expiries.get(id) ?? 0) > now) return false;
    this.#expiries.set(id, expiry);
    if (--this.#untilSweep === 0) {
      this.#untilSweep = 256;
      for (const [key, end] of this.#expiries) if (end <= now) this.#expiries.delete(key);
    }
    return true;
  }
}

async function requireProof({ claims, header, token, resource, memory, jkt }) {
  const now = Date.now() / 1000;
  if (claims.htm !== 'POST' || new URL(claims.htu).href !== new URL(resource).href) {
    throw new Error('another request');
  }
  if (claims.iat > now + 30 || claims.iat < now - 330) throw new Error('too old');
  if (claims.ath !== hashOf(token)) throw new Error('another token');
  if ((await jose.calculateJwkThumbprint(header.jwk)) !== jkt) throw new Error('another key');
  if (!memory.add(claims.jti, claims.iat + 360, now)) throw new Error('used before');
}

function carefulJose({ issuer, resource, jwksUri, jwk }) {
  const remote = jose.createRemoteJWKSet(new URL(jwksUri));
  const memory = new SweptMemory();
  const rules = { issuer, audience: resource, typ: 'at+jwt', algorithms: [jwk.alg] };
  return async ({ authorization, dpop }) => {
    const token = tokenOf({ authorization });
    const { payload } = await jose.jwtVerify(token, remote, rules);
    if (payload.cnf === undefined) return payload;
    const shown = await jose.jwtVerify(dpop, jose.EmbeddedJWK, { typ: 'dpop+jwt' });
    const { payload: claims, protectedHeader: header } = shown;
    await requireProof({ claims, header, token, resource, memory, jkt: payload.cnf.jkt });
    return payload;
  };
}

/** As an SDK of the same family does it: both keys are imported for each request. */
function sibling({ issuer, resource, jwk }) {
  const memory = new SweptMemory();
  const keys = [jwk];
  return async ({ authorization, dpop }) => {
    const token = tokenOf({ authorization });
    const { kid, alg } = jose.decodeProtectedHeader(token);
    const found = keys.find((key) => key.kid === kid && key.alg === alg);
    if (found === undefined) throw new Error('no such key');
    const rules = { issuer, audience: resource, typ: 'at+jwt', algorithms: [alg] };
    const key = await jose.importJWK(found, alg);
    const { payload } = await jose.jwtVerify(token, key, rules);
    if (payload.cnf !== undefined) {
      const header = jose.decodeProtectedHeader(dpop);
      const proofKey = await jose.importJWK(header.jwk, header.alg);
      const { payload: claims } = await jose.jwtVerify(dpop, proofKey, { typ: 'dpop+jwt' });
      await requireProof({ claims, header, token, resource, memory, jkt: payload.cnf.jkt });
    }
    const scopes = Object.freeze(
      Buffer.from(payload.scope ?? '')
        .toString()
        .split(' '),
    );
    return Object.freeze({ ...payload, scopes });
  };
}
