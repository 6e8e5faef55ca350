import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  Controller,
  type DynamicModule,
  Get,
  Inject,
  Logger,
  type ModuleMetadata,
  Post,
  type Type,
  UseGuards,
} from '@nestjs/common';
import {
  type AuthplaneFeatureOptions,
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleOptions,
  authplaneResource,
  AuthplaneResource,
  Claims,
  ConfigurationError,
  Scopes,
  UseResource,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const MAIN = 'http://127.0.0.1:3000/mcp';
const ADMIN = 'http://127.0.0.1:3000/admin/mcp';

@Controller()
@UseGuards(AuthplaneGuard)
class BothController {
  @Get('main')
  main(@Claims() claims: VerifiedClaims) {
    return claims.audience;
  }

  @Get('admin')
  @UseResource('admin')
  @Scopes('admin:read')
  admin(@Claims() claims: VerifiedClaims) {
    return claims.audience;
  }

  @Post('admin/mcp')
  @UseResource('admin')
  mcp() {
    return { ran: true };
  }
}

@Controller('unknown')
@UseGuards(AuthplaneGuard)
@UseResource('nobody')
class UnknownController {
  @Get()
  get() {
    return 'never';
  }
}

describe.each(platforms)('several resources on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp | undefined;

  beforeEach(async () => {
    authorizationServer = await startAuthorizationServer();
  });
  afterEach(async () => {
    await app?.close();
    app = undefined;
    await authorizationServer.close();
  });

  const root = (options: Partial<AuthplaneModuleOptions> = {}) =>
    AuthplaneModule.forRoot({
      issuer: authorizationServer.issuer,
      resource: MAIN,
      scopes: ['mcp:read'],
      devMode: true,
      ...options,
    });
  const admin = () =>
    AuthplaneModule.forFeature({
      name: 'admin',
      resource: ADMIN,
      scopes: ['admin:read'],
      mcp: { tools: { delete: ['admin:write'] } },
    });
  const start = async (metadata: ModuleMetadata) => {
    app = await startApp(metadata, { platform });
    return app.url;
  };
  const withToken = async (aud: string, scope = '') => ({
    headers: {
      authorization: `Bearer ${await authorizationServer.issueToken({ aud: [aud], scope })}`,
    },
  });

  it('a token of one is refused at the other, each with its own challenge', async () => {
    const url = await start({ imports: [root(), admin()], controllers: [BothController] });
    const status = async (path: string, init: RequestInit) =>
      (await fetch(`${url}${path}`, init)).status;
    expect(await status('/main', await withToken(MAIN))).toBe(200);
    expect(await status('/main', await withToken(ADMIN))).toBe(401);
    expect(await status('/admin', await withToken(ADMIN, 'admin:read'))).toBe(200);
    expect(await status('/admin', await withToken(MAIN, 'admin:read'))).toBe(401);
    const challenge = (await fetch(`${url}/admin`)).headers.get('www-authenticate');
    expect(challenge).toContain(
      'resource_metadata="http://127.0.0.1:3000/.well-known/oauth-protected-resource/admin/mcp"',
    );
    expect(challenge).toContain('scope="admin:read"');
    const refused = await fetch(`${url}/admin`, await withToken(ADMIN));
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toContain('/admin/mcp"');
    expect((await fetch(`${url}/main`)).headers.get('www-authenticate')).toContain(
      '/.well-known/oauth-protected-resource/mcp"',
    );
  });

  it('each has its metadata document; the root one is that of forRoot', async () => {
    const url = await start({ imports: [root(), admin()] });
    const metadata = async (path: string) =>
      (await fetch(`${url}/.well-known/oauth-protected-resource${path}`)).json();
    expect(await metadata('/mcp')).toMatchObject({ resource: MAIN });
    expect(await metadata('')).toMatchObject({ resource: MAIN });
    expect(await metadata('/admin/mcp')).toMatchObject({
      resource: ADMIN,
      authorization_servers: [authorizationServer.issuer],
      scopes_supported: ['admin:read'],
    });
  });

  it('the line at start names each of them', async () => {
    const log = vi.spyOn(Logger.prototype, 'log');
    await start({ imports: [root(), admin()] });
    expect(log.mock.calls.join()).toContain(`protecting ${MAIN}, ${ADMIN} with tokens of`);
    log.mockRestore();
  });

  it('its own path is its MCP endpoint', async () => {
    const url = await start({ imports: [root(), admin()], controllers: [BothController] });
    const call = async (name: string) => {
      const { headers } = await withToken(ADMIN);
      const body = JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name },
      });
      const init = {
        method: 'POST',
        body,
        headers: { ...headers, 'content-type': 'application/json' },
      };
      return (await fetch(`${url}/admin/mcp`, init)).status;
    };
    expect(await call('delete')).toBe(403);
    expect(await call('other')).toBe(201);
  });

  it('is injectable by its name, also with options of a factory', async () => {
    class Holder {
      constructor(@Inject(authplaneResource('admin')) readonly resource: AuthplaneResource) {}
    }
    const feature = AuthplaneModule.forFeatureAsync({
      name: 'admin',
      inject: [AuthplaneResource],
      useFactory: async (main: AuthplaneResource) =>
        Promise.resolve({ resource: main.resource.replace('/mcp', '/admin/mcp') }),
    });
    await start({ imports: [root(), feature], providers: [Holder] });
    expect(app?.app.get(Holder).resource.resource).toBe(ADMIN);
    expect(app?.app.get(AuthplaneResource).resource).toBe(MAIN);
  });

  it('scopes of all requests are those of the own resource', async () => {
    const url = await start({
      imports: [root({ enforceScopesOnAllRequests: true }), admin()],
      controllers: [BothController],
    });
    expect((await fetch(`${url}/main`, await withToken(MAIN))).status).toBe(403);
    expect((await fetch(`${url}/admin`, await withToken(ADMIN, 'admin:read'))).status).toBe(200);
  });

  describe('hardening: what protects forRoot protects it too', () => {
    const TOOL_CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'delete' } };
    const late = () => ({ exp: Math.floor(Date.now() / 1000) - 30 });
    const down = () => {
      throw new Error('database');
    };

    /** Of a request to `/admin` with a plain bearer token, or of a tool call from a page. */
    async function statusOf(
      main: Partial<AuthplaneModuleOptions>,
      own: Partial<AuthplaneFeatureOptions>,
      { path = '/admin', scope = 'admin:read', claims, body, origin, isAnonymous }: Ask,
    ) {
      const feature = { name: 'admin', resource: ADMIN, scopes: ['admin:read'], ...own };
      const imports = [root(main), AuthplaneModule.forFeature(feature)];
      const url = await start({ imports, controllers: [BothController] });
      const token = await authorizationServer.issueToken({ aud: [ADMIN], scope, ...claims?.() });
      const headers = {
        ...(isAnonymous === true ? {} : { authorization: `Bearer ${token}` }),
        'content-type': 'application/json',
        ...(origin === undefined ? {} : { origin }),
      };
      const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
      return (await fetch(`${url}${path}`, { ...init, headers })).status;
    }

    interface Ask {
      path?: string;
      scope?: string;
      claims?: () => object;
      body?: object;
      origin?: string;
      isAnonymous?: boolean;
    }
    type Row = [
      name: string,
      main: Partial<AuthplaneModuleOptions>,
      own: Partial<AuthplaneFeatureOptions>,
      ask: Ask,
      inherited: number,
      own: number,
    ];
    const tools = { delete: ['admin:write'] };
    const call: Ask = { path: '/admin/mcp', body: TOOL_CALL };

    it.each<Row>([
      ['inboundDPoP', { inboundDPoP: { required: true } }, { inboundDPoP: false }, {}, 401, 200],
      [
        'revocationChecker',
        { revocationChecker: () => true },
        { revocationChecker: false },
        {},
        401,
        200,
      ],
      [
        'failClosed',
        { revocationChecker: down, failClosed: false },
        { failClosed: true },
        {},
        200,
        503,
      ],
      [
        'allowedAlgorithms',
        { allowedAlgorithms: ['RS256'] },
        { allowedAlgorithms: ['ES256'] },
        {},
        401,
        200,
      ],
      [
        'clockSkewSeconds',
        { clockSkewSeconds: 0 },
        { clockSkewSeconds: 60 },
        { claims: late },
        401,
        200,
      ],
      [
        'maxTokenLifetimeSeconds',
        { maxTokenLifetimeSeconds: 60 },
        { maxTokenLifetimeSeconds: 7200 },
        {},
        401,
        200,
      ],
      [
        'scopeHierarchy',
        { scopeHierarchy: { all: ['admin:read'] } },
        { scopeHierarchy: {} },
        { scope: 'all' },
        200,
        403,
      ],
      [
        'enforceScopesOnAllRequests',
        { enforceScopesOnAllRequests: true },
        { enforceScopesOnAllRequests: false },
        { ...call, scope: 'other' },
        403,
        201,
      ],
      [
        'mcp.allowedOrigins',
        { mcp: { allowedOrigins: ['https://app.example.com'] } },
        { mcp: { allowedOrigins: false } },
        { ...call, origin: 'https://evil.example' },
        403,
        201,
      ],
      ['mcp.list', { mcp: { list: 'hide' } }, { mcp: { tools, list: 'show' } }, call, 201, 403],
    ])('%s, unless it says otherwise itself', async (name, main, own, ask, inherited, changed) => {
      const plain = name === 'mcp.list' ? { mcp: { tools } } : {};
      expect(await statusOf(main, plain, ask)).toBe(inherited);
      await app?.close();
      expect(await statusOf(main, own, ask)).toBe(changed);
    });

    it('but not what single operations need', async () => {
      expect(await statusOf({ mcp: { tools } }, {}, call)).toBe(201);
    });

    it('12.6: nor that free tools need nobody, which each says for itself', async () => {
      const mcp = { authentication: 'when-needed', tools } as const;
      const anonymous = { ...call, isAnonymous: true };
      expect(await statusOf({ mcp }, {}, anonymous)).toBe(401);
      await app?.close();
      expect(await statusOf({ mcp }, { mcp: { list: 'show' } }, anonymous)).toBe(401);
      await app?.close();
      const free = { mcp: { authentication: 'when-needed' } } as const;
      expect(await statusOf({}, free, anonymous)).toBe(201);
    });
  });

  it.each([
    ['an unknown name', () => [root()], [UnknownController], /"nobody".*has named: none/],
    [
      'a name twice',
      () => [root(), admin(), again('admin', 'http://127.0.0.1:3000/x')],
      [],
      /two resources/,
    ],
    [
      'a resource twice',
      () => [root(), again('other', MAIN)],
      [],
      /metadata of http:\/\/127.0.0.1:3000\/mcp would be at .*, where that of .* \(forRoot\) is/,
    ],
    // RFC 9728 §3.3: a client refuses a document that names another resource.
    ...['http://other.example:3000/mcp', `${MAIN}?tenant=c`, 'http://127.0.0.1:3000/'].map(
      (taken): [string, () => DynamicModule[], Type[], RegExp] => [
        `${taken}, whose metadata would be that of forRoot`,
        () => [root(), again('other', taken)],
        [],
        /give it a path of its own/,
      ],
    ),
    ['wrong options', () => [root(), again('x', 'nonsense')], [], /must be an absolute https URL/],
  ])('fails the boot with %s', async (_, imports, controllers, message) => {
    const error = await start({ imports: imports(), controllers }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as Error).message).toMatch(message);
  });

  function again(name: string, resource: string) {
    return AuthplaneModule.forFeature({ name, resource });
  }

  it('forFeature without a name is a mistake', () => {
    expect(() => again('', ADMIN)).toThrow(/name is required/);
  });
});
