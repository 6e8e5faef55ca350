import { describe, expect, it } from 'vitest';
import { InsufficientScopeError } from '../../../src/core/errors/token-errors.js';
import { exactScopes, scopeCoverage } from '../../../src/core/lib/scopes.js';
import { type ClaimValues, VerifiedClaims } from '../../../src/core/token/verified-claims.js';

function values(): ClaimValues {
  return {
    issuer: 'https://auth.example.com',
    sub: 'user-1',
    clientId: 'client-1',
    audience: ['https://api.example.com'],
    expiresAt: 2,
    issuedAt: 1,
    notBefore: 0,
    jti: 'j',
    kid: 'k',
    scopes: ['read', 'write'],
    agentId: 'agent',
    agentChain: ['root', 'agent'],
    act: { sub: 'svc', act: { sub: 'inner' } },
    dpopProof: { jkt: 't', jti: 'p', iat: 1, htm: 'GET', htu: 'https://a.example/' },
    raw: { sub: 'user-1', nested: { list: [{ deep: 1 }] }, act: { sub: 'svc' } },
  };
}

const lacking = (...requiredScopes: string[]) =>
  expect.objectContaining({ name: InsufficientScopeError.name, requiredScopes });

describe('VerifiedClaims', () => {
  it('hands every value on', () => {
    const claims = new VerifiedClaims(values(), exactScopes);
    expect({ ...claims }).toEqual({ method: 'access_token', ...values() });
  });

  it('is frozen at every depth', () => {
    const raw = values().raw;
    const act = raw['act'] as ClaimValues['act'];
    const claims = new VerifiedClaims({ ...values(), raw, act }, exactScopes);
    const deep: unknown[] = [claims];
    for (let value = deep.pop(); value !== undefined; value = deep.pop()) {
      expect(Object.isFrozen(value)).toBe(true);
      deep.push(...Object.values(value as object).filter((inner) => typeof inner === 'object'));
    }
  });

  it('cannot be changed by one request for the next one', () => {
    const claims = new VerifiedClaims(values(), exactScopes);
    expect(() => (claims.scopes as string[]).push('admin')).toThrow(TypeError);
    expect(() => Object.assign(claims, { sub: 'admin' })).toThrow(TypeError);
    expect(() => Object.assign(claims.raw, { sub: 'admin' })).toThrow(TypeError);
    expect(() => Object.assign(claims, { extra: 1 })).toThrow(TypeError);
  });

  it('does not follow later changes of the lists it was made from', () => {
    const scopes = ['read'];
    const claims = new VerifiedClaims({ ...values(), scopes }, exactScopes);
    scopes.push('admin');
    expect(claims.scopes).toEqual(['read']);
  });

  it('hasScope compares exactly', () => {
    const claims = new VerifiedClaims(values(), exactScopes);
    expect(claims.hasScope('read')).toBe(true);
    for (const scope of ['READ', 'rea', 'read ', 'read write', '', '__proto__', '0', 'length']) {
      expect(claims.hasScope(scope)).toBe(false);
    }
  });

  it('hasScope and requireScope follow the hierarchy', () => {
    const covers = scopeCoverage({ write: ['delete'] });
    const claims = new VerifiedClaims(values(), covers);
    expect(claims.hasScope('delete')).toBe(true);
    expect(() => claims.requireScope('delete')).not.toThrow();
    expect(() => claims.requireScopes(['delete', 'read'])).not.toThrow();
  });

  it('requireScope names the scope that is missing', () => {
    const claims = new VerifiedClaims(values(), exactScopes);
    expect(() => claims.requireScope('read')).not.toThrow();
    expect(() => claims.requireScope('admin')).toThrow(lacking('admin'));
  });

  it('RFC 6750 §3.1: requireScopes names all scopes of the operation, not only the missing ones', () => {
    const claims = new VerifiedClaims(values(), exactScopes);
    expect(() => claims.requireScopes(['read', 'admin'])).toThrow(lacking('read', 'admin'));
    expect(() => claims.requireScopes(['read', 'write'])).not.toThrow();
    expect(() => claims.requireScopes([])).not.toThrow();
  });

  it('has: a claim as signed, its value, or a list with it', () => {
    const raw = { tenant: 'a', level: 2, groups: ['staff', 'ops'], none: null, nested: { a: 1 } };
    const claims = new VerifiedClaims({ ...values(), raw }, exactScopes);
    for (const claim of Object.keys(raw)) expect(claims.has(claim)).toBe(true);
    for (const claim of ['other', '__proto__', 'toString', 'constructor', 'length']) {
      expect(claims.has(claim)).toBe(false);
    }
    expect(claims.has('tenant', 'a') && claims.has('level', 2)).toBe(true);
    expect(claims.has('groups', 'staff') && claims.has('groups', 'ops')).toBe(true);
    expect(claims.has('tenant', 'A') || claims.has('level', '2')).toBe(false);
    expect(claims.has('groups', 'sta') || claims.has('groups', 'staff,ops')).toBe(false);
    expect(claims.has('none', 'null') || claims.has('other', 'a')).toBe(false);
  });

  it('without proof there is none', () => {
    const { dpopProof, ...bearer } = values();
    expect(dpopProof).toBeDefined();
    expect(new VerifiedClaims(bearer, exactScopes).dpopProof).toBeUndefined();
  });
});
