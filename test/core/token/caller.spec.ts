import { describe, expect, it } from 'vitest';
import { inspect } from 'node:util';
import type { Authentication } from 'authplane-nestjs/core';
import { callerByToken, meetsNeeds, TokenCaller } from '../../../src/core/token/caller.js';

const TOKEN = 'header.payload.signature';
const RESOURCE = 'https://mcp.example/mcp';
const claims = {
  sub: 'alice',
  audience: [RESOURCE, 'https://mcp.example/other'],
  expiresAt: 1000,
  hasScope: (scope: string) => scope === 'read',
} as unknown as Authentication['claims'];
const authentication: Authentication = {
  claims,
  token: TOKEN,
  scheme: 'Bearer',
  responseHeaders: { 'DPoP-Nonce': 'n' },
};
const tokensAt = (now: number, revoked?: boolean) => ({
  resource: RESOURCE,
  checksRevocation: revoked !== undefined,
  secondsLeft: ({ expiresAt }: Authentication['claims']) => expiresAt - now,
  isRevoked: (of: unknown, token: string) =>
    Promise.resolve(revoked === true && of === claims && token === TOKEN),
});

describe('the caller behind an access token', () => {
  it('says who it is, how it has shown that, and for which resource', () => {
    const caller = new TokenCaller(authentication, tokensAt(900));
    expect(caller).toMatchObject({ claims, method: 'access_token', resource: RESOURCE });
    expect(caller.responseHeaders).toBe(authentication.responseHeaders);
  });

  it('is asked about again, whatever the token is', async () => {
    expect(new TokenCaller(authentication, tokensAt(900)).secondsLeft()).toBe(100);
    expect(new TokenCaller(authentication, tokensAt(900)).isRevoked).toBeUndefined();
    expect(await new TokenCaller(authentication, tokensAt(900, true)).isRevoked?.()).toBe(true);
    expect(await new TokenCaller(authentication, tokensAt(900, false)).isRevoked?.()).toBe(false);
  });

  it('has its token in one place, for whoever exchanges it', () => {
    const caller = new TokenCaller(authentication, tokensAt(900));
    const { authentication: exchangeable, ...others } = caller;
    expect(exchangeable?.token).toBe(TOKEN);
    expect(inspect(others, { depth: null })).not.toContain(TOKEN);
  });
});

it('a caller that nobody has judged a request of belongs to the first audience of the token', () => {
  expect(callerByToken(authentication)).toMatchObject({ claims, resource: RESOURCE });
});

it('needs are met by what the claims cover', () => {
  expect(meetsNeeds({ claims }, { all: ['read'], anyOf: [['write', 'read']] })).toBe(true);
  expect(meetsNeeds({ claims }, { all: ['read', 'write'], anyOf: [] })).toBe(false);
});
