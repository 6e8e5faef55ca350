import { describe, expect, test } from 'vitest';
import { Module, SetMetadata } from '@nestjs/common';
import { ConfigurationError, type McpHost, Scopes } from 'authplane-nestjs';
import { resolveModuleOptions } from '../../../../src/core/options.js';
import { bootHarness } from '../../../support/nest/boot.js';
import { request } from '../../../support/nest/mcp-app.js';

const { start, refusal, warnings } = bootHarness();

const HOST_TOKEN = Symbol('host');
@Module({ providers: [{ provide: HOST_TOKEN, useValue: {} }] })
class HostModule {}

const Run = (name?: string) => SetMetadata('other:mcp', { name });

class Tools {
  @Run('x')
  @Scopes('known')
  run() {
    return 1;
  }

  @Run()
  @Scopes('of:class')
  unnamed() {
    return 1;
  }
}

const host = (owner: McpHost['owner']): McpHost => ({
  name: 'other',
  owner,
  operations(handler, metatype) {
    const options = Reflect.getMetadata('other:mcp', handler) as { name?: string } | undefined;
    if (options === undefined) return [];
    return options.name === undefined
      ? [{ kind: 'tool' }]
      : [
          { kind: 'tool', name: `${metatype.name.toLowerCase()}_${options.name}` },
          { kind: 'resource', uriTemplate: `other://${options.name}/{id}` },
        ];
  },
});

describe('9.1a, 12.7: a host that the application describes', () => {
  const metadata = { imports: [HostModule], providers: [Tools] };

  test.each([
    ['its module', HostModule],
    ['the token of a provider', HOST_TOKEN],
    ['one of several', ['nowhere', HOST_TOKEN]],
  ])('is known by %s, and the scopes of its methods count', async (_, owner) => {
    const { post } = await start({ metadata, mcp: { hosts: [host(owner)] } });
    expect(warnings()).toEqual([]);
    const scopeOf = async (method: string, params: object) =>
      (await post(request(method, params))).json.scope as string;
    expect(await scopeOf('tools/call', { name: 'tools_x' })).toBe('known');
    expect(await scopeOf('tools/call', { name: 'unnamed' })).toBe('of:class');
    expect(await scopeOf('resources/read', { uri: 'other://x/1' })).toBe('known');
  });

  test('is not asked when its owner is not there: the boot fails', async () => {
    expect(await refusal({ metadata, mcp: { hosts: [host('nowhere')] } })).toContain(
      '@Scopes on Tools.run: no MCP host that is known here runs this method',
    );
  });

  test('that names no URI for a resource fails the boot', async () => {
    const operations = () => [{ kind: 'resource' as const }];
    const nameless = { name: 'other', owner: HostModule, operations };
    expect(await refusal({ metadata, mcp: { hosts: [nameless] } })).toContain(
      'mcp.hosts: other names no uri or uriTemplate for',
    );
  });
});

test.each([
  ['no list', {}],
  ['an entry without owner', [{ name: 'x', operations() {} }]],
  ['an entry without operations', [{ name: 'x', owner: 'y' }]],
])('refuses %s', (_, hosts) => {
  const options = { issuer: 'https://as.example.com', baseUrl: 'https://a.example.com' };
  expect(() => resolveModuleOptions({ ...options, mcp: { hosts: hosts as McpHost[] } })).toThrow(
    ConfigurationError,
  );
});
