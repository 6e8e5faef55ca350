import { describe, expect, it } from '@jest/globals';
import type { VerifiedClaims } from 'authplane-nestjs/core';
import { SessionOwners } from '../../src/nest/session-owners.js';

const claims = (sub: string, clientId = 'client', issuer = 'https://as.example') =>
  ({ issuer, sub, clientId }) as VerifiedClaims;
const [alice, bob] = [claims('alice'), claims('bob')];

describe('SessionOwners', () => {
  it('a session belongs to issuer, subject and client together', () => {
    const owners = new SessionOwners();
    owners.remember('s', alice);
    expect(owners.isForeign('s', claims('alice'))).toBe(false);
    expect(owners.isForeign('s', bob)).toBe(true);
    expect(owners.isForeign('s', claims('alice', 'other'))).toBe(true);
    expect(owners.isForeign('s', claims('alice', 'client', 'https://other.example'))).toBe(true);
  });

  it('the first owner stays', () => {
    const owners = new SessionOwners();
    owners.remember('s', alice);
    owners.remember('s', bob);
    expect(owners.isForeign('s', alice)).toBe(false);
    expect(owners.isForeign('s', bob)).toBe(true);
  });

  it('unknown sessions are nobody’s, whatever their name', () => {
    const owners = new SessionOwners();
    for (const id of ['', '__proto__', 'constructor', 'toString']) {
      expect(owners.isForeign(id, alice)).toBe(false);
      expect(owners.knows(id)).toBe(false);
      owners.remember(id, alice);
      expect(owners.isForeign(id, bob)).toBe(true);
      expect(owners.knows(id)).toBe(true);
      owners.forget(id);
      expect(owners.isForeign(id, bob)).toBe(false);
    }
  });

  it('remembers at most so many; what is in use stays', () => {
    const owners = new SessionOwners(20);
    owners.remember('used', alice);
    for (let index = 0; index < 100; index++) {
      owners.remember(`session-${index}`, alice);
      expect(owners.isForeign('used', alice)).toBe(false);
      expect(owners.isForeign('used', bob)).toBe(true);
    }
    const known = [...Array(100).keys()].filter((index) => owners.knows(`session-${index}`));
    expect(known).toEqual([...Array(19).keys()].map((index) => 81 + index));
  });

  it('hardening: who opens many sessions pushes out no one else', () => {
    const owners = new SessionOwners(20);
    for (const session of ['a', 'b', 'c']) owners.remember(session, alice);
    for (let index = 0; index < 100; index++) owners.remember(`bob-${index}`, bob);
    for (const session of ['a', 'b', 'c']) {
      expect(owners.isForeign(session, alice)).toBe(false);
      expect(owners.isForeign(session, bob)).toBe(true);
    }
    expect(owners.isForeign('bob-99', bob)).toBe(false);
  });

  it('hardening: once one was pushed out, no unknown session can be taken over', () => {
    const owners = new SessionOwners(3);
    owners.remember('alice', alice);
    owners.forget('other');
    expect(owners.isForeign('unknown', bob)).toBe(false);
    for (const sub of ['b', 'c', 'd', 'e']) owners.remember(sub, claims(sub));
    expect(owners.knows('alice')).toBe(false);
    for (const one of [alice, bob]) expect(owners.isForeign('alice', one)).toBe(true);
  });

  it('hardening: making room costs little, however many there are', () => {
    const owners = new SessionOwners();
    for (let index = 0; index < 20_000; index++) owners.remember(`${index}`, claims(`${index}`));
    const begun = performance.now();
    for (let index = 0; index < 100; index++) owners.remember(`more-${index}`, claims('more'));
    expect((performance.now() - begun) / 100).toBeLessThan(20);
  });
});
