import { Buffer } from 'node:buffer';
import { constants, createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';

/** Keys, tokens and proofs, and an authorization server that is a function: all without a library. */
export const ISSUER = 'https://as.example.com';
export const RESOURCE = 'https://mcp.example.com/mcp';

const ALGORITHMS = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};

export function newKey(alg = 'ES256', kid = 'key-1') {
  const { publicKey, privateKey } = ALGORITHMS[alg]();
  const bare = publicKey.export({ format: 'jwk' });
  const members = {
    EC: ['crv', 'kty', 'x', 'y'],
    OKP: ['crv', 'kty', 'x'],
    RSA: ['e', 'kty', 'n'],
  };
  const thumbprint = hashOf(JSON.stringify(bare, members[bare.kty]));
  return { alg, publicKey, privateKey, bare, thumbprint, jwk: { ...bare, kid, alg, use: 'sig' } };
}

export function accessToken(key, { claims = {}, header = {} } = {}) {
  const now = Math.floor(Date.now() / 1000);
  return jws(
    key,
    { alg: key.alg, typ: 'at+jwt', kid: key.jwk.kid, ...header },
    {
      iss: ISSUER,
      sub: 'user_01J8ZQ4Y6T2N9W5R7K3M1X0V8B',
      aud: RESOURCE,
      client_id: 'client_7f3a9c52e1',
      iat: now,
      exp: now + 3600,
      jti: randomUUID(),
      scope: 'tools/query tools/write mcp:echo profile',
      auth_time: now - 40,
      agent_id: 'agent-research-eu-1',
      agent_chain: ['orchestrator-1'],
      ...claims,
    },
  );
}

/** Bound to the key of {@link proof}s. */
export function boundToken(key, proofKey) {
  return accessToken(key, { claims: { cnf: { jkt: proofKey.thumbprint } } });
}

export function proof(proofKey, token, { method = 'POST', url = RESOURCE, claims = {} } = {}) {
  return jws(
    proofKey,
    { alg: proofKey.alg, typ: 'dpop+jwt', jwk: proofKey.bare },
    {
      jti: randomUUID(),
      htm: method,
      htu: url,
      iat: Math.floor(Date.now() / 1000),
      ath: hashOf(token),
      ...claims,
    },
  );
}

export function withBadSignature(token) {
  const [header, claims] = token.split('.');
  const other = accessToken(newKey('ES256')).split('.')[2];
  return `${header}.${claims}.${other}`;
}

const { Response } = globalThis;

/** For the option `fetch`: metadata and key set of the authorization server. */
export function serverAsFetch(keys) {
  const documents = {
    '/jwks': () => ({ keys: typeof keys === 'function' ? keys() : keys }),
    '/.well-known/oauth-authorization-server': () => ({
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/jwks`,
      authorization_endpoint: `${ISSUER}/authorize`,
      token_endpoint: `${ISSUER}/token`,
      response_types_supported: ['code'],
    }),
  };
  return async (url) => {
    const document = documents[new URL(url).pathname];
    if (document === undefined) return new Response('{}', { status: 404 });
    return Response.json(document());
  };
}

function jws({ alg, privateKey }, header, claims) {
  const input = `${encoded(header)}.${encoded(claims)}`;
  return `${input}.${signatureOf(alg, input, privateKey).toString('base64url')}`;
}

function encoded(part) {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function signatureOf(alg, text, key) {
  const input = Buffer.from(text);
  switch (alg) {
    case 'ES256':
      return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' });
    case 'PS256':
      return sign('sha256', input, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      });
    case 'RS256':
      return sign('sha256', input, key);
    default:
      return sign(null, input, key);
  }
}

function hashOf(text) {
  return createHash('sha256').update(text).digest('base64url');
}
