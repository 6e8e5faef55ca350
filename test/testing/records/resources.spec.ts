import { describe, expect, it } from 'vitest';
import { Resources, sameResource } from '../../../src/testing/records/resources.js';

const API = 'https://api.example.com/mcp';
const CAL = 'https://cal.example.com/';
const registered = new Resources(
  [
    { uri: API, scopes: ['a', 'b'], policy: { runtimeClients: ['gateway'] } },
    { uri: CAL, slug: 'cal', scopes: ['c', 'a'], broker: { provider: 'google' } },
    { uri: 'https://twin.example/1', slug: 'twin', scopes: [] },
    { uri: 'https://twin.example/2', slug: 'twin', scopes: [] },
  ],
  undefined,
);
const open = new Resources(undefined, undefined);
const problem = (error: string) => expect.objectContaining({ error });

describe('registered resources', () => {
  it('have defaults', () => {
    expect(registered.named(API)).toEqual({
      ...{ uri: API, slug: 'resource-1', scopes: ['a', 'b'], backend: 'mint' },
      ...{ exchangeClients: [], runtimeClients: ['gateway'] },
      broker: { provider: 'resource-1', expiresIn: 3599 },
    });
    expect(registered.named('cal')).toMatchObject({
      ...{ backend: 'broker', broker: { provider: 'google', expiresIn: 3599 } },
    });
    expect(registered.first).toBe(API);
  });

  it('support the scopes of all, each once, or those that are given', () => {
    expect(registered.scopesSupported).toEqual(['a', 'b', 'c']);
    expect(new Resources(undefined, ['x', 'x']).scopesSupported).toEqual(['x']);
  });

  it('are found by slug or URI', () => {
    expect(registered.named('resource-1').uri).toBe(API);
    expect(() => registered.named('nowhere')).toThrow(problem('not_found'));
    expect(() => registered.named('twin')).toThrow(problem('invalid_request'));
    expect(() => registered.named('twin')).toThrow('resource identifier is ambiguous');
    expect(registered.named('https://twin.example/1').slug).toBe('twin');
  });

  it('are found by audience, client and provider', () => {
    expect(registered.ofAudience(CAL)?.slug).toBe('cal');
    expect(registered.ofAudience(undefined)).toBeUndefined();
    expect(registered.runBy('gateway')?.uri).toBe(API);
    expect(registered.runBy('nobody')).toBeUndefined();
    expect(registered.onlyOneOf('google')?.uri).toBe(CAL);
    expect(registered.onlyOneOf('github')).toBeUndefined();
  });

  it('have scopes; what nobody registered has those that are supported', () => {
    expect(registered.scopesOf(CAL)).toEqual(['c', 'a']);
    expect(registered.scopesOf('https://other.example')).toEqual(['a', 'b', 'c']);
    expect(open.scopesOf(API)).toBeUndefined();
  });
});

describe('RFC 8707 §2: a resource indicator', () => {
  it('is compared byte for byte, or with the host in any case', () => {
    expect(registered.exactly(API)).toBe(API);
    expect(() => registered.exactly(`${API}/`)).toThrow(problem('invalid_target'));
    const shouted = 'HTTPS://API.example.com/mcp';
    expect(registered.matching(shouted)).toBe(API);
    expect(() => registered.exactly(shouted)).toThrow(problem('invalid_target'));
  });

  it('of a broker resource is none for users', () => {
    expect(registered.exactly(CAL)).toBe(CAL);
    expect(() => registered.matching(CAL)).toThrow(problem('invalid_target'));
  });

  it.each(['mcp', '', '/mcp', `${API}#f`])('%j is none', (indicator) => {
    for (const resources of [registered, open]) {
      expect(() => resources.exactly(indicator)).toThrow(problem('invalid_target'));
    }
  });

  it('is any URI where nothing is registered', () => {
    expect(open.exactly(API)).toBe(API);
    expect(open.named(API)).toMatchObject({
      ...{ uri: API, slug: API, scopes: undefined, exchangeClients: undefined },
    });
    expect(() => open.named('mcp')).toThrow(problem('not_found'));
    expect(open.first).toBeUndefined();
  });
});

it.each<[string, string, boolean]>([
  ['https://A.example/x', 'HTTPS://a.EXAMPLE/x', true],
  ['https://a.example/x', 'https://a.example/X', false],
  ['https://a.example', 'https://a.example/', false],
  ['https://a.example?A', 'https://a.example?a', false],
])('sameResource: %s and %s: %s', (one, other, same) => {
  expect(sameResource(one, other)).toBe(same);
});
