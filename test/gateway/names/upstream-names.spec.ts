import { describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { GatewayScopes } from '../../../src/gateway/names/gateway-scopes.js';
import { UpstreamNames } from '../../../src/gateway/names/upstream-names.js';
import {
  resolveUpstream,
  type UpstreamOptions,
} from '../../../src/gateway/options/upstream-options.js';

function names(options: Partial<UpstreamOptions>): UpstreamNames {
  const upstream = { url: 'https://a.example.com/mcp', token: none(), ...options };
  return new UpstreamNames(resolveUpstream('cal', upstream), 64);
}
const scopes = (one: UpstreamNames, kind: 'tool' | 'prompt' | 'resource', name: string) =>
  new GatewayScopes(() => [one]).matching({ kind, name }).map(({ requirement }) => requirement.all);

describe('14.A: what an exposed name needs', () => {
  const long = 'z'.repeat(100);
  const one = names({
    tools: {
      write: { scopes: ['w'] },
      renamed: { as: 'event', scopes: ['e'] },
      'danger_*': { scopes: ['d'] },
      [long]: { scopes: ['long'] },
    },
    prompts: { write: { scopes: ['p'] } },
    resources: {
      'cal://secret/*': { scopes: ['s'] },
      'cal://{day}/notes': { scopes: ['n'] },
      'cal://gone/*': false,
    },
  });

  test('is known before anything was listed, for every name that options can tell', () => {
    expect(scopes(one, 'tool', 'cal__write')).toEqual([['w']]);
    expect(scopes(one, 'prompt', 'cal__write')).toEqual([['p']]);
    expect(scopes(one, 'tool', 'event')).toEqual([['e']]);
    expect(scopes(one, 'tool', 'cal__danger_x')).toEqual([['d']]);
    expect(scopes(one, 'tool', one.tools.offer(long).name)).toEqual([['long']]);
    expect(scopes(one, 'tool', 'write')).toEqual([]);
    expect(scopes(one, 'tool', 'other__write')).toEqual([]);
  });

  test('is known of a shortened name under a glob once it was listed', () => {
    const { name } = one.tools.offer(`danger_${'y'.repeat(90)}`);
    expect(name).toHaveLength(64);
    expect(scopes(one, 'tool', name)).toContainEqual(['d']);
  });

  test('of a resource is the same in every spelling', () => {
    for (const uri of ['cal://secret/x', 'CAL://secret/x', 'cal://secret/%78']) {
      expect(scopes(one, 'resource', uri)).toContainEqual(['s']);
    }
    expect(scopes(one, 'resource', 'cal://fri/notes')).toEqual([['n']]);
  });

  test('a resource that is not offered is not offered in any spelling', () => {
    for (const uri of ['cal://gone/x', 'CAL://gone/x', 'cal://gone/%78', 'cal://%67one/x']) {
      expect([uri, one.resource(uri).verdict.isOffered]).toEqual([uri, false]);
    }
    expect(one.resource('cal://fri').verdict.isOffered).toBe(true);
  });
});
