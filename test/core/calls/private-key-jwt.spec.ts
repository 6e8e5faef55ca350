import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jwtVerify } from 'jose';
import {
  type AsCredentials,
  clientAuthentication,
} from '../../../src/core/calls/client-authentication.js';
import { privateKeyJwt } from '../../../src/core/calls/private-key-jwt.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { countingTokens, ISSUER, setUp, type Setup } from '../../support/servers/client-setup.js';
import { type ReceivedRequest, replyJson } from '../../support/servers/scripted-server.js';
import { NOW } from '../../support/tokens/keys-and-tokens.js';

let setup: Setup;

beforeEach(async () => {
  setup = await setUp();
  setup.server.on('/token_endpoint', countingTokens());
  setup.server.on('/introspection_endpoint', replyJson({ active: true }));
  setup.server.on('/revocation_endpoint', replyJson({}));
});

afterEach(() => setup.close());

/** The request that goes out with these credentials. */
async function sentWith(credentials: AsCredentials): Promise<ReceivedRequest> {
  await setup.with({ authentication: clientAuthentication(credentials) }).clientCredentials();
  return setup.server.last;
}

describe('private_key_jwt', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed = generateKeyPairSync('ed25519');

  async function assertionOf(request: ReceivedRequest, key: KeyObject) {
    const assertion = request.form.get('client_assertion') ?? '';
    return jwtVerify(assertion, createPublicKey(key), { currentDate: new Date(NOW * 1000) });
  }

  it('RFC 7523 §2.2, §3: sends an assertion for the issuer, good for a minute, once', async () => {
    const provider = privateKeyJwt({
      clientId: 'me',
      privateKey: { ...ec.privateKey.export({ format: 'jwk' }), kid: 'k1' },
      clock: setup.clock,
    });
    const operations = setup.with({ authentication: clientAuthentication(provider) });
    await operations.clientCredentials();
    await operations.introspect('t');
    const [first, second] = setup.server.requests as [ReceivedRequest, ReceivedRequest];
    expect(first.headers.authorization).toBeUndefined();
    expect(first.form.get('client_id')).toBe('me');
    expect(first.form.get('client_assertion_type')).toBe(
      'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    );
    const { payload, protectedHeader } = await assertionOf(first, ec.privateKey);
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'k1' });
    expect(payload).toEqual({
      iss: 'me',
      sub: 'me',
      aud: ISSUER,
      iat: NOW,
      exp: NOW + 60,
      jti: expect.any(String),
    });
    const other = await assertionOf(second, ec.privateKey);
    expect(other.payload.jti).not.toBe(payload.jti);
  });

  it.each([
    ['ES256', ec.privateKey, {}],
    ['RS256', rsa.privateKey, {}],
    ['PS256', rsa.privateKey, { algorithm: 'PS256' }],
    ['EdDSA', ed.privateKey, {}],
    ['ES256', ec.privateKey, { audience: 'https://as.example.com/token', keyId: 'mine' }],
  ])('signs with %s', async (alg, privateKey, options) => {
    const request = await sentWith(
      privateKeyJwt({ clientId: 'me', privateKey, clock: setup.clock, ...options }),
    );
    const { payload, protectedHeader } = await assertionOf(request, privateKey);
    expect(protectedHeader.alg).toBe(alg);
    expect(protectedHeader.kid).toBe((options as { keyId?: string }).keyId);
    expect(payload.aud).toBe((options as { audience?: string }).audience ?? ISSUER);
  });

  it.each([
    ['a public key', { clientId: 'me', privateKey: ec.publicKey }],
    ['a public JWK', { clientId: 'me', privateKey: ec.publicKey.export({ format: 'jwk' }) }],
    ['a JWK that is none', { clientId: 'me', privateKey: { kty: 'EC', d: 'canary' } }],
    [
      'an algorithm of another kind',
      { clientId: 'me', privateKey: ec.privateKey, algorithm: 'RS256' },
    ],
    ['a symmetric algorithm', { clientId: 'me', privateKey: ec.privateKey, algorithm: 'HS256' }],
    ['no algorithm', { clientId: 'me', privateKey: ec.privateKey, algorithm: 'none' }],
    ['no client id', { clientId: '', privateKey: ec.privateKey }],
  ])('is refused at start with %s', (_name, options) => {
    let thrown: unknown;
    try {
      privateKeyJwt(options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
  });

  it('T56, P39: shows no key', () => {
    const jwk = ec.privateKey.export({ format: 'jwk' });
    const provider = privateKeyJwt({ clientId: 'me', privateKey: jwk });
    const printed =
      inspect({ provider }, { showHidden: true, depth: 9 }) + JSON.stringify(provider);
    expect(printed).not.toContain(jwk.d);
    expect(inspect(provider)).toBe("PrivateKeyJwt { clientId: 'me', alg: 'ES256' }");
  });
});
