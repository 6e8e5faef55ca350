import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import {
  All,
  Body,
  Controller,
  Get,
  Injectable,
  type ModuleMetadata,
  type OnModuleDestroy,
  Param,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleOptions,
  Public,
  Scopes,
} from 'authplane-nestjs';
import {
  type McpServe,
  type PlatformReply,
  type PlatformRequest,
  serveMcp,
} from 'authplane-nestjs/mcp';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { z } from 'zod';
import { ON_LOOPBACK, freePort, startApp, type StartOptions } from './start-app.js';

@Injectable()
class Tools {
  constructor(private readonly caller: AuthContext) {}

  createServer(): McpServer {
    const server = new McpServer({ name: 'tenants', version: '1.0.0' });
    server.registerTool('where', { description: 'The resource' }, () => this.#answer());
    server.registerTool(
      'change',
      { description: 'Needs a scope', inputSchema: z.object({ value: z.string() }) },
      () => this.#answer(),
    );
    return server;
  }

  #answer() {
    const { claims, resource } = this.caller;
    return {
      content: [{ type: 'text' as const, text: JSON.stringify({ sub: claims.sub, ...resource }) }],
    };
  }
}

class Endpoint implements OnModuleDestroy {
  readonly #mcp = createMcpHandler(() => this.tools.createServer());
  readonly #serve = toNodeHandler(this.#mcp) as McpServe;

  constructor(private readonly tools: Tools) {}

  protected serve(incoming: PlatformRequest, reply: PlatformReply): Promise<void> {
    return serveMcp(incoming, reply, () => this.#serve);
  }

  async onModuleDestroy(): Promise<void> {
    await this.#mcp.close();
  }
}

/** An MCP server for each profile, and what an application has below one. */
@Controller('mcp/:profile')
@UseGuards(AuthplaneGuard)
class ProfileController extends Endpoint {
  constructor(
    tools: Tools,
    private readonly caller: AuthContext,
  ) {
    super(tools);
  }

  @All()
  @Scopes('mcp:use')
  handle(@Req() incoming: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return this.serve(incoming, reply);
  }

  @Get('about')
  about(@Param('profile') profile: string) {
    return { profile, sub: this.caller.claims.sub, ...this.caller.resource };
  }
}

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class OneController extends Endpoint {
  constructor(tools: Tools) {
    super(tools);
  }

  @All()
  @Scopes('mcp:use')
  handle(@Req() incoming: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return this.serve(incoming, reply);
  }
}

/** As much of a server with sessions as tells whose they are. */
@Controller('sessions/:profile')
@UseGuards(AuthplaneGuard)
class SessionsController {
  @Post()
  post(@Body() { method }: { readonly method?: string }, @Res() reply: SessionReply) {
    if (method === 'initialize') reply.header('mcp-session-id', 'session-1');
    reply.status(200).send({ jsonrpc: '2.0', id: 1, result: {} });
  }
}

interface SessionReply {
  header(name: string, value: string): unknown;
  status(code: number): { send(body: object): unknown };
}

/** Handlers that belong to no path of a tenant. */
@Controller()
@UseGuards(AuthplaneGuard)
class OtherController {
  constructor(private readonly caller: AuthContext) {}

  @Get('health')
  @Public()
  health() {
    return { ok: true };
  }

  @Get('things')
  things() {
    return { ...this.caller.resource };
  }
}

/** A request byte for byte, which `fetch` would tidy up. */
export interface RawRequest {
  readonly path: string;
  readonly host?: string;
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

export interface RawAnswer {
  readonly status: number | undefined;
  readonly challenge: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  json(): Record<string, unknown>;
}

export interface TenantsApp {
  readonly port: number;
  readonly authorizationServer: StandInAuthorizationServer;
  ask(request: RawRequest): Promise<RawAnswer>;
  /** A token for this resource. */
  token(aud: string, claims?: Readonly<Record<string, unknown>>): Promise<string>;
  close(): Promise<void>;
}

/** What of the options depends on the port. */
export type OptionsAt = (port: number) => Partial<AuthplaneModuleOptions>;

export async function startTenantsApp(
  optionsAt: OptionsAt,
  start: StartOptions,
  metadata: ModuleMetadata = {},
): Promise<TenantsApp> {
  const port = await freePort();
  const authorizationServer = await startAuthorizationServer({ issueRefreshTokens: false });
  const options: AuthplaneModuleOptions = {
    issuer: authorizationServer.issuer,
    ...ON_LOOPBACK,
    scopes: ['mcp:use'],
    mcp: { tools: { change: ['mcp:change'] } },
    ...optionsAt(port),
  };
  const { app } = await startApp(
    {
      ...metadata,
      imports: [AuthplaneModule.forRoot(options), ...(metadata.imports ?? [])],
      controllers: [
        ProfileController,
        OneController,
        SessionsController,
        OtherController,
        ...(metadata.controllers ?? []),
      ],
      providers: [Tools, ...(metadata.providers ?? [])],
    },
    { ...start, port },
  );
  return {
    port,
    authorizationServer,
    ask: (asked) => ask(port, asked),
    token: (aud, claims = {}) =>
      authorizationServer.issueToken({ aud, sub: 'alice', scope: 'mcp:use', ...claims }),
    close: async () => {
      await app.close();
      await authorizationServer.close();
    },
  };
}

function ask(port: number, { path, host, method, token, headers, body }: RawRequest) {
  return new Promise<RawAnswer>((resolve, reject) => {
    const sent = request({
      port,
      path,
      host: '127.0.0.1',
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        host: host ?? `127.0.0.1:${port}`,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        accept: 'application/json, text/event-stream',
        ...headers,
      },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      textOf(response).then(
        (text) =>
          resolve({
            status: response.statusCode,
            challenge: response.headers['www-authenticate'],
            headers: response.headers,
            text,
            json: () => JSON.parse(text) as Record<string, unknown>,
          }),
        reject,
      );
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
