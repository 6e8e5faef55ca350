import { describe, expect, it } from 'vitest';
import { resolveFurtherOptions, resolveModuleOptions } from '../../src/core/options.js';
import { InMemoryDPoPReplayStore } from '../../src/core/dpop/replay-store.js';

const ISSUER = 'https://auth.example.com';
const VALID = { issuer: ISSUER, resource: 'https://api.example.com/mcp' };

describe('warnings', () => {
  it('there are none for a plain production configuration', () => {
    expect(resolveModuleOptions(VALID).warnings).toEqual([]);
  });

  it('T60: devMode is warned about', () => {
    const { warnings } = resolveModuleOptions({ ...VALID, devMode: true });
    expect(warnings).toEqual([expect.stringMatching(/devMode is on.*Never use it in production/)]);
  });

  it('a resource without path is warned about, because clients write a slash', () => {
    const bare = resolveModuleOptions({ ...VALID, resource: 'https://api.example.com' });
    expect(bare.warnings).toEqual([expect.stringContaining('"https://api.example.com/"')]);
    const slashed = resolveModuleOptions({ ...VALID, resource: 'https://api.example.com/' });
    expect(slashed.warnings).toEqual([]);
  });

  it('offline_access is not for a resource to advertise', () => {
    const { warnings } = resolveModuleOptions({ ...VALID, scopes: ['offline_access'] });
    expect(warnings).toEqual([expect.stringContaining('scopes: offline_access')]);
  });

  it('proofs that only this process remembers are warned about in production', () => {
    const replayStore = { checkAndStore: () => true };
    const warnings = (options: object) => resolveModuleOptions({ ...VALID, ...options }).warnings;
    expect(warnings({ inboundDPoP: {} })).toEqual([expect.stringContaining('set replayStore')]);
    expect(warnings({ inboundDPoP: { replayStore } })).toEqual([]);
    const memory = new InMemoryDPoPReplayStore({ maxEntries: 10 });
    expect(warnings({ inboundDPoP: { replayStore: memory } })).toEqual([
      expect.stringContaining('set replayStore'),
    ]);
    expect(warnings({ inboundDPoP: {}, devMode: true })).toEqual([
      expect.stringContaining('devMode is on'),
    ]);
  });

  it('10.11d: nonces that no other process can make are warned about in production', () => {
    const replayStore = { checkAndStore: () => true };
    const warnings = (nonce: unknown, more: object = {}) => {
      const inboundDPoP = { replayStore, nonce } as never;
      return resolveModuleOptions({ ...VALID, ...more, inboundDPoP }).warnings;
    };
    const said = [expect.stringMatching(/secret of the nonces is random.*set nonce: \{ secret \}/)];
    expect(warnings(true)).toEqual(said);
    expect(warnings({ ttlSeconds: 60 })).toEqual(said);
    expect(warnings(false)).toEqual([]);
    expect(warnings({ secret: 'nonce-secret-of-all-processes-123' })).toEqual([]);
    expect(warnings(true, { devMode: true })).toEqual([expect.stringContaining('devMode is on')]);
  });

  it('what is true of all resources is said once', () => {
    const resource = 'https://api.example.com/b';
    const warnings = (main: object) =>
      resolveFurtherOptions({ resource, inboundDPoP: {} }, resolveModuleOptions(main as never))
        .warnings;
    expect(warnings(VALID)).toEqual([expect.stringContaining('set replayStore')]);
    expect(warnings({ ...VALID, inboundDPoP: {} })).toEqual([]);
  });

  it('introspection without credentials is warned about', () => {
    const checked = { ...VALID, revocationChecker: 'introspection' } as const;
    const asCredentials = { clientId: 'me', clientSecret: 'secret' };
    expect(resolveModuleOptions(checked).warnings).toEqual([
      expect.stringMatching(/'introspection' without asCredentials.*Set asCredentials/),
    ]);
    expect(resolveModuleOptions({ ...checked, asCredentials }).warnings).toEqual([]);
  });
});
