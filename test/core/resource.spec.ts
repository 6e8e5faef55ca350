import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  DPoPBindingMismatchError,
  DPoPNonceRequiredError,
  DPoPNotSupportedError,
} from '../../src/core/errors/dpop-errors.js';
import {
  InsufficientScopeError,
  InvalidClaimsError,
  MalformedCredentialsError,
  TokenExpiredError,
  TokenMissingError,
  TokenRevokedError,
} from '../../src/core/errors/token-errors.js';
import { NOW, RESOURCE, type SigningKey, signingKey } from '../support/tokens/keys-and-tokens.js';
import { hashOf, proofOf, testKey } from '../support/tokens/dpop-proofs.js';
import { expectRefusal, refusalOf } from '../support/tokens/refusals.js';
import { trustingResource, type TrustingResource } from '../support/tokens/trusting-resource.js';

let key: SigningKey;
let trusting: TrustingResource;

beforeAll(() => {
  key = signingKey('ES256', 'k');
});

beforeEach(async () => {
  trusting = await trustingResource([key.jwk], { resource: { scopes: ['tools/query'] } });
});

afterEach(() => trusting.close());

const request = (headers: readonly string[]) => ({ method: 'POST', url: '/mcp', headers });
const authorization = (value: string) => request(['Authorization', value]);

describe('authenticate', () => {
  it('RFC 6750 §2.1: takes the token from the header and says who sends it', async () => {
    const token = trusting.mint(key);
    const result = await trusting.resource.authenticate(authorization(`Bearer ${token}`));
    expect(result).toMatchObject({ token, scheme: 'Bearer', claims: { sub: 'user-1' } });
  });

  it('RFC 6750 §2.2, §2.3: no token in the URL is looked at', async () => {
    const url = `/mcp?access_token=${trusting.mint(key)}`;
    const work = trusting.resource.authenticate({ method: 'GET', url, headers: [] });
    await expectRefusal(work, TokenMissingError, /no access token/);
  });

  it('RFC 6750 §2: two tokens are a malformed request, even when both are good', async () => {
    const line = ['Authorization', `Bearer ${trusting.mint(key)}`];
    const work = trusting.resource.authenticate(request([...line, ...line]));
    await expectRefusal(work, MalformedCredentialsError, /more than one/);
  });

  it('T26: without DPoP an unbound token under the scheme DPoP is refused', async () => {
    const work = trusting.resource.authenticate(authorization(`DPoP ${trusting.mint(key)}`));
    await expectRefusal(work, DPoPNotSupportedError, /./);
  });

  it('T26: without DPoP a proof beside a good bearer token is refused', async () => {
    const headers = ['Authorization', `Bearer ${trusting.mint(key)}`, 'DPoP', 'proof'];
    await expectRefusal(
      trusting.resource.authenticate(request(headers)),
      DPoPBindingMismatchError,
      /./,
    );
  });
});

describe('13.2: authenticateNow', () => {
  it('answers at once who sends a token that is remembered', async () => {
    const line = authorization(`Bearer ${trusting.mint(key)}`);
    const first = await trusting.resource.authenticateNow(line);
    expect(trusting.resource.authenticateNow(line)).toEqual(first);
  });

  it('refuses at once what is no credential, and a remembered token that has ended', async () => {
    const line = authorization(`Bearer ${trusting.mint(key, { claims: { exp: NOW + 100 } })}`);
    await trusting.resource.authenticateNow(line);
    trusting.clock.advance(160);
    expect(() => trusting.resource.authenticateNow(line)).toThrow(TokenExpiredError);
    expect(() => trusting.resource.authenticateNow(request([]))).toThrow(TokenMissingError);
  });

  it('waits where somebody is asked whether the token was revoked', async () => {
    const revocationChecker = () => true;
    const resource = trusting.client.resource({ resource: RESOURCE, revocationChecker });
    const line = authorization(`Bearer ${trusting.mint(key)}`);
    for (let times = 0; times < 2; times++) {
      const answer = resource.authenticateNow(line);
      expect(answer).toBeInstanceOf(Promise);
      await expect(answer).rejects.toBeInstanceOf(TokenRevokedError);
    }
  });
});

describe('T26: sender-constrained tokens where DPoP is off', () => {
  it.each([
    ['jkt', { jkt: 'thumbprint' }],
    ['x5t#S256', { 'x5t#S256': 'thumbprint' }],
    ['empty', {}],
    ['text', 'jkt'],
    ['null', null],
    ['false', false],
    ['a list', []],
  ])('P19: cnf %s is never taken for an unbound token', async (_, cnf) => {
    const token = trusting.mint(key, { claims: { cnf } });
    await expectRefusal(trusting.resource.verify(token), DPoPNotSupportedError, /./);
    await expectRefusal(trusting.resource.verify(token), DPoPNotSupportedError, /./); // remembered
    const work = trusting.resource.authenticate(authorization(`Bearer ${token}`));
    await expectRefusal(work, DPoPNotSupportedError, /./);
  });
});

