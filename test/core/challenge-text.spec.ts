import { describe, expect, it } from 'vitest';
import { BRIEF, challengeText, FULL } from '../../src/core/challenge-text.js';

describe('the text of a challenge', () => {
  it('has the parameters in order, without those that are not there', () => {
    const parameters = { realm: 'r', error: undefined, scope: '', algs: 'ES256' };
    expect(challengeText('DPoP', parameters, FULL)).toBe('DPoP realm="r", algs="ES256"');
    expect(challengeText('Bearer', {}, FULL)).toBe('Bearer');
  });

  it('RFC 9110 §5.6.4: no quote, backslash, control or letter outside of ASCII gets in', () => {
    const text = challengeText('Bearer', { realm: 'a"b\\c\r\nd\u00e9 ' }, FULL);
    expect(text).toBe('Bearer realm="a b c d"');
  });

  it('leaves out what a client needs least, until it is short enough', () => {
    const long = 'x'.repeat(1500);
    const parameters = { realm: long, scope: 'a', resource_metadata: 'https://a.example' };
    expect(challengeText('Bearer', parameters, FULL)).toBe(
      'Bearer scope="a", resource_metadata="https://a.example"',
    );
    expect(challengeText('DPoP', { ...parameters, algs: 'ES256' }, BRIEF)).toBe(
      'DPoP scope="a", resource_metadata="https://a.example", algs="ES256"',
    );
  });

  it('about scopes the scope goes last', () => {
    const parameters = {
      error: 'insufficient_scope',
      scope: 's'.repeat(2000),
      resource_metadata: `https://a.example/${'p'.repeat(2000)}`,
      algs: 'ES256',
    };
    const text = challengeText('DPoP', parameters, FULL);
    expect(text).toContain('scope="sss');
    expect(text).not.toContain('resource_metadata');
  });
});
