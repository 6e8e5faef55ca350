import { describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { GatewayScopes } from '../../../src/gateway/names/gateway-scopes.js';
import { UpstreamNames } from '../../../src/gateway/names/upstream-names.js';
import { resolveUpstream } from '../../../src/gateway/options/upstream-options.js';

const names = (name: string, rules: object) =>
  new UpstreamNames(
    resolveUpstream(name, { url: `https://${name}.example.com/mcp`, token: none(), ...rules }),
    64,
  );
const calendar = names('cal', {
  tools: { write: { scopes: ['cal:write'] } },
  prompts: { plan: { scopes: ['cal:plan'] } },
  resources: { 'cal://*': { scopes: ['cal:read'] } },
});

describe('GatewayScopes', () => {
  const there: UpstreamNames[] = [];
  const scopes = new GatewayScopes(() => there);
  const asked = (kind: 'tool' | 'prompt' | 'resource' | 'method', name: string) =>
    scopes.matching({ kind, name }).map(({ requirement }) => requirement.all);

  test('asks the upstreams that are there at that moment', () => {
    const exposed = calendar.tools.offer('write').name;
    expect(asked('tool', exposed)).toEqual([]);
    there.push(calendar);
    expect(asked('tool', exposed)).toEqual([['cal:write']]);
    expect(asked('prompt', calendar.prompts.offer('plan').name)).toEqual([['cal:plan']]);
    expect(asked('resource', 'cal://today')).toEqual([['cal:read']]);
    expect(asked('tool', 'write_nothing')).toEqual([]);
    expect(asked('method', exposed)).toEqual([]);
  });

  test('what several ask of one URI adds up', () => {
    there.push(names('other', { resources: { 'cal://today': { scopes: ['other'] } } }));
    expect(asked('resource', 'cal://today')).toEqual([['cal:read'], ['other']]);
  });

  test('asks nothing of a stand-in, which nothing has', () => {
    expect(asked('resource', 'cal://tod\ufdd0y')).toEqual([]);
  });
});
