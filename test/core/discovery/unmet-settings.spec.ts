import { describe, expect, test } from 'vitest';
import { exactScopes, NO_SCOPES, scopeCoverage } from '../../../src/core/lib/scopes.js';
import {
  type Demand,
  type Offer,
  unmetSettings,
} from '../../../src/core/discovery/unmet-settings.js';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const everything: Offer = {
  grants: ['authorization_code', 'client_credentials', EXCHANGE],
  scopes: ['read', 'write'],
  proofAlgorithms: ['ES256', 'RS256'],
  hasKeyFor: (alg) => alg === 'ES256',
};

const much: Demand = {
  getsTokens: true,
  signsProofs: true,
  allowedAlgorithms: ['ES256', 'RS256'],
  inboundDPoP: { required: true, allowedProofAlgorithms: ['ES256'] },
  scopes: { all: ['read'], anyOf: [['write', 'admin']] },
  covers: exactScopes,
};

const nothing: Demand = {
  getsTokens: false,
  signsProofs: false,
  allowedAlgorithms: ['ES256'],
  inboundDPoP: undefined,
  scopes: NO_SCOPES,
  covers: exactScopes,
};

const unmet = (offer: Partial<Offer>, demand: Partial<Demand> = {}): string[] =>
  unmetSettings({ ...everything, ...offer }, { ...much, ...demand });

describe('10.22: what the options want and the authorization server does not offer', () => {
  test('is nothing where all is offered, or nothing wanted', () => {
    expect(unmet({})).toEqual([]);
    const little: Offer = { ...everything, grants: [], scopes: [], proofAlgorithms: [] };
    expect(unmetSettings(little, nothing)).toEqual([]);
  });

  test('what the server does not speak of is no finding', () => {
    expect(unmet({ grants: undefined, scopes: undefined })).toEqual([]);
  });

  test('DPoP: required of callers, or signed for, and not offered', () => {
    const off = { proofAlgorithms: [] };
    expect(unmet(off)).toEqual([expect.stringContaining('AUTHPLANE_DPOP_ENABLED')]);
    expect(unmet(off, { signsProofs: false })).toHaveLength(1);
    expect(unmet(off, { inboundDPoP: undefined })).toHaveLength(1);
    const optional = { required: false, allowedProofAlgorithms: ['ES256'] };
    expect(unmet(off, { inboundDPoP: optional, signsProofs: false })).toEqual([]);
  });

  test('grants: each with its switch', () => {
    expect(unmet({ grants: ['authorization_code', 'client_credentials'] })).toEqual([
      expect.stringContaining('AUTHPLANE_TOKEN_EXCHANGE_ENABLED'),
    ]);
    expect(unmet({ grants: [EXCHANGE] })).toEqual([
      expect.stringContaining('AUTHPLANE_CLIENT_CREDENTIALS_ENABLED'),
    ]);
    expect(unmet({ grants: [] }, { getsTokens: false })).toEqual([]);
  });

  test('scopes: those that nobody can get; of alternatives one is enough, and what implies counts', () => {
    const scopes = {
      all: ['read', 'delete'],
      anyOf: [
        ['write', 'admin'],
        ['x', 'y'],
      ],
    };
    expect(unmet({}, { scopes })).toEqual([expect.stringContaining('scopes delete x y ')]);
    const covers = scopeCoverage({ write: ['delete', 'x'] });
    expect(unmet({}, { scopes, covers })).toEqual([]);
  });

  test('algorithms: of keys and of proofs', () => {
    expect(unmet({}, { allowedAlgorithms: ['PS256'] })).toEqual([
      expect.stringContaining('allowedAlgorithms (PS256)'),
    ]);
    const inboundDPoP = { required: true, allowedProofAlgorithms: ['EdDSA'] };
    expect(unmet({}, { inboundDPoP })).toEqual([
      expect.stringContaining('inboundDPoP.allowedProofAlgorithms'),
    ]);
    expect(unmet({ proofAlgorithms: ['Ed25519'] }, { inboundDPoP })).toEqual([]);
  });
});
