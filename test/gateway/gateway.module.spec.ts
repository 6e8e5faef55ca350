import cluster from 'node:cluster';
import { Injectable, Logger, Module } from '@nestjs/common';
import { describe, expect, test, vi } from 'vitest';
import { AuthplaneModule } from 'authplane-nestjs';
import {
  AuthplaneGatewayModule,
  type AuthplaneGatewayOptions,
  type AuthplaneGatewayOptionsFactory,
  gatewayToken,
  GatewayUpstreams,
  gatewayUpstreamsToken,
  McpGateway,
  none,
} from 'authplane-nestjs/gateway';
import { startGateway } from '../support/gateway/gateway-app.js';
import { searchServer, startUpstream } from '../support/gateway/upstream-servers.js';

/** Options of a class, made by Nest. */
@Injectable()
class FromConfiguration implements AuthplaneGatewayOptionsFactory {
  createGatewayOptions(): AuthplaneGatewayOptions {
    return { upstreams: {}, serverName: 'from a class' };
  }
}
@Module({ providers: [FromConfiguration], exports: [FromConfiguration] })
class ConfigurationModule {}

describe('14.A: AuthplaneGatewayModule', () => {
  test('wrong extras are refused where they stand', () => {
    const wrong = [
      { upstreams: {}, path: 3 },
      { upstreams: {}, name: '' },
      { upstreams: {}, path: 'mcp', scopes: ['a b'] },
      { upstreams: {}, scopes: ['a'] },
    ];
    for (const options of wrong)
      expect(() => AuthplaneGatewayModule.forRoot(options as never)).toThrow(/gateway: /);
    expect(() => AuthplaneGatewayModule.forRootAsync({} as never)).toThrow(/give one of/);
    const both = { useClass: FromConfiguration, useFactory: () => ({ upstreams: {} }) };
    expect(() => AuthplaneGatewayModule.forRootAsync(both)).toThrow(/give one of/);
  });

  test('options come from a class, or from a provider of another module', async () => {
    const app = await startGateway({
      gateway: { upstreams: {} },
      metadata: {
        imports: [
          AuthplaneModule.forFeature({ name: 'a', resource: 'http://127.0.0.1:1/a' }),
          AuthplaneModule.forFeature({ name: 'b', resource: 'http://127.0.0.1:1/b' }),
          AuthplaneGatewayModule.forRootAsync({
            ...{ path: 'a', name: 'a', useClass: FromConfiguration },
          }),
          AuthplaneGatewayModule.forRootAsync({
            ...{ path: 'b', name: 'b', imports: [ConfigurationModule] },
            useExisting: FromConfiguration,
          }),
        ],
      },
    });
    for (const name of ['a', 'b']) {
      const token = await app.token({ aud: [`http://127.0.0.1:1/${name}`] });
      const url = app.mcpUrl.replace('/mcp', `/${name}`);
      const { text } = await app.ask('server/discover', {}, { token, url });
      expect(text).toContain('from a class');
      expect(app.app.app.get(gatewayToken(name))).toBeInstanceOf(McpGateway);
      expect(app.app.app.get(gatewayUpstreamsToken(name))).toBeInstanceOf(GatewayUpstreams);
    }
    await app.close();
  });

  test('several gateways are told apart by their resources', async () => {
    const upstream = await startUpstream(searchServer);
    const app = await startGateway({
      gateway: { upstreams: {} },
      metadata: {
        imports: [
          AuthplaneModule.forFeature({ name: 'inner', resource: 'http://127.0.0.1:1/inner' }),
          AuthplaneGatewayModule.forRootAsync({
            path: 'inner',
            name: 'inner',
            scopes: ['deep'],
            useFactory: () => ({ upstreams: { search: { url: upstream.url, token: none() } } }),
          }),
        ],
      },
    });
    const url = app.mcpUrl.replace('/mcp', '/inner');
    const ask = async (claims: Record<string, unknown>) => {
      const answer = await app.ask('tools/list', {}, { url, token: await app.token(claims) });
      return [answer.status, answer.text] as const;
    };
    const inner = { aud: ['http://127.0.0.1:1/inner'] };
    expect((await ask({ scope: 'deep' }))[0]).toBe(401);
    expect((await ask(inner))[0]).toBe(403);
    expect((await ask({ ...inner, scope: 'deep' }))[1]).toContain('search__web');
    expect((await app.ask('tools/list')).json.result.tools).toEqual([]);
    await app.close();
    await upstream.stop();
  });

  test.each([
    [true, undefined, true],
    [true, 's'.repeat(32), false],
    [false, undefined, false],
  ])(
    '14.2: one of several processes (%s), with the secret %s, is warned: %s',
    async (isWorker, secret, isWarned) => {
      const warnings: unknown[] = [];
      const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation((text) => {
        warnings.push(text);
      });
      const before = cluster.isWorker;
      Object.assign(cluster, { isWorker });
      try {
        const gateway = { upstreams: {}, ...(secret === undefined ? {} : { secret }) };
        await (await startGateway({ gateway })).close();
      } finally {
        Object.assign(cluster, { isWorker: before });
        warn.mockRestore();
      }
      const ofSecret = warnings.filter((text) =>
        String(text).includes('gateway: secret: set the same'),
      );
      expect(ofSecret).toHaveLength(isWarned ? 1 : 0);
    },
  );
});
