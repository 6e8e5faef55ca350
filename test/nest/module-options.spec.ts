import { describe, expect, it } from 'vitest';
import { ConfigurationError } from 'authplane-nestjs';
import {
  authplaneResource,
  checkAsyncOptions,
  checkFeatureName,
} from '../../src/nest/module-options.js';

const useFactory = () => ({}) as never;
const check = (options: object) => () => checkAsyncOptions(options as never);

describe('checkAsyncOptions', () => {
  it.each([
    { useFactory, inject: [], imports: [], isGlobal: false, filter: false },
    { useFactory, guard: 'global', metadataRoute: 'path', allowUnguarded: true },
    { useClass: class {} },
    { useExisting: 'token' },
  ])('%j is taken', (options) => {
    expect(check(options)).not.toThrow();
  });

  it.each<[object, string]>([
    [{ useFactory, gaurd: 'global' }, 'gaurd'],
    [{ useFactory, guard: true }, 'guard'],
    [{ useFactory, guard: 'Global' }, 'guard'],
    [{ useFactory, metadataRoute: 'root' }, 'metadataRoute'],
    [{ useFactory, allowUnguarded: 'yes' }, 'allowUnguarded'],
    [{ useFactory: {} }, 'useFactory'],
    [{}, 'give one of'],
    [{ useFactory, useClass: class {} }, 'give one of'],
  ])('%j is refused, and the message names the extra', (options, name) => {
    expect(check(options)).toThrow(ConfigurationError);
    expect(check(options)).toThrow(name);
  });

  it('all problems stand in one message', () => {
    expect(check({ guard: 1, filter: 1 })).toThrow(/guard[^]*filter[^]*give one of/);
  });
});

describe('a further resource', () => {
  it.each([undefined, '', 7])('%p is no name', (name) => {
    expect(() => checkFeatureName(name)).toThrow(ConfigurationError);
  });

  it('has one token for its name, whichever copy of the package asks', () => {
    expect(authplaneResource('a')).toBe(authplaneResource('a'));
    expect(authplaneResource('a')).not.toBe(authplaneResource('b'));
  });
});
