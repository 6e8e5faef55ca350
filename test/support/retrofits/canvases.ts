/**
 * As refly serves MCP: tools of MCP-Nest read `request.user.uid`; besides OAuth there are keys, in a header of their own
 * or as Bearer, and the sessions of its pages, in a cookie or as Bearer; a filter catches whatever any handler throws.
 */
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  HttpException,
  type INestApplication,
  Module,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Ctx, Payload } from '@nestjs/microservices';
import {
  type McpContext,
  McpController,
  McpHttpControllerFor,
  McpStrategy,
  StreamableHttpTransport,
  Tool,
} from '@rekog/mcp-nest';
import {
  Allow,
  type AllowRule,
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  CredentialRefusedError,
  type OtherCaller,
  type OtherCredentials,
  Scopes,
} from 'authplane-nestjs';
import { z } from 'zod';
import { type Platform, startApp } from '../nest/start-app.js';
import { type Place, type Retrofitted, startRetrofit } from './attempts.js';
import { bearerOf, cookieOf, readOwnToken } from './own-tokens.js';

interface UserRow {
  readonly uid: string;
  readonly canvases: readonly string[];
}

/** By the subject of tokens and keys. */
const ROWS: Readonly<Record<string, UserRow>> = {
  alice: { uid: 'u-1', canvases: ['c-1'] },
  bob: { uid: 'u-2', canvases: ['c-2'] },
};
const READ = 'canvas:read';
const WRITE = 'canvas:write';

/** A key may read, a person at a page may do everything. */
const otherCredentials: OtherCredentials = ({ headers }) => {
  const { authorization, cookie, 'x-api-key': inHeader } = headers;
  if (typeof inHeader === 'string') return { ...ofKey(inHeader), from: 'other' };
  const token = bearerOf(authorization);
  if (token?.startsWith('rf_') === true) return { ...ofKey(token), from: 'authorization' };
  const own = ofSession(token);
  if (own !== undefined) return { ...own, from: 'authorization' };
  const inCookie = ofSession(cookieOf(cookie, '_rf_access'));
  return inCookie && { ...inCookie, from: 'ambient' };
};

function ofKey(key: string): OtherCaller {
  const sub = key.replace(/^rf_/, '');
  if (!key.startsWith('rf_') || sub === 'revoked') throw new CredentialRefusedError('no such key');
  return { method: 'api_key', sub, scopes: [READ] };
}

function ofSession(token: string | undefined): OtherCaller | undefined {
  const { sub } = readOwnToken(token) ?? {};
  return typeof sub === 'string' ? { method: 'session', sub, scopes: [READ, WRITE] } : undefined;
}

const ownsCanvas: AllowRule<UserRow> = ({ user }, operation) => {
  const { arguments: args } = (operation?.params ?? {}) as { arguments?: { id?: unknown } };
  return typeof args?.id === 'string' && user.canvases.includes(args.id);
};

@McpController()
class CanvasTools {
  constructor(private readonly caller: AuthContext<UserRow>) {}

  @Tool({ name: 'list_canvases', description: 'One’s own' })
  @Scopes(READ)
  list(@Ctx() context: McpContext) {
    const { user } = context.getRawRequest<{ user: UserRow }>() ?? {};
    return `${user?.uid} has ${user?.canvases.join()}, as ${this.caller.user.uid} does`;
  }

  @Tool({ name: 'open_canvas', description: 'x', parameters: z.object({ id: z.string() }) })
  @Scopes(READ)
  @Allow(ownsCanvas)
  open(@Payload() { id }: { id: string }) {
    return `this is ${id}`;
  }

  @Tool({ name: 'delete_canvas', description: 'x', parameters: z.object({ id: z.string() }) })
  @Scopes(WRITE)
  @Allow(ownsCanvas)
  delete(@Payload() { id }: { id: string }) {
    return `deleted ${id}`;
  }
}

@Catch()
class AnyFilter implements ExceptionFilter {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw thrown;
    const isKnown = thrown instanceof HttpException;
    const status = isKnown ? thrown.getStatus() : 500;
    const body = isKnown ? thrown.getResponse() : { success: false };
    this.adapterHost.httpAdapter.reply(host.switchToHttp().getResponse(), body, status);
  }
}

export const startCanvases = (platform: Platform): Promise<Retrofitted> =>
  startRetrofit((place) => {
    const transport = new StreamableHttpTransport({ statefulMode: false });
    const strategy = new McpStrategy({ name: 'canvases', version: '1', transports: [transport] });
    const configure = async (app: INestApplication) => {
      app.useGlobalFilters(new AnyFilter(app.get(HttpAdapterHost)));
      app.enableCors({ credentials: true });
      app.connectMicroservice({ strategy });
      await app.startAllMicroservices();
    };
    return startApp(
      { imports: [moduleAt(place, transport)] },
      { platform, port: place.port, configure },
    );
  });

function moduleAt({ origin, issuer }: Place, transport: StreamableHttpTransport): Type {
  @Controller('canvases/mcp')
  @UseGuards(AuthplaneGuard)
  class HttpController extends McpHttpControllerFor(transport) {}

  @Module({
    imports: [
      AuthplaneModule.forRoot({
        issuer,
        baseUrl: origin,
        mcpPath: '/canvases/mcp',
        devMode: true,
        scopes: [READ],
        otherCredentials,
        user: { load: ({ sub }) => ROWS[sub] ?? null, cacheSeconds: 1 },
      }),
    ],
    controllers: [HttpController, CanvasTools],
  })
  class CanvasesModule {}
  return CanvasesModule;
}
