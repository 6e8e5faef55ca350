import { describe, expect, it } from 'vitest';
import { authplaneOptionsFromEnv } from '../../src/core/options-from-env.js';
import { resolveModuleOptions } from '../../src/core/options.js';

const ISSUER = 'https://auth.example.com';
const RESOURCE = 'https://api.example.com/mcp';

describe('authplaneOptionsFromEnv', () => {
  it('reads every variable', () => {
    expect(
      authplaneOptionsFromEnv({
        AUTHPLANE_ISSUER: ISSUER,
        AUTHPLANE_BASE_URL: 'https://api.example.com',
        AUTHPLANE_RESOURCE: RESOURCE,
        AUTHPLANE_SCOPES: 'a b,c , d\te',
        AUTHPLANE_DEV_MODE: 'true',
      }),
    ).toMatchObject({
      issuer: ISSUER,
      baseUrl: 'https://api.example.com',
      resource: RESOURCE,
      scopes: ['a', 'b', 'c', 'd', 'e'],
      devMode: true,
    });
  });

  it.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
    ['', undefined],
    [undefined, undefined],
  ])('AUTHPLANE_DEV_MODE %p is %p', (text, devMode) => {
    expect(authplaneOptionsFromEnv({ AUTHPLANE_DEV_MODE: text }).devMode).toBe(devMode);
  });

  it.each(['yes', 'TRUE', 'on', ' true'])('AUTHPLANE_DEV_MODE "%s" is refused', (text) => {
    expect(() => authplaneOptionsFromEnv({ AUTHPLANE_DEV_MODE: text })).toThrow(
      'AUTHPLANE_DEV_MODE: write true or false',
    );
  });

  it('hardening: every problem is named at once', () => {
    const env = { AUTHPLANE_CLIENT_ID: 'me', AUTHPLANE_DEV_MODE: 'yes' };
    expect(() => authplaneOptionsFromEnv(env)).toThrow(
      /2 problems[^]*set both or none[^]*AUTHPLANE_DEV_MODE: write true or false/,
    );
  });

  it('9.20: an empty environment names the variables', () => {
    const resolve = () => resolveModuleOptions(authplaneOptionsFromEnv({}));
    expect(resolve).toThrow(/issuer: is required[^]*AUTHPLANE_ISSUER[^]*AUTHPLANE_BASE_URL/);
    const loopback = {
      AUTHPLANE_ISSUER: 'http://localhost:9000',
      AUTHPLANE_BASE_URL: 'http://localhost:3000',
    };
    expect(() => resolveModuleOptions(authplaneOptionsFromEnv(loopback))).toThrow(
      /issuer: must use https[^]*AUTHPLANE_DEV_MODE=true/,
    );
  });

  it('what is unset or empty is named by the check of the options', () => {
    for (const empty of [undefined, '']) {
      const env = { AUTHPLANE_ISSUER: empty, AUTHPLANE_BASE_URL: empty, AUTHPLANE_RESOURCE: empty };
      const resolve = () => resolveModuleOptions(authplaneOptionsFromEnv(env));
      expect(resolve).toThrow(/issuer: [^]*resource: /);
    }
  });

  it('reads process.env by default', () => {
    const before = process.env['AUTHPLANE_ISSUER'];
    process.env['AUTHPLANE_ISSUER'] = ISSUER;
    try {
      expect(authplaneOptionsFromEnv().issuer).toBe(ISSUER);
    } finally {
      if (before === undefined) delete process.env['AUTHPLANE_ISSUER'];
      else process.env['AUTHPLANE_ISSUER'] = before;
    }
  });

  it('client id and secret come together or not at all', () => {
    const [AUTHPLANE_CLIENT_ID, AUTHPLANE_CLIENT_SECRET] = ['me', 'canary'];
    const both = authplaneOptionsFromEnv({ AUTHPLANE_CLIENT_ID, AUTHPLANE_CLIENT_SECRET });
    expect(both.asCredentials).toEqual({ clientId: 'me', clientSecret: 'canary' });
    expect(authplaneOptionsFromEnv({})).not.toHaveProperty('asCredentials');
    for (const one of [{ AUTHPLANE_CLIENT_ID }, { AUTHPLANE_CLIENT_SECRET }]) {
      expect(() => authplaneOptionsFromEnv(one)).toThrow('set both or none');
    }
  });
});
