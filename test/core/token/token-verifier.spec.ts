import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AuthplaneClient } from '../../../src/core/client.js';
import {
  DPoPBindingMismatchError,
  DPoPProofMissingError,
} from '../../../src/core/errors/dpop-errors.js';
import {
  InvalidClaimsError,
  InvalidSignatureError,
  TokenExpiredError,
  TokenRevokedError,
  TokenTooLongError,
} from '../../../src/core/errors/token-errors.js';
import { proofOf, testKey } from '../../support/tokens/dpop-proofs.js';
import {
  highSTwin,
  NOW,
  RESOURCE,
  type SigningKey,
  signingKey,
} from '../../support/tokens/keys-and-tokens.js';
import { expectRefusal } from '../../support/tokens/refusals.js';
import { trustingResource, type TrustingResource } from '../../support/tokens/trusting-resource.js';

/** Rules for a memory of tokens, each of which makes it a verifier; in both forms of verification. */
describe.each(['sync', 'pool'] as const)('3.1: the memory of tokens (%s)', (verification) => {
  let key: SigningKey;
  let trusting: TrustingResource;

  beforeAll(() => {
    key = signingKey('ES256', 'k');
  });

  beforeEach(async () => {
    trusting = await trustingResource([key.jwk], { resource: { verification } });
  });

  afterEach(() => trusting.close());

  const request = (token: string, scheme = 'Bearer', connection?: object) => ({
    method: 'POST',
    url: '/mcp',
    headers: ['Authorization', `${scheme} ${token}`],
    connection,
  });

  it('#1: believes a signature for five minutes, and asks for the end of the token at each use', async () => {
    const token = trusting.mint(key, { claims: { exp: NOW + 10_000 } });
    const claims = await trusting.resource.verify(token);
    trusting.clock.advance(299);
    expect(await trusting.resource.verify(token)).toBe(claims);
    trusting.clock.advance(2);
    const again = await trusting.resource.verify(token);
    expect(again).not.toBe(claims);
    expect(again).toEqual(claims);
  });

  it('#1: the same over one connection', async () => {
    const connection = {};
    const short = trusting.mint(key, { claims: { exp: NOW + 100 } });
    const first = await trusting.resource.authenticateNow(request(short, 'Bearer', connection));
    expect(trusting.resource.authenticateNow(request(short, 'Bearer', connection))).toEqual(first);
    trusting.clock.advance(160);
    const late = () => trusting.resource.authenticateNow(request(short, 'Bearer', connection));
    expect(late).toThrow(TokenExpiredError);
  });

  it('#2: a withdrawn key ends what it has signed, over the same connection, too', async () => {
    const other = signingKey('ES256', 'other');
    const connection = {};
    const token = trusting.mint(key);
    await trusting.resource.authenticate(request(token, 'Bearer', connection));
    trusting.server.keys = [other.jwk];
    trusting.clock.advance(301); // refreshed when it is asked
    await trusting.resource.verify(trusting.mint(other));
    const late = trusting.resource.authenticate(request(token, 'Bearer', connection));
    await expectRefusal(late, InvalidSignatureError, /no key/);
  });

  it('#3: another spelling of the signature is verified by itself', async () => {
    const token = trusting.mint(key);
    const claims = await trusting.resource.verify(token);
    const twin = await trusting.resource.verify(highSTwin(token));
    expect([twin === claims, (await trusting.resource.verify(token)) === claims]).toEqual([
      false,
      true,
    ]);
    await expectRefusal(trusting.resource.verify(`${token}x`), InvalidSignatureError, /./);
  });

  it('#4: one memory for each resource, and one for each client', async () => {
    const token = trusting.mint(key);
    await trusting.resource.verify(token);
    const other = trusting.client.resource({ resource: `${RESOURCE}/other`, verification });
    await expectRefusal(other.verify(token), InvalidClaimsError, /does not contain/);
    const strict = trusting.client.resource({
      resource: RESOURCE,
      allowedAlgorithms: ['RS256'],
      verification,
    });
    await expectRefusal(strict.verify(token), InvalidClaimsError, /alg/);
  });

  it('#5: a bound token without its proof is refused as it was when it was new', async () => {
    const proofKey = await testKey('ES256');
    const resource = trusting.client.resource({
      resource: RESOURCE,
      inboundDPoP: {},
      verification,
    });
    const token = trusting.mint(key, { claims: { cnf: { jkt: proofKey.jkt } } });
    const connection = {};
    for (let times = 0; times < 2; times++) {
      const bare = resource.authenticate(request(token, 'DPoP', connection));
      await expectRefusal(bare, DPoPProofMissingError, /no DPoP proof/);
    }
    const asBearer = resource.authenticate({
      ...request(token, 'Bearer', connection),
      headers: ['Authorization', `Bearer ${token}`, 'DPoP', proofOf(proofKey)],
    });
    await expectRefusal(asBearer, DPoPBindingMismatchError, /Bearer/);
  });

  it('#6: whoever is asked about revocation is asked each time, over one connection, too', async () => {
    let isRevoked = false;
    const revocationChecker = () => isRevoked;
    const resource = trusting.client.resource({
      resource: RESOURCE,
      revocationChecker,
      verification,
    });
    const token = trusting.mint(key);
    const connection = {};
    await resource.authenticate(request(token, 'Bearer', connection));
    isRevoked = true;
    const late = resource.authenticate(request(token, 'Bearer', connection));
    await expectRefusal(late, TokenRevokedError, /./);
  });

  it('#6: what was revoked here is verified anew, over the same connection, too', async () => {
    const token = trusting.mint(key);
    const connection = {};
    const { claims } = await trusting.resource.authenticate(request(token, 'Bearer', connection));
    await trusting.client.revoke(token).catch(() => undefined); // nobody there: it is forgotten all the same
    const again = await trusting.resource.authenticate(request(token, 'Bearer', connection));
    expect(again.claims === claims).toBe(false);
  });

  it('#7: claims are deeply frozen', async () => {
    const claims = await trusting.resource.verify(
      trusting.mint(key, { claims: { groups: ['a'], act: { sub: 'x', act: { sub: 'y' } } } }),
    );
    const open: unknown[] = [];
    const look = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      if (!Object.isFrozen(value)) open.push(value);
      for (const inner of Object.values(value)) look(inner);
    };
    look(claims);
    expect(open).toEqual([]);
  });

  it('#8: what is too long is not even hashed, and no failure is remembered', async () => {
    const long = `${trusting.mint(key)}${'A'.repeat(20_000)}`;
    await expectRefusal(trusting.resource.verify(long), TokenTooLongError, /maxTokenLength/);
    const early = trusting.mint(key, { claims: { nbf: NOW + 100 } });
    await expectRefusal(trusting.resource.verify(early), InvalidClaimsError, /^nbf /);
    trusting.clock.advance(100);
    await trusting.resource.verify(early);
  });

  it('#9: requests with the same new token share one verification, and one refusal', async () => {
    const token = trusting.mint(key);
    const all = await Promise.all(Array.from({ length: 5 }, () => trusting.resource.verify(token)));
    expect(new Set(all).size).toBe(1);
    const [header, claims] = token.split('.');
    const other = trusting.mint(key, { claims: { jti: 'other' } });
    const forged = `${header}.${claims}.${other.split('.')[2]}`;
    const refused = await Promise.allSettled(
      Array.from({ length: 5 }, () => trusting.resource.verify(forged)),
    );
    expect(refused.map(({ status }) => status)).toEqual(Array(5).fill('rejected'));
    await expectRefusal(trusting.resource.verify(forged), InvalidSignatureError, /does not verify/);
  });

  it('13.3: what has ended is refused before its signature is looked at; all else after', async () => {
    const forge = (claims: object) => {
      const token = trusting.mint(key, { claims: { ...claims } });
      return `${token.slice(0, token.lastIndexOf('.'))}.${trusting.mint(key).split('.')[2]}`;
    };
    const { resource } = trusting;
    await expectRefusal(resource.verify(forge({ exp: NOW - 100 })), TokenExpiredError, /expired/);
    for (const claims of [
      { aud: 'https://other.example' },
      { iss: 'https://other.example' },
      { nbf: NOW + 1000 },
      { iat: NOW + 1000 },
      { exp: 'never' },
      { sub: undefined },
    ]) {
      await expectRefusal(resource.verify(forge(claims)), InvalidSignatureError, /does not verify/);
    }
  });
});

it('13.3: a client whose key set is in hand verifies without a promise', async () => {
  const key = signingKey('ES256', 'k');
  const trusting = await trustingResource([key.jwk], { resource: { verification: 'sync' } });
  const headers = ['Authorization', `Bearer ${trusting.mint(key)}`];
  const answer = trusting.resource.authenticateNow({ method: 'POST', url: '/mcp', headers });
  expect(answer).toMatchObject({ scheme: 'Bearer', claims: { sub: 'user-1' } });
  expect(trusting.client).toBeInstanceOf(AuthplaneClient);
  await trusting.close();
});
