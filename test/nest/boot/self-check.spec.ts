import { Server, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, vi, test, type MockInstance } from 'vitest';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  type INestApplication,
  Logger,
  Post,
  Sse,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { AuthplaneGuard, AuthplaneModule, Public, Scopes } from 'authplane-nestjs';
import { of } from 'rxjs';
import { platforms } from '../../support/nest/start-app.js';
import { call, type McpApp, type McpAppOptions, startMcpApp } from '../../support/nest/mcp-app.js';
import { holdTimers } from '../../support/time/held-timers.js';
import { until } from '../../support/time/until.js';
import { settled } from '../../support/time/settled.js';

let server: McpApp | undefined;
let warn: MockInstance<Logger['warn']>;
/** Requests of the check that were answered, by method and path. */
let answered: string[];

beforeEach(() => {
  warn = vi.spyOn(Logger.prototype, 'warn');
  answered = [];
  const emit = Server.prototype.emit;
  vi.spyOn(Server.prototype, 'emit').mockImplementation(function (
    this: Server,
    ...args: Parameters<typeof emit>
  ) {
    const [event, request, response] = args as unknown as [string, IncomingMessage, ServerResponse];
    if (event === 'request' && request.headers['user-agent'] === 'authplane-nestjs self-check') {
      const asked = `${request.method} ${request.url}`; // a mount shortens it
      response.once('close', () => answered.push(asked));
    }
    return emit.call(this, ...args);
  });
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  vi.restoreAllMocks();
});

const warnings = () =>
  warn.mock.calls.map(([text]) => String(text)).filter((text) => text.startsWith('self-check'));

/** Until the check has asked all of these, and its answers are read. */
async function checked(options: McpAppOptions, ...requests: string[]): Promise<string[]> {
  server = await startMcpApp(options);
  await until(() => requests.every((one) => answered.includes(one)));
  await settled(); // the answer to the last one is on its way
  return warnings();
}

const METADATA = 'GET /.well-known/oauth-protected-resource/mcp';
const mcp = { tools: { write: ['x'] } };

@Controller('else')
class ElseController {
  @Get()
  get() {
    return 1;
  }
}

