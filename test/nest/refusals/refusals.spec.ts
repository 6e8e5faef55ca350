import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Logger,
  type MessageEvent,
  type NestMiddleware,
  Post,
  Req,
  Res,
  Sse,
  UseGuards,
} from '@nestjs/common';
import {
  AuthplaneClient,
  AuthplaneGuard,
  AuthplaneModule,
  Public,
  TokenMissingError,
} from 'authplane-nestjs';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { concat, defer, from, type Observable, of } from 'rxjs';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';

/** A call of the application's own to the authorization server, wherever it is made. */
@Injectable()
class Outbound {
  constructor(private readonly client: AuthplaneClient) {}

  call(): Promise<unknown> {
    return this.client.clientCredentials({ scopes: ['tools/query'] });
  }
}

@Injectable()
class CallingGuard implements CanActivate {
  constructor(private readonly outbound: Outbound) {}

  async canActivate(): Promise<boolean> {
    await this.outbound.call();
    return true;
  }
}

@Injectable()
class CallingMiddleware implements NestMiddleware {
  constructor(private readonly outbound: Outbound) {}

  use(_request: unknown, _response: unknown, next: (error?: unknown) => void): void {
    this.outbound.call().then(() => {
      next();
    }, next);
  }
}

/** Two ways in: a token, or a key of the application's own. */
@Injectable()
class EitherGuard implements CanActivate {
  constructor(private readonly authplane: AuthplaneGuard) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    try {
      return await this.authplane.canActivate(context);
    } catch (error) {
      const { headers } = context
        .switchToHttp()
        .getRequest<{ headers: Record<string, string | undefined> }>();
      if (error instanceof TokenMissingError && headers['x-api-key'] === 'key') return true;
      throw error;
    }
  }
}

@Controller()
@Public()
class OutboundController {
  constructor(private readonly outbound: Outbound) {}

  @Get('handler')
  handler() {
    return this.outbound.call();
  }

  @Get('guard')
  @UseGuards(CallingGuard)
  guard() {
    return [];
  }

  @Get('middleware')
  middleware() {
    return [];
  }

  @Sse('events')
  events(): Observable<MessageEvent> {
    return concat(
      of({ data: 'first' }),
      defer(() => from(this.outbound.call() as Promise<MessageEvent>)),
    );
  }

  @Post('served')
  served(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return serveMcp(request, reply, async () => {
      await this.outbound.call();
      return () => Promise.resolve();
    });
  }
}

@Controller('either')
@UseGuards(EitherGuard)
class EitherController {
  @Get()
  get() {
    return { in: true };
  }
}

const DETAIL = 'INTERNAL-DETAIL';
const refusal = (status: number, error: string, headers: Record<string, string> = {}) => ({
  status,
  headers,
  contentType: 'application/json',
  body: JSON.stringify({ error, error_description: DETAIL }),
});

describe.each(platforms)('errors of this package on their way out, on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;
  let errors: string[];

  beforeEach(async () => {
    errors = [];
    vi.spyOn(Logger.prototype, 'error').mockImplementation((message: unknown) => {
      errors.push(String(message));
    });
    authorizationServer = await startAuthorizationServer();
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({
            issuer: authorizationServer.issuer,
            resource: RESOURCE,
            devMode: true,
            asCredentials: { clientId: 'me', clientSecret: 'a secret of mine' },
          }),
        ],
        controllers: [OutboundController, EitherController],
        providers: [Outbound, CallingMiddleware],
      },
      {
        platform,
        configure: (nest) => {
          const middleware = nest.get(CallingMiddleware);
          nest.use('/middleware', middleware.use.bind(middleware));
        },
      },
    );
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await app.close();
    await authorizationServer.close();
  });

  const ask = async (path: string) => {
    const response = await fetch(`${app.url}/${path}`, {
      method: path === 'served' ? 'POST' : 'GET',
    });
    const { status, headers } = response;
    return { status, headers, text: await response.text() };
  };
  const PLACES = ['handler', 'guard', 'served'];

  it.each(
    PLACES.flatMap((place) =>
      (
        [
          ['401 invalid_client', refusal(401, 'invalid_client')],
          ['400 invalid_grant', refusal(400, 'invalid_grant')],
          ['500 server_error', refusal(500, 'server_error')],
          ['418 that is no OAuth error', refusal(418, '')],
          ['200 without a token', refusal(200, 'x')],
        ] as const
      ).map(([what, fault]) => [place, what, fault] as const),
    ),
  )(
    '9.16: %s: %s becomes 500 internal_error; the log has the rest',
    async (place, _what, fault) => {
      authorizationServer.fail('token', fault);
      const { status, headers, text } = await ask(place);
      expect([status, text]).toEqual([500, '{"error":"internal_error"}']);
      expect(headers.get('www-authenticate')).toBeNull();
      expect(errors).toEqual([
        expect.stringMatching(new RegExp(`answered with 500: .* with status ${fault.status}`)),
      ]);
    },
  );

  it.each(PLACES)('9.16, 10.11d: %s: 429, 502 and 503 become 503', async (place) => {
    const inTwenty = new Date(Date.now() + 20_000).toUTCString();
    for (const [fault, seconds] of [
      [refusal(429, 'slow_down', { 'retry-after': '7' }), '7'],
      [refusal(429, 'slow_down', { 'retry-after': '7200' }), '60'],
      [refusal(429, 'slow_down', { 'retry-after': inTwenty }), /^(19|20|21)$/],
      [429, '5'],
      [502, '5'],
      [refusal(503, 'server_error', { 'retry-after': '3' }), '3'],
    ] as const) {
      authorizationServer.fail('token', fault);
      const { status, headers, text } = await ask(place);
      expect([status, text]).toEqual([503, '{"error":"temporarily_unavailable"}']);
      expect(headers.get('retry-after')).toMatch(seconds);
      expect(headers.get('www-authenticate')).toBeNull();
    }
  });

  it.each(PLACES)('9.16: %s: access that is denied is a 403', async (place) => {
    authorizationServer.fail('token', refusal(403, 'access_denied'));
    const { status, text } = await ask(place);
    expect(status).toBe(403);
    expect(text).toContain('access_denied');
    expect(text).not.toContain(DETAIL);
  });

  it('9.16: middleware that fails tells nothing either', async () => {
    authorizationServer.fail('token', refusal(401, 'invalid_client'));
    const { status, text } = await ask('middleware');
    expect(status).toBe(500);
    expect(text).not.toMatch(/INTERNAL-DETAIL|invalid_client/);
  });

  it('9.16: an event stream that fails tells nothing either', async () => {
    authorizationServer.fail('token', refusal(401, 'invalid_client'));
    const { status, text } = await ask('events');
    expect(status).toBe(200);
    expect(text).toContain('first');
    expect(text).not.toMatch(/INTERNAL-DETAIL|invalid_client/);
  });

  it('9.17: a guard that tries another way in sends no challenge with its success', async () => {
    const refused = await fetch(`${app.url}/either`);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('Bearer realm=');
    const passes = await fetch(`${app.url}/either`, { headers: { 'x-api-key': 'key' } });
    expect(passes.status).toBe(200);
    expect(await passes.json()).toEqual({ in: true });
    expect(passes.headers.get('www-authenticate')).toBeNull();
    expect(passes.headers.get('cache-control')).toBeNull();
  });
});
