import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AuthplaneClient,
  type AuthplaneResource,
  ConfigurationError,
  DPoPReplayDetectedError,
  InvalidClaimsError,
  TokenRevokedError,
} from 'authplane-nestjs/core';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { UNRESOLVED_RESOURCE } from '../../src/core/names/settings.js';
import type { ResourceOptions } from '../../src/core/options.js';

const ACME = 'https://mcp.example.com/mcp/acme';
const GLOBEX = 'https://mcp.example.com/mcp/globex';

describe('12.4: resources of one entry of the configuration', () => {
  let authorizationServer: StandInAuthorizationServer;
  let client: AuthplaneClient;
  let family: AuthplaneResource;

  const start = async (options: Partial<ResourceOptions> = {}) => {
    authorizationServer = await startAuthorizationServer();
    client = await AuthplaneClient.create({ issuer: authorizationServer.issuer, devMode: true });
    family = client.resource({ resource: UNRESOLVED_RESOURCE, scopes: ['a'], ...options });
  };
  const acme = () => family.at(ACME, { profile: 'acme' });
  const token = (aud: string | string[], claims = {}) =>
    authorizationServer.issueToken({ aud, sub: 'alice', ...claims });

  beforeEach(() => start());
  afterEach(async () => {
    client.close();
    await authorizationServer.close();
  });

  it('have an audience, a document and a challenge of their own', async () => {
    const resource = acme();
    expect(resource.metadata()).toMatchObject({ resource: ACME, scopes_supported: ['a'] });
    expect(resource.challenge(new TokenRevokedError('')).headers['WWW-Authenticate']).toContain(
      `realm="${ACME}"`,
    );
    expect((await resource.verify(await token(ACME))).sub).toBe('alice');
    await expect(resource.verify(await token(GLOBEX))).rejects.toThrow(InvalidClaimsError);
    expect([resource.params, resource.family]).toEqual([{ profile: 'acme' }, family]);
  });

  it('remember no token for each other', async () => {
    const good = await token(ACME);
    await acme().verify(good);
    await expect(family.at(GLOBEX, {}).verify(good)).rejects.toThrow(InvalidClaimsError);
  });

  it('share what revokes a token', async () => {
    client.close();
    await authorizationServer.close();
    const revoked = new Set<unknown>();
    await start({ revocationChecker: ({ jti }) => revoked.has(jti) });
    const both = await token([ACME, GLOBEX]);
    const { jti } = await acme().verify(both);
    revoked.add(jti);
    for (const uri of [ACME, GLOBEX]) {
      await expect(family.at(uri, {}).verify(both)).rejects.toThrow(TokenRevokedError);
    }
  });

  it('row 11: one that went and comes back knows the proofs that were used', async () => {
    client.close();
    await authorizationServer.close();
    await start({ inboundDPoP: {} });
    const key = await generateDPoPKey();
    const bound = await token(ACME, { cnf: { jkt: key.thumbprint } });
    const proof = dpopProof(key, { method: 'POST', url: ACME, accessToken: bound });
    const dpopRequest = { method: 'POST', url: ACME, proof };
    expect((await acme().verify(bound, { dpopRequest })).sub).toBe('alice');
    await expect(acme().verify(bound, { dpopRequest })).rejects.toThrow(DPoPReplayDetectedError);
  });

  it('have no member that stands for all: it takes no token, and is named to nobody', async () => {
    const forAll = await token(UNRESOLVED_RESOURCE);
    await expect(family.verify(forAll)).rejects.toThrow(ConfigurationError);
    const { headers } = family.challenge(new TokenRevokedError(''));
    expect(headers['WWW-Authenticate']).not.toContain('invalid/');
  });
});
