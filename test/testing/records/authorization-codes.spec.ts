import { describe, expect, it } from 'vitest';
import { AuthorizationCodes } from '../../../src/testing/records/authorization-codes.js';
import { Clock } from '../../support/servers/stand-in.js';

const grant = {
  ...{ clientId: 'app', sub: 'user-1', scope: ['a'], resource: undefined },
  ...{ redirectUri: 'https://app.example/cb', codeChallenge: 'c' },
};

describe('AuthorizationCodes', () => {
  it('hands out codes that nobody can guess, each good for one attempt', () => {
    const codes = new AuthorizationCodes(new Clock().now);
    const [one, other] = [codes.issue(grant), codes.issue({ ...grant, sub: 'user-2' })];
    expect(one).toMatch(/^[\w-]{43}$/);
    expect(one).not.toBe(other);
    expect(codes.consume(one)).toEqual(grant);
    expect(codes.consume(one)).toBeUndefined();
    expect(codes.consume(other)?.sub).toBe('user-2');
    expect(codes.consume('unknown')).toBeUndefined();
  });

  it('of ten minutes', () => {
    const clock = new Clock();
    const codes = new AuthorizationCodes(clock.now);
    const [inTime, late] = [codes.issue(grant), codes.issue(grant)];
    clock.seconds += 599;
    expect(codes.consume(inTime)).toBe(grant);
    clock.seconds += 1;
    expect(codes.consume(late)).toBeUndefined();
  });
});
