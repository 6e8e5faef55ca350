import { expect, it } from 'vitest';
import { Revocations } from '../../../src/testing/records/revocations.js';

it('knows what is revoked', () => {
  const revocations = new Revocations();
  revocations.revoke('a');
  expect(['a', 'b', undefined, 5].map((jti) => revocations.has(jti))).toEqual([
    ...[true, false, false, false],
  ]);
});

it('a client may revoke tokens that it has for itself', () => {
  const revocations = new Revocations();
  revocations.recordMachineToken('a', 'machine');
  revocations.revokeOwn('a', 'other');
  revocations.revokeOwn('of a user', 'machine');
  expect([revocations.has('a'), revocations.has('of a user')]).toEqual([false, false]);
  revocations.revokeOwn('a', 'machine');
  expect(revocations.has('a')).toBe(true);
});
