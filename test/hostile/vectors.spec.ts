import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AuthplaneClient } from '../../src/core/client.js';
import { httpStatus } from '../../src/core/challenge.js';
import { AuthplaneError } from '../../src/core/errors/authplane-error.js';
import { JWKSFetchError } from '../../src/core/errors/server-errors.js';
import type { AuthplaneResource } from '../../src/core/resource.js';
import { cannedFetch } from '../support/servers/canned-fetch.js';
import {
  base64url,
  ISSUER,
  type Members,
  mint,
  mintRaw,
  RESOURCE,
  signingKey,
  validClaims,
  validHeader,
} from '../support/tokens/keys-and-tokens.js';
import { ManualClock } from '../support/tokens/manual-clock.js';

/**
 * Acceptance data of others, each case as a whole access token against a real resource whose key set
 * holds the key of the case: none is accepted, and every refusal is a typed error that maps to 401,
 * or to 503 when the key set itself is refused. In both forms of verification.
 */

const VECTORS = '../shared/vectors';
const present = existsSync(VECTORS);
if (!present) console.warn(`SKIPPED: ${VECTORS} is not there, no vector was tried`);
const describeVectors = present ? describe : describe.skip;

const control = signingKey('ES256', 'control');
const ALGORITHMS = [
  ...['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['EdDSA', 'Ed25519'],
];

interface Case {
  readonly name: string;
  readonly token: string;
}

interface Group {
  readonly name: string;
  readonly keys: readonly unknown[];
  readonly cases: readonly Case[];
}

async function resourceTrusting(keys: readonly unknown[], clock = new ManualClock()) {
  const jwksUri = `${ISSUER}/jwks`;
  const { fetch } = cannedFetch({
    [`${ISSUER}/.well-known/oauth-authorization-server`]: { issuer: ISSUER, jwks_uri: jwksUri },
    [jwksUri]: { keys },
  });
  const client = await AuthplaneClient.create({ issuer: ISSUER, fetch, clock });
  const resourceBy = (verification: 'sync' | 'pool') =>
    client.resource({ resource: RESOURCE, allowedAlgorithms: ALGORITHMS, verification });
  const [resource, onPool] = [resourceBy('sync'), resourceBy('pool')];
  return { client, resource, resources: [resource, onPool], close: () => client.close() };
}

/** The refusal of each case that is not a typed 401; empty when all is well. */
async function wrongOutcomes(resources: readonly AuthplaneResource[], cases: readonly Case[]) {
  const wrong: string[] = [];
  for (const { name, token } of cases) {
    for (const resource of resources) {
      const outcome: unknown = await resource.verify(token).then(
        () => 'accepted',
        (error: unknown) => error,
      );
      const typed = outcome instanceof AuthplaneError && httpStatus(outcome) === 401;
      if (!typed) wrong.push(`${name}: ${String(outcome)}`);
    }
  }
  return wrong;
}

/** How many cases were tried; fails when one of them had another outcome than a typed refusal. */
async function expectAllRefused({ name, keys, cases }: Group): Promise<number> {
  const alone = await resourceTrusting(keys).catch((error: unknown) => error);
  if (alone instanceof Error) {
    expect([name, alone.constructor.name]).toEqual([name, JWKSFetchError.name]);
    expect(httpStatus(alone)).toBe(503);
  } else {
    const { resources, close } = alone as Awaited<ReturnType<typeof resourceTrusting>>;
    expect(await wrongOutcomes(resources, cases)).toEqual([]);
    close();
  }
  // Beside a good key, which keeps the set alive, and under a kid, should the key have none.
  const withKid = keys.map((key, i) => ({ kid: `vector-${i}`, ...(key as object) }));
  const beside = await resourceTrusting([...withKid, control.jwk]);
  await beside.resource.verify(mint(control));
  expect(await wrongOutcomes(beside.resources, cases)).toEqual([]);
  beside.close();
  return cases.length;
}

async function expectGroupsRefused(groups: readonly Group[]): Promise<number> {
  let tried = 0;
  for (const group of groups) tried += await expectAllRefused(group);
  return tried;
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(`${VECTORS}/${path}`, 'utf8'));
}

interface WycheproofGroup {
  readonly comment?: string;
  readonly public?: Members;
  readonly private?: Members;
  readonly publicKeyJwk?: Members;
  readonly keyJwk?: Members;
  readonly tests: readonly {
    readonly tcId: number;
    readonly comment: string;
    /** Compact, or one of the JSON serialisations. */
    readonly jws?: string | Members;
    readonly jwe?: string | Members;
    readonly sig?: string;
  }[];
}

function wycheproof(file: string): readonly WycheproofGroup[] {
  return (read(`wycheproof/${file}`) as { testGroups: WycheproofGroup[] }).testGroups;
}

function keysOf(key: Members | undefined): readonly unknown[] {
  if (key === undefined) return [];
  return Array.isArray(key['keys']) ? (key['keys'] as unknown[]) : [key];
}

function tokenGroups(file: string): Group[] {
  return wycheproof(file).flatMap(({ comment = '', tests, ...group }) => {
    const cases = tests.map(({ tcId, comment: what, jws, jwe }) => ({
      name: `${file} ${tcId} ${what}`,
      token: asText(jws ?? jwe ?? ''),
    }));
    const sets = [keysOf(group.public), keysOf(group.private)].filter(({ length }) => length > 0);
    return sets.map((keys) => ({ name: comment, keys, cases }));
  });
}

function asText(serialised: string | Members): string {
  return typeof serialised === 'string' ? serialised : JSON.stringify(serialised);
}

