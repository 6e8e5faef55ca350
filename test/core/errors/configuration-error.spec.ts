import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  NoAccessTokenError,
} from '../../../src/core/errors/configuration-error.js';

describe('ConfigurationError', () => {
  it('one problem is the message, after the name of the package', () => {
    for (const problems of ['issuer: is required', ['issuer: is required']]) {
      const error = new ConfigurationError(problems);
      expect(error.message).toBe('authplane-nestjs: issuer: is required');
      expect([error.code, error.problems]).toEqual([
        'configuration_error',
        ['issuer: is required'],
      ]);
    }
  });

  it('several are counted, and have a line each', () => {
    const error = new ConfigurationError(['a: is wrong', 'b: too']);
    expect(error.message).toBe(
      'authplane-nestjs: 2 problems in the configuration:\n  - a: is wrong\n  - b: too',
    );
  });

  it('keeps a copy that nobody changes', () => {
    const problems = ['a'];
    const error = new ConfigurationError(problems);
    problems.push('b');
    expect(error.problems).toEqual(['a']);
    expect(Object.isFrozen(error.problems)).toBe(true);
  });
});

describe('NoAccessTokenError', () => {
  it('is a mistake of the application with a code of its own, and says that there is nothing to exchange', () => {
    const error = new NoAccessTokenError();
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.code).toBe('no_access_token');
    expect(error.message).toMatch(
      /subject_token is required: the caller has shown no access token/,
    );
    expect(new NoAccessTokenError('another').problems).toEqual(['another']);
  });
});