describe('DECISIONS 10: the memory of verified tokens', () => {
  it('serves the same claims again', async () => {
    const token = trusting.mint(key);
    const claims = await trusting.resource.verify(token);
    expect(await trusting.resource.verify(token)).toBe(claims);
    expect(await trusting.resource.verify(trusting.mint(key))).not.toBe(claims);
  });

  it('checks the times at each use', async () => {
    const token = trusting.mint(key, { claims: { exp: NOW + 100 } });
    await trusting.resource.verify(token);
    trusting.clock.advance(159);
    await trusting.resource.verify(token);
    trusting.clock.advance(1);
    await expectRefusal(trusting.resource.verify(token), TokenExpiredError, /expired/);
  });

  it('checks iat and nbf at each use, should the clock be set back', async () => {
    const token = trusting.mint(key, { claims: { nbf: NOW - 10 } });
    await trusting.resource.verify(token);
    trusting.clock.setWall(NOW - 71);
    await expectRefusal(trusting.resource.verify(token), InvalidClaimsError, /in the future/);
    trusting.clock.setWall(NOW);
    await trusting.resource.verify(token);
  });

  it('remembers no refusal', async () => {
    const token = trusting.mint(key, { claims: { nbf: NOW + 100 } });
    await expectRefusal(trusting.resource.verify(token), InvalidClaimsError, /^nbf /);
    trusting.clock.advance(100);
    await trusting.resource.verify(token);
  });

  it('is not shared between resources', async () => {
    const token = trusting.mint(key);
    await trusting.resource.verify(token);
    const other = trusting.client.resource({ resource: 'https://api.example.com/other' });
    await expectRefusal(other.verify(token), InvalidClaimsError, /does not contain the resource/);
  });
});

describe('scopes', () => {
  it('all needed ones are named when one is missing', async () => {
    const claims = await trusting.resource.verify(trusting.mint(key));
    const needs = (all: string[]) => () => {
      trusting.resource.requireScopes(claims, { all, anyOf: [] });
    };
    expect(needs(['tools/query'])).not.toThrow();
    expect(needs(['tools/query', 'admin'])).toThrow(InsufficientScopeError);
    expect(needs(['tools/query', 'admin'])).toThrow(
      expect.objectContaining({ requiredScopes: ['tools/query', 'admin'] }),
    );
  });

  it('DECISIONS 6: the hierarchy is honoured by the resource and by its claims', async () => {
    const resource = trusting.client.resource({
      resource: RESOURCE,
      scopeHierarchy: { 'tools/query': ['tools/read'] },
    });
    const claims = await resource.verify(trusting.mint(key));
    expect(claims.hasScope('tools/read')).toBe(true);
    const needs = { all: ['tools/read'], anyOf: [] };
    expect(() => resource.requireScopes(claims, needs)).not.toThrow();
    const plain = await trusting.resource.verify(trusting.mint(key));
    expect(plain.hasScope('tools/read')).toBe(false);
  });
});

describe('what the resource says of itself', () => {
  it('RFC 9728 §2: its metadata and where it stands', () => {
    expect(trusting.resource.metadata()).toMatchObject({
      resource: RESOURCE,
      authorization_servers: [trusting.server.issuer],
      scopes_supported: ['tools/query'],
      bearer_methods_supported: ['header'],
    });
    expect(trusting.resource.metadataUrl).toBe(
      'https://api.example.com/.well-known/oauth-protected-resource/mcp',
    );
    expect(trusting.resource.resource).toBe(RESOURCE);
    expect(trusting.resource.scopes).toEqual(['tools/query']);
  });

  it('T38: nothing of a request goes into its challenge', () => {
    const headers = ['Host', 'evil.example', 'X-Forwarded-Host', 'evil.example'];
    const { headers: sent } = trusting.resource.challenge(new TokenMissingError(), { headers });
    expect(sent['WWW-Authenticate']).toBe(
      `Bearer realm="${RESOURCE}", scope="tools/query", resource_metadata="${trusting.resource.metadataUrl}"`,
    );
  });
});

describe('9.25, RFC 9449 §8.2, §9: the nonce in answers', () => {
  const nonceOf = (headers: Readonly<Record<string, string>>) => headers['DPoP-Nonce'] ?? '';

  it('is in the challenge for a proof without one, and in every answer to a bound token', async () => {
    const dpopKey = await testKey('ES256');
    const { client } = trusting;
    const resource = client.resource({ resource: RESOURCE, inboundDPoP: { nonce: true } });
    const bound = trusting.mint(key, { claims: { cnf: { jkt: dpopKey.jkt } } });
    const withProof = (jti: string, nonce?: string) => {
      const claims = { htu: RESOURCE, iat: NOW, ath: hashOf(bound), jti, nonce };
      const proof = proofOf(dpopKey, { claims });
      return resource.authenticate(request(['Authorization', `DPoP ${bound}`, 'DPoP', proof]));
    };

    const refused = await refusalOf(withProof('first'));
    expect(refused).toBeInstanceOf(DPoPNonceRequiredError);
    const { status, headers } = resource.challenge(refused);
    expect(status).toBe(401);
    expect(headers['WWW-Authenticate']).toContain('error="use_dpop_nonce"');
    const { responseHeaders } = await withProof('second', nonceOf(headers));
    await withProof('third', nonceOf(responseHeaders));
    expect(Object.keys(responseHeaders)).toEqual(['DPoP-Nonce', 'Cache-Control']);
  });

  it('is not told to callers with bearer tokens, nor where there are none', async () => {
    const token = trusting.mint(key);
    for (const options of [{ inboundDPoP: { nonce: true } }, { inboundDPoP: {} }, {}]) {
      const resource = trusting.client.resource({ resource: RESOURCE, ...options });
      const { responseHeaders } = await resource.authenticate(authorization(`Bearer ${token}`));
      expect(responseHeaders).toEqual({});
      const challenge = resource.challenge(new TokenMissingError());
      expect('DPoP-Nonce' in challenge.headers).toBe(options.inboundDPoP?.nonce === true);
    }
  });
});