/** Raw signatures under a header and claims that are otherwise good for the resource. */
function signatureGroups(file: string, alg: string): Group[] {
  return wycheproof(file).flatMap(({ publicKeyJwk, keyJwk, tests }, index) => {
    const jwk = publicKeyJwk ?? keyJwk;
    if (jwk === undefined) return [];
    const kid = `group-${index}`;
    const header = base64url(JSON.stringify(validHeader({ ...control, alg, kid })));
    const claims = base64url(JSON.stringify(validClaims()));
    const cases = tests.map(({ tcId, comment, sig = '' }) => ({
      name: `${file} ${tcId} ${comment}`,
      token: `${header}.${claims}.${Buffer.from(sig, 'hex').toString('base64url')}`,
    }));
    return [{ name: `${file} group ${index}`, keys: [{ ...jwk, kid, alg, use: 'sig' }], cases }];
  });
}

describeVectors('Wycheproof', () => {
  it.each([
    ['json_web_signature_test.json', 401],
    ['json_web_key_test.json', 26],
    ['json_web_crypto_test.json', 83],
  ])('no case of %s is accepted as an access token', async (file, atLeast) => {
    expect(await expectGroupsRefused(tokenGroups(file))).toBeGreaterThanOrEqual(atLeast);
  });

  it.each([
    ['ecdsa_secp256r1_sha256_p1363_test.json', 'ES256', 200],
    ['ed25519_test.json', 'EdDSA', 150],
    ['rsa_signature_2048_sha256_test.json', 'RS256', 259],
  ])('no signature of %s verifies claims of ours', async (file, alg, atLeast) => {
    expect(await expectGroupsRefused(signatureGroups(file, alg))).toBeGreaterThanOrEqual(atLeast);
  });
});

interface Serialised {
  readonly compact?: string;
  readonly json?: Members;
  readonly json_flat?: Members;
}

/** Every serialisation as text, and as the three segments somebody might make of it. */
function casesOf(name: string, { compact, json, json_flat: flat }: Serialised): Case[] {
  const texts = compact === undefined ? [] : [compact];
  for (const form of [json, flat]) {
    if (form === undefined) continue;
    texts.push(JSON.stringify(form));
    const parts = Array.isArray(form['signatures']) ? (form['signatures'] as Members[]) : [form];
    for (const { protected: header, signature } of parts) {
      texts.push([header, form['payload'], signature].map((part) => String(part ?? '')).join('.'));
    }
  }
  return texts.map((token, i) => ({ name: `${name} #${i}`, token }));
}

describeVectors('the JOSE cookbook (RFC 7520, RFC 7797, RFC 8037)', () => {
  interface Example {
    readonly input?: { readonly key?: unknown };
    readonly output?: Serialised;
    readonly sign?: Example;
    readonly encrypt?: Example;
  }
  const files = present ? readdirSync(`${VECTORS}/jose-cookbook`) : [];

  it.each(files.filter((file) => /^(?:jws|rfc|curve|6)/.test(file)))('%s', async (file) => {
    const example = read(`jose-cookbook/${file}`) as Example;
    const parts = [example, example.sign, example.encrypt].filter((part) => part !== undefined);
    const groups = parts.flatMap(({ input, output }) => {
      if (output === undefined) return [];
      const keys = [input?.key].flat().filter((key) => typeof key === 'object');
      return [{ name: file, keys, cases: casesOf(file, output) }];
    });
    expect(await expectGroupsRefused(groups)).toBeGreaterThan(0);
  });

  it('private and symmetric keys of the cookbook are no key set', async () => {
    for (const file of files.filter((name) => /private|symmetric/.test(name))) {
      const start = resourceTrusting([read(`jose-cookbook/${file}`)]);
      await expect(start).rejects.toThrow(JWKSFetchError);
    }
  });
});

describeVectors('examples of the RFCs', () => {
  interface Example {
    readonly id: string;
    readonly jwk?: Members;
    readonly jws?: string;
    readonly proof?: string;
    readonly access_token?: string;
    readonly header?: Members;
    readonly claims?: Members;
    readonly now?: number;
    readonly resource?: string;
  }
  const examples = present ? (read('rfc/rfc-examples.json') as { vectors: Example[] }).vectors : [];

  it.each(examples.filter(({ jws, proof }) => jws !== undefined || proof !== undefined))(
    '$id is no access token',
    async ({ id, jwk, jws, proof, access_token: accessToken }) => {
      const texts = [jws, proof, accessToken].filter((text) => text !== undefined);
      const cases = texts.map((token, i) => ({ name: `${id} #${i}`, token }));
      const group = { name: id, keys: jwk === undefined ? [] : [jwk], cases };
      expect(await expectAllRefused(group)).toBeGreaterThan(0);
    },
  );

  it('RFC 9068 §2.2: its own example is accepted, signed with a key of ours', async () => {
    const example = examples.find(({ id }) => id === 'rfc9068-fig2');
    const { header = {}, claims = {}, now = 0, resource = '' } = example ?? {};
    const key = signingKey('RS256', String(header['kid']));
    const issuer = String(claims['iss']);
    const { origin } = new URL(issuer);
    const { fetch } = cannedFetch({
      [`${origin}/.well-known/oauth-authorization-server`]: { issuer, jwks_uri: `${origin}/jwks` },
      [`${origin}/jwks`]: { keys: [key.jwk] },
    });
    const clock = new ManualClock();
    clock.setWall(now);
    const client = await AuthplaneClient.create({ issuer, fetch, clock });
    const token = mintRaw(key, JSON.stringify(header), JSON.stringify(claims));
    const verified = await client.resource({ resource }).verify(token);
    expect(verified).toMatchObject({ issuer, sub: claims['sub'], audience: [resource] });
    client.close();
  });
});
