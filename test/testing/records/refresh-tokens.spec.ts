import { beforeEach, describe, expect, it } from 'vitest';
import { RefreshTokens } from '../../../src/testing/records/refresh-tokens.js';
import { Clock } from '../../support/servers/stand-in.js';

const grant = { clientId: 'app', sub: 'user-1', scope: ['a'], resource: undefined };
const invalid = expect.objectContaining({ error: 'invalid_grant' });

describe('RefreshTokens', () => {
  let clock: Clock;
  let tokens: RefreshTokens;
  beforeEach(() => {
    clock = new Clock();
    tokens = new RefreshTokens(clock.now);
  });

  it('each is good once, and has a successor of the same grant', () => {
    const first = tokens.start(grant, 'jti-1');
    expect(first).toMatch(/^[\w-]{43}$/);
    const second = tokens.rotate(first, 'app');
    expect(second).not.toBe(first);
    expect(tokens.grantOf(second, 'app')).toBe(grant);
  });

  it('RFC 9700 §4.14.2: one that comes back ends its family', () => {
    const first = tokens.start(grant, 'jti-1');
    const second = tokens.rotate(first, 'app');
    expect(() => tokens.grantOf(first, 'app')).toThrow(/token family revoked due to reuse/);
    expect(() => tokens.grantOf(second, 'app')).toThrow(invalid);
  });

  it('families are apart', () => {
    const [one, other] = [tokens.start(grant, 'jti-1'), tokens.start(grant, 'jti-2')];
    tokens.revoke(one, 'app');
    expect(() => tokens.grantOf(one, 'app')).toThrow(invalid);
    expect(tokens.grantOf(other, 'app')).toBe(grant);
  });

  it('belong to one client, whose attempts alone count', () => {
    const first = tokens.start(grant, 'jti-1');
    expect(() => tokens.grantOf(first, 'other')).toThrow(invalid);
    expect(() => tokens.rotate(first, 'other')).toThrow(invalid);
    expect(tokens.revoke(first, 'other')).toEqual([]);
    expect(tokens.grantOf(first, 'app')).toBe(grant);
    expect(() => tokens.grantOf('unknown', 'app')).toThrow(invalid);
  });

  it('live seven days', () => {
    const first = tokens.start(grant, 'jti-1');
    clock.seconds += 7 * 24 * 3600 - 1;
    expect(tokens.grantOf(first, 'app')).toBe(grant);
    clock.seconds += 1;
    expect(() => tokens.grantOf(first, 'app')).toThrow(invalid);
  });

  it('RFC 7009 §2.1: a revoked one tells the access tokens of its family', () => {
    const first = tokens.start(grant, 'jti-1');
    const second = tokens.rotate(first, 'app');
    tokens.accompany(second, 'jti-2');
    tokens.accompany('unknown', 'jti-3');
    expect(tokens.revoke(first, 'app')).toEqual(['jti-1', 'jti-2']);
    expect(tokens.revoke('unknown', 'app')).toEqual([]);
  });
});