describe.each(platforms)('9.6a: selfCheck on %s', (platform) => {
  test('says nothing about a protected application, and runs no tool', async () => {
    const found = await checked({ platform, mcp }, METADATA, 'GET /mcp', 'POST /mcp');
    expect(found).toEqual([]);
    expect(server?.runs).toEqual([]);
    expect(warn.mock.calls.join()).not.toContain('refused');
  });

  test('without an operation with scopes it posts nothing', async () => {
    expect(await checked({ platform }, METADATA, 'GET /mcp')).toEqual([]);
    expect(answered).not.toContain('POST /mcp');
  });

  test('can be switched off', async () => {
    server = await startMcpApp({ platform, mcp, options: { selfCheck: false } });
    expect((await server.post(call('write'))).status).toBe(403);
    expect(answered).toEqual([]);
  });

  test('an endpoint that is mounted outside the router is open', async () => {
    const bodies: string[] = [];
    const configure = (app: INestApplication) => {
      app.use('/mcp', (request: IncomingMessage, response: ServerResponse) => {
        bodies.push(request.method ?? '');
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    };
    const options = { guard: 'global' as const };
    const found = await checked(
      { platform, controller: ElseController, configure, options, mcp },
      'GET /mcp',
    );
    expect(found).toEqual([
      expect.stringMatching(
        /GET \/mcp without a token answers 200: the endpoint of \S+ is open to anybody/,
      ),
    ]);
    expect(bodies).toEqual(['GET']); // nothing that could run is sent to it
  });

  test('the .well-known of the application hides the metadata', async () => {
    const configure = (app: INestApplication) => {
      const adapter = app.getHttpAdapter();
      adapter.use?.('/.well-known', (_: IncomingMessage, response: ServerResponse) => {
        response.writeHead(404).end();
      });
    };
    const found = await checked({ platform, configure }, METADATA, 'GET /mcp');
    expect(found).toEqual([
      expect.stringMatching(
        /GET \/\.well-known\/oauth-protected-resource\/mcp answers 404, and not the/,
      ),
    ]);
    await server?.close();
    warn.mockClear();
    const off = { metadataRoute: false };
    expect(await checked({ platform, configure, options: off }, 'GET /mcp')).toEqual([]);
  });

  test('the .well-known of the application hides the metadata of all tenants, nobody of whom is asked for', async () => {
    const path = '/.well-known/oauth-protected-resource/mcp/%2D/x';
    const lookedUp: unknown[] = [];
    const options = {
      mcpPath: '/mcp/:profile/x',
      isResource: (params: unknown) => lookedUp.push(params) > 0,
    };
    expect(await checked({ platform, options }, `GET ${path}`)).toEqual([]);
    await server?.close();
    for (const status of [200, 404]) {
      const configure = (app: INestApplication) => {
        app.use('/.well-known', (_: IncomingMessage, response: ServerResponse) => {
          response.writeHead(status).end('{"error":"none"}');
        });
      };
      warn.mockClear();
      expect(await checked({ platform, configure, options }, `GET ${path}`)).toEqual([
        expect.stringContaining(
          `GET ${path} answers ${status}, and not as the metadata of http://`,
        ),
      ]);
      await server?.close();
    }
    warn.mockClear();
    for (const off of [{ metadataRoute: false }, { resourceMetadataUrl: (uri: string) => uri }]) {
      expect(await checked({ platform, options: { ...options, ...off } })).toEqual([]);
      await server?.close();
    }
    expect(answered.filter((one) => one.includes('%2D'))).toHaveLength(3);
    expect(lookedUp).toEqual([]);
  });

  test('a body that no parser reads', async () => {
    if (platform === 'fastify') return; // it has a parser of its own
    const application = { bodyParser: false };
    const found = await checked({ platform, application, mcp }, 'POST /mcp');
    expect(found).toEqual([expect.stringContaining('create the application with rawBody: true')]);
    await server?.close();
    warn.mockClear();
    const raw = { rawBody: true };
    expect(await checked({ platform, application: raw, mcp }, 'POST /mcp')).toEqual([]);
  });

  test('an event stream beside a guarded endpoint', async () => {
    @Controller()
    class SseController {
      @Sse('sse')
      stream() {
        return of({ data: 'open' });
      }
    }
    const metadata = { controllers: [SseController] };
    expect(await checked({ platform, metadata }, 'GET /sse')).toEqual([
      expect.stringContaining('GET /sse opens an event stream without a token'),
    ]);
    await server?.close();
    warn.mockClear();
    const options = { guard: 'global' as const };
    expect(await checked({ platform, metadata, options }, 'GET /mcp')).toEqual([]);
    expect(answered.filter((one) => one === 'GET /sse')).toHaveLength(1);
  });

  test('a filter that swallows the refusal', async () => {
    @Catch()
    class Swallowing implements ExceptionFilter {
      catch(_: unknown, host: ArgumentsHost) {
        const response = host
          .switchToHttp()
          .getResponse<{ raw?: ServerResponse } & ServerResponse>();
        const raw = response.raw ?? response;
        raw.removeHeader('www-authenticate');
        raw.writeHead(500).end();
      }
    }
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    @UseFilters(Swallowing)
    @Scopes('x')
    class SwallowedController {
      @Post()
      post() {
        return 1;
      }

      @Get()
      get() {
        return 1;
      }
    }
    const options = { scopes: ['x'] };
    expect(
      await checked({ platform, controller: SwallowedController, options }, 'GET /mcp'),
    ).toEqual([expect.stringContaining('answers 500 without our challenge')]);
  });

  test.each([
    ['redirects', 302, {}],
    ['has nothing there', 404, {}],
    ['shows a page for browsers', 200, { 'content-type': 'text/html' }],
  ])('is silent where the application %s', async (_, status, headers) => {
    const configure = (app: INestApplication) => {
      app.use('/mcp', (_request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(status, headers).end();
      });
    };
    expect(await checked({ platform, controller: ElseController, configure }, 'GET /mcp')).toEqual(
      [],
    );
  });

  test('is silent about a public endpoint, which the boot knows', async () => {
    @Controller('mcp')
    @Public()
    class PublicController {
      @Get()
      get() {
        return 1;
      }
    }
    expect(await checked({ platform, controller: PublicController }, METADATA)).toEqual([]);
    expect(answered).not.toContain('GET /mcp');
  });

  test('delays neither the boot nor the end, whatever hangs', async () => {
    const configure = (app: INestApplication) => {
      app.use('/mcp', () => undefined); // never answers
    };
    holdTimers(5000);
    server = await startMcpApp({ platform, controller: ElseController, configure });
    await server.close(); // although the time of the check is never over
    server = undefined;
    expect(warnings()).toEqual([]);
  });
});

test('9.6a: nothing is asked of an application that does not listen', async () => {
  const imports = [
    AuthplaneModule.forRoot({
      issuer: 'http://127.0.0.1:1',
      baseUrl: 'http://127.0.0.1:2',
      devMode: true,
    }),
  ];
  const module = await Test.createTestingModule({ imports }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  await app.close();
  expect(answered).toEqual([]);
  expect(warnings()).toEqual([]);
});
