import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { existsSync, readFileSync } from 'node:fs';
import {
  AuthplaneClient,
  type AuthplaneResource,
  DPoPBindingMismatchError,
  DPoPNotSupportedError,
  DPoPProofMissingError,
  type InboundDPoPOptions,
  InMemoryDPoPReplayStore,
  InvalidClaimsError,
} from 'authplane-nestjs/core';
import {
  type DPoPKey,
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { resolveModuleOptions } from '../../src/core/options.js';

const CATALOGUE = '../shared/conformance/catalog.tsv';
const METHOD = 'GET';
const URL_OF_REQUEST = 'https://api.example.com/resource';

/** The rows about `verify`, which decides whether token, proof and mode belong together. */
describe('DPoP rows of the conformance catalogue, through verify', () => {
  let server: StandInAuthorizationServer;
  let client: AuthplaneClient;
  let key: DPoPKey;

  beforeAll(async () => {
    server = await startAuthorizationServer();
    client = await AuthplaneClient.create({ issuer: server.issuer, devMode: true });
    key = await generateDPoPKey();
  });

  afterAll(async () => {
    client.close();
    await server.close();
  });

  const RESOURCE = 'https://api.example.com';
  const resource = (inboundDPoP?: InboundDPoPOptions): AuthplaneResource =>
    client.resource({ resource: RESOURCE, ...(inboundDPoP === undefined ? {} : { inboundDPoP }) });
  const token = (cnf?: unknown) =>
    server.issueToken({ aud: [RESOURCE], ...(cnf === undefined ? {} : { cnf }) });
  const bound = () => token({ jkt: key.thumbprint });
  const request = (accessToken?: string) => ({
    method: METHOD,
    url: URL_OF_REQUEST,
    ...(accessToken === undefined
      ? {}
      : { proof: dpopProof(key, { method: METHOD, url: URL_OF_REQUEST, accessToken }) }),
  });

  it('rfc9449-inbound-dpop-proof-must-validate-method-url-and-binding', async () => {
    const accessToken = await bound();
    const claims = await resource({}).verify(accessToken, { dpopRequest: request(accessToken) });
    expect(claims.dpopProof?.jkt).toBe(key.thumbprint);
  });

  it('rfc9449-bearer-token-with-request-context-and-no-proof-must-still-verify-as-bearer', async () => {
    const claims = await resource({}).verify(await token(), { dpopRequest: request() });
    expect(claims.sub).toBe('user-1');
    expect(claims.dpopProof).toBeUndefined();
  });

  it('rfc9449-dpop-bound-token-with-request-context-and-no-proof-must-be-rejected-via-main-verify-path', async () => {
    await expect(
      resource({}).verify(await bound(), { dpopRequest: request() }),
    ).rejects.toBeInstanceOf(DPoPProofMissingError);
  });

  it('rfc9449-dpop-proof-required-when-validating-dpop-bound-token', async () => {
    await expect(resource({}).verify(await bound())).rejects.toBeInstanceOf(DPoPProofMissingError);
  });

  it('rfc9449-dpop-bound-token-must-contain-cnf-jkt', async () => {
    const accessToken = await token({});
    const verified = resource({}).verify(accessToken, { dpopRequest: request(accessToken) });
    await expect(verified).rejects.toBeInstanceOf(InvalidClaimsError);
    await expect(verified).rejects.toThrow('cnf');
  });

  it('rfc9449-verifier-must-reject-bearer-only-token-when-resource-requires-dpop', async () => {
    await expect(resource({ required: true }).verify(await token())).rejects.toBeInstanceOf(
      DPoPBindingMismatchError,
    );
  });

  it('rfc9449-verifier-must-reject-dpop-bound-token-when-resource-does-not-support-dpop', async () => {
    const accessToken = await bound();
    await expect(
      resource().verify(accessToken, { dpopRequest: request(accessToken) }),
    ).rejects.toBeInstanceOf(DPoPNotSupportedError);
  });

  it.each([
    ['off', undefined],
    ['supported', {}],
    ['required', { required: true }],
  ])(
    'rfc9449-verifier-must-reject-dpop-proof-when-access-token-is-not-dpop-bound: DPoP %s',
    async (_, inboundDPoP) => {
      const accessToken = await token();
      await expect(
        resource(inboundDPoP).verify(accessToken, { dpopRequest: request(accessToken) }),
      ).rejects.toBeInstanceOf(DPoPBindingMismatchError);
    },
  );

  it('rfc9728-prm-dpop-fields-should-be-advertised-when-dpop-is-supported', () => {
    const allowedProofAlgorithms = ['ES256', 'RS256'];
    expect(resource({ allowedProofAlgorithms }).metadata()).toMatchObject({
      dpop_signing_alg_values_supported: allowedProofAlgorithms,
      dpop_bound_access_tokens_required: false,
    });
    expect(resource().metadata()).not.toHaveProperty('dpop_bound_access_tokens_required');
  });

  it('F21: the memory store in production is one loud warning, a shared one is none', () => {
    const options = { issuer: 'https://as.example', resource: 'https://rs.example/mcp' };
    const warnings = (inboundDPoP: InboundDPoPOptions) =>
      resolveModuleOptions({ ...options, inboundDPoP }).warnings.filter((text) =>
        text.includes('memory of this process'),
      );
    expect(warnings({})).toHaveLength(1);
    expect(warnings({ replayStore: new InMemoryDPoPReplayStore() })).toHaveLength(1);
    expect(warnings({ replayStore: { checkAndStore: () => true } })).toEqual([]);
  });

  const present = existsSync(CATALOGUE);
  if (!present) console.warn(`SKIPPED: no conformance catalogue at ${CATALOGUE}`);

  (present ? it : it.skip)('every DPoP row of the catalogue has a test under its id', () => {
    const ids = readFileSync(CATALOGUE, 'utf8')
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '')
      .filter((id) => id.startsWith('rfc9449-'));
    const specs = [
      'test/conformance/dpop.spec.ts',
      'test/conformance/operations.spec.ts',
      ...['proof', 'signer', 'nonce', 'replay-store'].map(
        (name) => `test/core/dpop/${name}.spec.ts`,
      ),
    ];
    const text = specs.map((spec) => readFileSync(spec, 'utf8')).join('\n');
    expect(ids.length).toBeGreaterThan(20);
    expect(ids.filter((id) => !text.includes(id))).toEqual([]);
  });
});
