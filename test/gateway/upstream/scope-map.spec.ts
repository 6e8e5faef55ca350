import { describe, expect, test } from 'vitest';
import { exchange, none } from 'authplane-nestjs/gateway';
import { UpstreamNames } from '../../../src/gateway/names/upstream-names.js';
import { resolveUpstream } from '../../../src/gateway/options/upstream-options.js';
import { mappedScopes } from '../../../src/gateway/upstream/scope-map.js';

const options = resolveUpstream('cal', {
  url: 'https://a.example.com/mcp',
  token: exchange({ scope: 'cal.read' }),
  tools: { write: { scopes: ['gw:write'], token: exchange({ scope: 'cal.write' }) } },
  scopeMap: { 'gw:admin': ['cal.admin', 'cal.write'] },
});
const upstream = { options, names: new UpstreamNames(options, 64) };
const mapped = (challenge: string | undefined, granted: string[] = [], strategy = options.token) =>
  mappedScopes(challenge, {
    upstream,
    strategy,
    caller: { token: 't', claims: { hasScope: (scope: string) => granted.includes(scope) } },
  } as never);
const asks = (scope: string) => `Bearer realm="x", error="insufficient_scope", scope="${scope}"`;

describe('14.D: scopes back from an upstream', () => {
  test('are those of the gateway that stand for what is missing', () => {
    expect(mapped(asks('cal.read cal.write'))).toEqual(['gw:write']);
    expect(mapped(asks('cal.write'), ['gw:write'])).toEqual(['gw:admin']);
    expect(mapped(asks('cal.write cal.admin'), [], none())).toEqual(['gw:write', 'gw:admin']);
  });

  test('none where nothing stands for one of them, or the caller has what does', () => {
    expect(mapped(asks('cal.write other'))).toEqual([]);
    expect(mapped(asks('cal.admin'), ['gw:admin'])).toEqual([]);
    expect(mapped('Bearer error="insufficient_scope"')).toEqual([]);
  });

  test('a 403 that is about no scope is none of ours', () => {
    expect(mapped('Bearer error="access_denied"')).toBeUndefined();
    expect(mapped(undefined)).toBeUndefined();
  });
});
