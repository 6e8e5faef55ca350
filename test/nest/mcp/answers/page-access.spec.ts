/** What pages of other origins may read of what the middleware answers, in applications that `NestFactory` makes. */
import fastifyCors from '@fastify/cors';
import { All, Controller, type MiddlewareConsumer, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AuthplaneMiddleware, AuthplaneModule } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { freePort } from '../../../support/nest/start-app.js';

const origin = 'https://app.example.com';
const cors = { origin: [origin], exposedHeaders: ['WWW-Authenticate'] };
const ran: string[] = [];

@Controller()
class EndpointController {
  @All(['mcp', 'plain'])
  serve() {
    ran.push('served');
    return {};
  }
}

/** Of Nest 10 and 11 `enableCors` on Fastify is as the plugin: behind all middleware. */
const applications = {
  'express, enableCors': [ExpressAdapter, (app) => app.enableCors(cors)],
  'express, nothing for CORS': [ExpressAdapter, () => undefined],
  'fastify, enableCors': [FastifyAdapter, (app) => app.enableCors(cors)],
  'fastify, the plugin': [FastifyAdapter, (app) => app.register(fastifyCors, cors)],
} satisfies Record<string, readonly [unknown, (app: NestFastifyApplication) => unknown]>;

describe.each(Object.entries(applications))('12.5: %s', (_, [Adapter, allow]) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: NestFastifyApplication;
  let baseUrl: string;

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    const port = await freePort();
    baseUrl = `http://127.0.0.1:${port}`;
    @Module({
      controllers: [EndpointController],
      imports: [
        AuthplaneModule.forRoot({
          issuer: authorizationServer.issuer,
          baseUrl,
          devMode: true,
          scopes: ['w'],
          mcp: { allowedOrigins: [origin], tools: { write: ['w'] } },
        }),
      ],
    })
    class AppModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(AuthplaneMiddleware).forRoutes('mcp', 'plain');
      }
    }
    app = await NestFactory.create<NestFastifyApplication>(AppModule, new Adapter() as never, {
      logger: false,
    });
    await allow(app);
    app.use('/raw', app.get(AuthplaneMiddleware).for());
    app.use('/raw', (_request: unknown, response: { end(): void }) => {
      ran.push('served');
      response.end();
    });
    await app.listen(port, '127.0.0.1');
  });
  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
  });
  beforeEach(() => ran.splice(0));

  const send = async (path: string, method: string, headers: Record<string, string>) => {
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'write' } };
    const isPreflight = method === 'OPTIONS';
    return fetch(`${baseUrl}${path}`, {
      method,
      headers: { ...(isPreflight ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(isPreflight ? {} : { body: JSON.stringify(call) }),
    });
  };
  const authorization = async () =>
    `Bearer ${await authorizationServer.issueToken({ aud: [`${baseUrl}/mcp`], scope: '' })}`;
  const preflight = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, content-type, mcp-protocol-version',
  };

  test.each(['/mcp', '/plain', '/raw'])(
    '%s: a page that may call passes its preflight, and reads why it is refused',
    async (path) => {
      const granted = await send(path, 'OPTIONS', { origin, ...preflight });
      expect([granted.status, granted.headers.get('access-control-allow-origin')]).toEqual([
        204,
        origin,
      ]);
      expect(granted.headers.get('access-control-allow-methods')).toContain('POST');
      expect(granted.headers.get('access-control-allow-headers')).toContain('authorization');
      for (const headers of [{ origin }, { origin, authorization: await authorization() }]) {
        const refused = await send(path, 'POST', headers);
        expect(refused.status).toBe('authorization' in headers ? 403 : 401);
        expect(refused.headers.get('access-control-allow-origin')).toBe(origin);
        expect(refused.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate');
        expect(refused.headers.get('vary')).toMatch(/\bOrigin\b/);
        expect(refused.headers.get('www-authenticate')).toContain('resource_metadata=');
      }
      expect(ran).toEqual([]);
    },
  );

  test.each(['/mcp', '/plain', '/raw'])(
    '%s: another page reads nothing, and no preflight runs what is behind',
    async (path) => {
      const other = 'https://evil.example';
      for (const method of ['OPTIONS', 'POST']) {
        const refused = await send(path, method, { origin: other, ...preflight });
        expect([204, 400, 401, 403, 404]).toContain(refused.status);
        expect(refused.headers.get('access-control-allow-origin')).not.toBe(other);
        expect(refused.headers.get('access-control-allow-origin')).not.toBe('*');
      }
      for (const headers of [{}, preflight, { origin }]) {
        const { status } = await send(path, 'OPTIONS', headers);
        expect([204, 400, 401]).toContain(status); // 204, 400: of what answers them for CORS
      }
      expect(ran).toEqual([]);
    },
  );
});
