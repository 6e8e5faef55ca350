import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { CallbackError } from 'authplane-nestjs/core';
import { checkedOtherCaller } from '../../../src/core/token/other-caller.js';

describe('12.1: checkedOtherCaller', () => {
  it('takes what says for certain who it is', () => {
    const least = { method: 'api_key', sub: 'bob', scopes: [] };
    expect(checkedOtherCaller(least)).toBe(least);
    const most = {
      ...least,
      clientId: 'k',
      scopes: ['a'],
      expiresAt: 1,
      from: 'ambient',
      claims: {},
    };
    expect(checkedOtherCaller(most)).toBe(most);
    const undefinedMembers = { ...least, clientId: undefined, expiresAt: undefined };
    expect(checkedOtherCaller(undefinedMembers)).toBe(undefinedMembers);
  });

  it('refuses anything else, and repeats no value of it', () => {
    fc.assert(
      fc.property(fc.anything(), (given) => {
        expect(() => checkedOtherCaller(given)).toThrow(CallbackError);
      }),
    );
    const secret = { method: 'KEY-SECRET', sub: '', scopes: 'KEY-SECRET', more: 'KEY-SECRET' };
    expect(() => checkedOtherCaller(secret)).toThrow(
      'the caller that otherCredentials gave has an unknown member more, has no good method, has no good sub, has no good scopes',
    );
  });
});
