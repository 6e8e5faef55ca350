/** Many resources of one entry, wherever an application may have them: further resources, behind the middleware, for free. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { type INestApplication, Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import {
  AuthContext,
  AuthplaneMiddleware,
  AuthplaneModule,
  type OtherCredentials,
  Scopes,
  UseResource,
} from 'authplane-nestjs';
import { callerOf } from '../../support/callers/other-callers.js';
import { type Platform, platforms, startApp } from '../../support/nest/start-app.js';
import {
  bearer,
  callTool,
  listTools,
  type Place,
  type Retrofitted,
  send,
  type SentHeaders,
  startRetrofit,
} from '../../support/retrofits/attempts.js';

const METADATA = '/.well-known/oauth-protected-resource';
const TENANTS = ['acme', 'globex'];
const isTenant = ({ tenant = '' }: Readonly<Record<string, string>>) => TENANTS.includes(tenant);

/** Of a tenant, `key-acme+bob+w`; for a second where it is `brief`. */
const keys: OtherCredentials = ({ headers }, { resource }) => {
  const { 'x-api-key': key } = headers;
  if (typeof key !== 'string') return undefined;
  const [tenant, ...rest] = key.split('+');
  const isOwn = `key-${resource.params['tenant']}` === tenant;
  const expiresAt = rest.includes('brief') ? Date.now() / 1000 + 1 : undefined;
  return { ...callerOf('api_key', isOwn ? rest.join('+') : 'stranger'), expiresAt };
};

class Endpoint {
  constructor(protected readonly caller: AuthContext) {}

  protected answer(params: { readonly name?: string } | undefined) {
    const { current, resource, user } = this.caller;
    return {
      jsonrpc: '2.0',
      id: 1,
      result: { ran: params?.name, sub: current?.claims.sub, at: resource.params, user },
    };
  }
}

interface Message {
  readonly params?: { readonly name?: string };
}

@Controller('mcp/:tenant')
class TenantController extends Endpoint {
  constructor(caller: AuthContext) {
    super(caller);
  }

  @Post()
  @HttpCode(200)
  post(@Body() { params }: Message) {
    return this.answer(params);
  }

  @Get('about')
  about() {
    return 'about';
  }
}

@Controller('desks/:tenant')
@UseResource('desks')
class DeskController extends Endpoint {
  constructor(caller: AuthContext) {
    super(caller);
  }

  @Post()
  @HttpCode(200)
  @Scopes('desk:use')
  post(@Body() { params }: Message) {
    return this.answer(params);
  }
}

@Controller('named')
@UseResource('named')
class NamedController extends Endpoint {
  constructor(caller: AuthContext) {
    super(caller);
  }

  @Post()
  @HttpCode(200)
  post(@Body() { params }: Message) {
    return { ...this.answer(params), uri: this.caller.resource.uri };
  }
}

/** Outside of Nest's router: answers messages, and keeps streams open. */
function mounted(app: INestApplication) {
  const caller = app.get(AuthContext);
  return (request: IncomingMessage & { body?: Message }, response: ServerResponse) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
      return;
    }
    const { current, resource, user } = caller;
    const result = {
      ran: request.body?.params?.name,
      sub: current?.claims.sub,
      at: resource.params,
      user,
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ result }));
  };
}

const start = (platform: Platform): Promise<Retrofitted> =>
  startRetrofit((place) => {
    const configure = (app: INestApplication) => {
      app.use('/mounted', app.get(AuthplaneMiddleware).for({ resource: 'mounted' }));
      app.use('/mounted', mounted(app));
      app.use('/lobby', app.get(AuthplaneMiddleware).for({ resource: 'lobby' }));
      app.use('/lobby', mounted(app));
    };
    const metadata = {
      imports: importsAt(place),
      controllers: [TenantController, DeskController, NamedController],
    };
    return startApp(metadata, { platform, port: place.port, configure });
  });

function importsAt({ port, origin, issuer }: Place) {
  const tools = { write: ['w'] };
  return [
    AuthplaneModule.forRoot({
      issuer,
      devMode: true,
      guard: 'global',
      baseUrl: origin,
      mcpPath: '/mcp/:tenant',
      isResource: isTenant,
      scopes: ['r'],
      otherCredentials: keys,
      user: ({ sub }, { resource }) => (sub === 'stranger' ? null : `${sub}@${resource.uri}`),
      mcp: { authentication: 'when-needed', tools },
    }),
    AuthplaneModule.forFeature({
      name: 'desks',
      baseUrl: origin,
      mcpPath: '/desks/:tenant',
      isResource: isTenant,
      scopes: ['desk:use'], // also of the handler, so that nobody comes for free
      mcp: { tools },
    }),
    AuthplaneModule.forFeature({
      name: 'named',
      baseUrl: [origin, `http://localhost:${port}`],
      mcpPath: '/named',
      scopes: ['r'],
      mcp: { tools, authentication: 'required' },
    }),
    AuthplaneModule.forFeature({
      name: 'mounted',
      baseUrl: origin,
      mcpPath: '/mounted/:tenant',
      isResource: isTenant,
      scopes: ['r'],
      mcp: { tools, authentication: 'required' },
    }),
    AuthplaneModule.forFeature({
      name: 'lobby',
      baseUrl: origin,
      mcpPath: '/lobby/:tenant',
      isResource: isTenant,
      scopes: ['r'],
      mcp: { tools, authentication: 'when-needed' },
    }),
  ];
}

