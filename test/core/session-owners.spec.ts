import { describe, expect, it } from '@jest/globals';
import type { VerifiedClaims } from 'authplane-nestjs/core';
import { SessionOwners } from '../../src/core/session-owners.js';

const claims = (sub: string, clientId = 'client', issuer = 'https://as.example') =>
  ({ issuer, sub, clientId }) as VerifiedClaims;
const alice = claims('alice');

describe('SessionOwners', () => {
  it('a session belongs to issuer, subject and client together', () => {
    const owners = new SessionOwners();
    owners.remember('s', alice);
    expect(owners.isForeign('s', claims('alice'))).toBe(false);
    expect(owners.isForeign('s', claims('bob'))).toBe(true);
    expect(owners.isForeign('s', claims('alice', 'other'))).toBe(true);
    expect(owners.isForeign('s', claims('alice', 'client', 'https://other.example'))).toBe(true);
  });

  it('the first owner stays', () => {
    const owners = new SessionOwners();
    owners.remember('s', alice);
    owners.remember('s', claims('bob'));
    expect(owners.isForeign('s', alice)).toBe(false);
  });

  it('unknown sessions are nobody’s, whatever their name', () => {
    const owners = new SessionOwners();
    for (const id of ['', '__proto__', 'constructor', 'toString']) {
      expect(owners.isForeign(id, alice)).toBe(false);
      owners.remember(id, alice);
      expect(owners.isForeign(id, claims('bob'))).toBe(true);
      owners.forget(id);
      expect(owners.isForeign(id, claims('bob'))).toBe(false);
    }
  });

  it('remembers at most two generations; what is in use stays', () => {
    const owners = new SessionOwners(10);
    owners.remember('used', alice);
    for (let index = 0; index < 100; index++) {
      owners.remember(`session-${index}`, alice);
      expect(owners.isForeign('used', claims('bob'))).toBe(true);
    }
    const known = [...Array(100).keys()].filter((index) =>
      owners.isForeign(`session-${index}`, claims('bob')),
    );
    expect(known.length).toBeGreaterThanOrEqual(9);
    expect(known.length).toBeLessThanOrEqual(20);
  });
});
