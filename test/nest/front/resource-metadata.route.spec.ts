import { afterEach, describe, expect, it } from 'vitest';
import {
  All,
  type CanActivate,
  Controller,
  Get,
  type ModuleMetadata,
  VersioningType,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import {
  AuthplaneModule,
  type AuthplaneModuleOptions,
  authplaneResource,
  type AuthplaneResource,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { freePort, platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';
import { ThingsController } from '../../support/nest/plain-app.js';

class DenyEverybody implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Controller()
class CatchAllController {
  @All('*path')
  express() {
    return 'caught';
  }
}

@Controller()
class FastifyCatchAllController {
  @All('*')
  fastify() {
    return 'caught';
  }
}

@Controller('other')
class OtherController {
  @Get()
  get() {
    return 'other';
  }
}

describe.each(platforms)('the protected resource metadata route on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp | undefined;
  let port: number;

  afterEach(async () => {
    await app?.close();
    app = undefined;
    await authorizationServer.close();
  });

  async function start(
    options: Partial<AuthplaneModuleOptions>,
    setup: {
      readonly controllers?: (typeof OtherController)[];
      readonly denyAll?: boolean;
      readonly metadataRoute?: boolean | 'path';
      readonly imports?: ModuleMetadata['imports'];
      readonly configure?: Parameters<typeof startApp>[1]['configure'];
    } = {},
  ): Promise<string> {
    authorizationServer = await startAuthorizationServer();
    port = await freePort();
    const baseUrl = `http://127.0.0.1:${port}`;
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRootAsync({
            ...(setup.metadataRoute === undefined ? {} : { metadataRoute: setup.metadataRoute }),
            useFactory: async () => {
              await Promise.resolve();
              return { issuer: authorizationServer.issuer, baseUrl, devMode: true, ...options };
            },
          }),
          ...(setup.imports ?? []),
        ],
        controllers: [ThingsController, ...(setup.controllers ?? [])],
        providers: setup.denyAll === true ? [{ provide: APP_GUARD, useClass: DenyEverybody }] : [],
      },
      { platform, port, ...(setup.configure ? { configure: setup.configure } : {}) },
    );
    return baseUrl;
  }

  const PATHS = [
    '/.well-known/oauth-protected-resource/mcp',
    '/.well-known/oauth-protected-resource',
  ];

  it('answers at both URLs with prefix, versioning and a denying global guard switched on', async () => {
    const baseUrl = await start(
      { scopes: ['things:read'] },
      {
        denyAll: true,
        configure: (nest) => {
          nest.setGlobalPrefix('api');
          nest.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
        },
      },
    );
    for (const path of PATHS) {
      const response = await fetch(`${baseUrl}${path}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(await response.json()).toEqual({
        resource: `${baseUrl}/mcp`,
        authorization_servers: [authorizationServer.issuer],
        scopes_supported: ['things:read'],
        bearer_methods_supported: ['header'],
      });
    }
    // The global guard is on indeed.
    expect((await fetch(`${baseUrl}/api/v1/things`)).status).toBe(403);
  });

  it('the URL in the challenge is the one that answers', async () => {
    const baseUrl = await start({ mcpPath: '/api/v1/mcp' });
    const challenge = (await fetch(`${baseUrl}/things`)).headers.get('www-authenticate') ?? '';
    const url = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? '';
    expect(url).toBe(`${baseUrl}/.well-known/oauth-protected-resource/api/v1/mcp`);
    const document = (await (await fetch(url)).json()) as { resource: string };
    expect(document.resource).toBe(`${baseUrl}/api/v1/mcp`);
  });

  it('stands in front of a wildcard route of the application', async () => {
    const wildcard = platform === 'fastify' ? FastifyCatchAllController : CatchAllController;
    const baseUrl = await start(
      {},
      { controllers: [wildcard as unknown as typeof OtherController] },
    );
    expect(await (await fetch(`${baseUrl}/anything/at/all`)).text()).toBe('caught');
    for (const path of PATHS) {
      expect(await (await fetch(`${baseUrl}${path}`)).json()).toHaveProperty('resource');
    }
  });

  it('answers HEAD, a CORS preflight, a query and refuses other methods', async () => {
    const baseUrl = await start({});
    const url = `${baseUrl}${PATHS[0]}`;
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const preflight = await fetch(url, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://inspector.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toBe('*');
    expect((await fetch(`${url}?x=1`)).status).toBe(200);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
  });

  it('works beside the CORS of the application', async () => {
    const baseUrl = await start({}, { configure: (nest) => nest.enableCors() });
    const response = await fetch(`${baseUrl}${PATHS[0]}`, {
      headers: { origin: 'https://a.example' },
    });
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
  });

  it('leaves every other path to the application', async () => {
    const baseUrl = await start({}, { controllers: [OtherController] });
    expect(await (await fetch(`${baseUrl}/other`)).text()).toBe('other');
    for (const path of [
      '/.well-known/oauth-protected-resource/other',
      `${PATHS[0]}/x`,
      `/${PATHS[0]}`,
    ]) {
      expect((await fetch(`${baseUrl}${path}`)).status).toBe(404);
    }
  });

  it('RFC 9728 §3.1: a resource without path has one URL only', async () => {
    const baseUrl = await start({ mcpPath: '/' });
    const response = await fetch(`${baseUrl}/.well-known/oauth-protected-resource`);
    expect(await response.json()).toMatchObject({ resource: `${baseUrl}/` });
  });

  it('10.15: a resource with a final slash has its document at both spellings, unchanged', async () => {
    const baseUrl = await start({ mcpPath: '/mcp/' });
    for (const path of [...PATHS, `${PATHS[0]}/`]) {
      const response = await fetch(`${baseUrl}${path}`);
      expect(await response.json()).toMatchObject({ resource: `${baseUrl}/mcp/` });
    }
    expect((await fetch(`${baseUrl}${PATHS[0]}//`)).status).toBe(404);
  });

  it('10.24: shows what people may be shown', async () => {
    const resourceMetadata = { resource_name: 'Weather', 'resource_name#de': 'Wetter' };
    const baseUrl = await start({ resourceMetadata });
    expect(await (await fetch(`${baseUrl}${PATHS[0]}`)).json()).toMatchObject(resourceMetadata);
  });

  it('is not served with metadataRoute: false', async () => {
    const baseUrl = await start({}, { metadataRoute: false });
    for (const path of PATHS) expect((await fetch(`${baseUrl}${path}`)).status).toBe(404);
  });

  it(`12.8: metadataRoute 'path' leaves the root URL to others`, async () => {
    const baseUrl = await start({}, { metadataRoute: 'path' });
    const [own, root] = await Promise.all(PATHS.map((path) => fetch(`${baseUrl}${path}`)));
    expect(await own?.json()).toMatchObject({ resource: `${baseUrl}/mcp` });
    expect(root?.status).toBe(404);
    const challenge = (await fetch(`${baseUrl}/things`)).headers.get('www-authenticate');
    expect(challenge).toContain(`resource_metadata="${baseUrl}${PATHS[0]}"`);
  });

  it(`12.8: with 'path' a resource at the root has the root URL, whichever resource it is`, async () => {
    const resource = 'https://root.example/';
    const imports = [AuthplaneModule.forFeature({ name: 'root', resource })];
    await expect(start({}, { imports })).rejects.toThrow('give it a path of its own');
    await authorizationServer.close();
    const baseUrl = await start({}, { imports, metadataRoute: 'path' });
    expect(await (await fetch(`${baseUrl}${PATHS[1]}`)).json()).toMatchObject({ resource });
    await app?.close();
    await authorizationServer.close();
    const own = await start({ mcpPath: '/' }, { metadataRoute: 'path' });
    expect(await (await fetch(`${own}${PATHS[1]}`)).json()).toMatchObject({ resource: `${own}/` });
  });

  it('12.8: resourceMetadataUrl is what challenges name; the route goes on answering', async () => {
    const hosted = 'http://auth.example/metadata?of=things';
    const baseUrl = await start({ resourceMetadataUrl: hosted });
    const challenge = (await fetch(`${baseUrl}/things`)).headers.get('www-authenticate');
    expect(challenge).toContain(`resource_metadata="${hosted}"`);
    expect(challenge).not.toContain('.well-known');
    expect((await fetch(`${baseUrl}${PATHS[0]}`)).status).toBe(200);
  });

  it('12.8: with several resources resourceMetadataUrl is a function of each', async () => {
    const imports = [
      AuthplaneModule.forFeature({ name: 'other', resource: 'https://b.example/b' }),
    ];
    const url = 'https://auth.example/metadata';
    await expect(start({ resourceMetadataUrl: url }, { imports })).rejects.toThrow(
      'resourceMetadataUrl: is one URL for several resources; give forRoot a function of the resource',
    );
    await authorizationServer.close();
    const seen: string[] = [];
    const baseUrl = await start(
      {
        resourceMetadataUrl: (resource) => {
          seen.push(resource);
          return `${url}?${new URLSearchParams({ resource })}`;
        },
      },
      { imports },
    );
    expect(seen).toEqual([`${baseUrl}/mcp`, 'https://b.example/b']);
    const named = app?.app.get<AuthplaneResource>(authplaneResource('other')).metadataUrl;
    expect(named).toBe(`${url}?resource=https%3A%2F%2Fb.example%2Fb`);
  });
});
