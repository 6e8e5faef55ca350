import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../../src/core/token/caller.js';
import { type Owner, ownerOf, StateOwners } from '../../../../src/nest/mcp/state/state-owners.js';
import { workOf } from '../../../support/hostile/work-of.js';

const owner = (
  sub: string,
  clientId = 'client',
  issuer = 'https://as.example',
  resource = 'https://mcp.example/mcp',
): Owner => ownerOf({ resource, claims: { issuer, sub, clientId } as Caller['claims'] });
const [alice, bob] = [owner('alice'), owner('bob')];

describe('StateOwners', () => {
  it('9.4: state belongs to resource, issuer, subject and client together', () => {
    const owners = new StateOwners();
    owners.remember('s', alice, undefined);
    expect(owners.isForeign('s', owner('alice'))).toBe(false);
    expect(owners.isForeign('s', bob)).toBe(true);
    expect(owners.isForeign('s', owner('alice', 'other'))).toBe(true);
    expect(owners.isForeign('s', owner('alice', 'client', 'https://other.example'))).toBe(true);
    const elsewhere = owner('alice', 'client', 'https://as.example', 'https://mcp.example/admin');
    expect(owners.isForeign('s', elsewhere)).toBe(true);
  });

  it('what was noted is for its owner', () => {
    const owners = new StateOwners<string>();
    owners.remember('t', alice, 'note');
    expect([owners.noteFor('t', alice), owners.noteFor('t', bob)]).toEqual(['note', undefined]);
    expect(owners.noteFor('unknown', alice)).toBeUndefined();
  });

  it('the first owner stays', () => {
    const owners = new StateOwners();
    owners.remember('s', alice, undefined);
    owners.remember('s', bob, undefined);
    expect(owners.isForeign('s', alice)).toBe(false);
    expect(owners.isForeign('s', bob)).toBe(true);
  });

  it('unknown sessions are nobody’s, whatever their name', () => {
    const owners = new StateOwners();
    for (const id of ['', '__proto__', 'constructor', 'toString']) {
      expect(owners.isForeign(id, alice)).toBe(false);
      expect(owners.knows(id)).toBe(false);
      owners.remember(id, alice, undefined);
      expect(owners.isForeign(id, bob)).toBe(true);
      expect(owners.knows(id)).toBe(true);
      owners.forget(id);
      expect(owners.isForeign(id, bob)).toBe(false);
    }
  });

  it('remembers at most so many; what is in use stays', () => {
    const owners = new StateOwners(20);
    owners.remember('used', alice, undefined);
    for (let index = 0; index < 100; index++) {
      owners.remember(`session-${index}`, alice, undefined);
      expect(owners.isForeign('used', alice)).toBe(false);
      expect(owners.isForeign('used', bob)).toBe(true);
    }
    const known = [...Array(100).keys()].filter((index) => owners.knows(`session-${index}`));
    expect(known).toEqual([...Array(19).keys()].map((index) => 81 + index));
  });

  it('hardening: who opens many sessions pushes out no one else', () => {
    const owners = new StateOwners(20);
    for (const session of ['a', 'b', 'c']) owners.remember(session, alice, undefined);
    for (let index = 0; index < 100; index++) owners.remember(`bob-${index}`, bob, undefined);
    for (const session of ['a', 'b', 'c']) {
      expect(owners.isForeign(session, alice)).toBe(false);
      expect(owners.isForeign(session, bob)).toBe(true);
    }
    expect(owners.isForeign('bob-99', bob)).toBe(false);
  });

  it('hardening: once one was pushed out, no unknown session can be taken over', () => {
    const owners = new StateOwners(3);
    owners.remember('alice', alice, undefined);
    owners.forget('other');
    expect(owners.isForeign('unknown', bob)).toBe(false);
    for (const sub of ['b', 'c', 'd', 'e']) owners.remember(sub, owner(sub), undefined);
    expect(owners.knows('alice')).toBe(false);
    for (const one of [alice, bob]) expect(owners.isForeign('alice', one)).toBe(true);
  });

  it('hardening: making room looks at each owner once, however many there are', async () => {
    const owners = new StateOwners(2000);
    for (let index = 0; index < 2000; index++)
      owners.remember(`${index}`, owner(`${index}`), undefined);
    const { steps } = await workOf(() => {
      for (let index = 0; index < 10; index++)
        owners.remember(`more-${index}`, owner('more'), undefined);
    });
    expect(steps).toBeGreaterThan(10 * 1900);
    expect(steps).toBeLessThan(10 * 2100);
  });
});