describe.each(platforms)('12.4: many resources on %s', (platform) => {
  let app: Retrofitted;
  const at = (path: string) => `${app.origin}/${path}`;
  beforeAll(async () => {
    app = await start(platform);
  });
  afterAll(() => app.close());

  const key = (...parts: string[]): SentHeaders => ({ 'x-api-key': `key-${parts.join('+')}` });
  const described = async (path: string) =>
    JSON.parse((await send(`${app.origin}${METADATA}/${path}`, 'GET', {})).text) as object;

  /** Of an endpoint with a parameter: a token and a key of one tenant, here and elsewhere. */
  async function expectTenants(path: string, scope: string): Promise<void> {
    const [acme, globex] = [at(`${path}/acme`), at(`${path}/globex`)];
    const token = await bearer(app, acme, `${scope} w`);
    const withKey = key('acme', 'bob', scope, 'w');
    for (const [headers, sub] of [
      [token, 'alice'],
      [withKey, 'bob'],
    ] as const) {
      const { status, text } = await callTool(acme, headers, 'write');
      expect([status, JSON.parse(text)]).toMatchObject([
        200,
        { result: { ran: 'write', sub, at: { tenant: 'acme' }, user: `${sub}@${acme}` } },
      ]);
    }
    expect((await callTool(globex, token, 'write')).status).toBe(401);
    expect((await callTool(globex, withKey, 'write')).status).toBe(403); // a stranger there
    expect((await callTool(at(`${path}/none`), token, 'write')).status).toBe(404);
    for (const headers of [await bearer(app, acme, scope), key('acme', 'bob', scope)]) {
      const { status, challenge } = await callTool(acme, headers, 'write');
      expect([status, challenge]).toEqual([
        403,
        expect.stringContaining(`${METADATA}/${path}/acme`),
      ]);
    }
    expect(await described(`${path}/acme`)).toMatchObject({ resource: acme });
  }

  test.each([
    ['mcp', 'r'],
    ['desks', 'desk:use'],
    ['mounted', 'r'],
  ])('12.1, 12.2: /%s/:tenant: its own callers, users, scopes and metadata', (path, scope) =>
    expectTenants(path, scope),
  );

  test('of further resources, too, each refuses the tokens of all others', async () => {
    const token = await bearer(app, at('mcp/acme'), 'r w desk:use');
    for (const path of ['desks/acme', 'mounted/acme', 'named'])
      expect([path, (await callTool(at(path), token, 'write')).status]).toEqual([path, 401]);
  });

  test('a further resource under two names', async () => {
    const urls = [at('named'), at('named').replace('127.0.0.1', 'localhost')];
    for (const url of urls) {
      const token = await bearer(app, url, 'r w');
      const { status, text } = await callTool(url, token, 'write');
      expect([status, JSON.parse(text)]).toMatchObject([200, { uri: url }]);
      for (const other of urls.filter((one) => one !== url))
        expect((await callTool(other, token, 'write')).status).toBe(401);
      const none = await callTool(url, {}, 'write');
      expect(none.challenge).toContain(`realm="${url}"`);
      const { status: unknown } = await callTool(url, { ...token, host: 'evil.example' }, 'write');
      expect(unknown).toBe(404);
    }
  });

  test('12.6: what is free is so at each tenant, and nowhere else', async () => {
    for (const tenant of TENANTS) {
      const url = at(`mcp/${tenant}`);
      expect((await listTools(url, {})).status).toBe(200);
      const { status, text } = await callTool(url, {}, 'free');
      expect([status, JSON.parse(text)]).toMatchObject([200, { result: { at: { tenant } } }]);
      const { status: refused, challenge } = await callTool(url, {}, 'write');
      expect(refused).toBe(401);
      expect(challenge).toContain(`${METADATA}/mcp/${tenant}"`);
      const bad = { authorization: 'Bearer x.y.z' };
      expect((await callTool(url, bad, 'free')).status).toBe(401);
    }
    expect((await callTool(at('mcp/none'), {}, 'free')).status).toBe(404);
    expect((await send(at('mcp/acme/about'), 'GET', {})).status).toBe(401);
    for (const path of ['desks/acme', 'mounted/acme', 'named'])
      expect([path, (await callTool(at(path), {}, 'free')).status]).toEqual([path, 401]);
  });

  test('12.6: behind the middleware, too, where its resource says so', async () => {
    const url = at('lobby/acme');
    const { status, text } = await callTool(url, {}, 'free');
    expect([status, JSON.parse(text)]).toMatchObject([200, { result: { ran: 'free' } }]);
    expect((await listTools(url, {})).status).toBe(200);
    const refused = await callTool(url, {}, 'write');
    expect([refused.status, refused.challenge]).toEqual([
      401,
      expect.stringContaining(`${METADATA}/lobby/acme"`),
    ]);
    expect((await callTool(url, { authorization: 'Bearer x.y.z' }, 'free')).status).toBe(401);
    expect((await callTool(`${url}/below`, {}, 'free')).status).toBe(401);
    expect((await callTool(at('lobby/none'), {}, 'free')).status).toBe(404);
    const token = await bearer(app, url, 'r w');
    expect(JSON.parse((await callTool(url, token, 'write')).text)).toMatchObject({
      result: { ran: 'write', sub: 'alice' },
    });
  });

  test('12.5: behind the middleware a stream of a tenant ends with its caller', async () => {
    const ended = await new Promise<string>((resolve, reject) => {
      const headers = { accept: 'text/event-stream', ...key('acme', 'bob', 'r', 'brief') };
      const sent = httpRequest(at('mounted/acme'), { headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('close', () => resolve(text));
      });
      sent.on('error', reject).end();
    });
    expect(ended).toBe(': open\n\n');
  });
});
