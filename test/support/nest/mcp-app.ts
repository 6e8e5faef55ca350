import type { IncomingMessage, ServerResponse } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  ResourceTemplate as TemplateV1,
  McpServer as McpServerV1,
} from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import { createMcpHandler, McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import {
  All,
  Controller,
  Injectable,
  type ModuleMetadata,
  Req,
  Res,
  type Type,
  UseGuards,
} from '@nestjs/common';
import {
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleExtras,
  type AuthplaneModuleOptions,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { z } from 'zod';
import {
  ON_LOOPBACK,
  freePort,
  type Platform,
  type RunningApp,
  startApp,
  type StartOptions,
} from './start-app.js';

export type McpHost = (
  request: IncomingMessage,
  response: ServerResponse,
  body: unknown,
) => Promise<void>;

/** What ran, in order. */
export class Runs extends Array<string> {}

interface Registering {
  registerTool(name: string, config: object, handler: (args: never) => unknown): unknown;
  registerPrompt(name: string, config: object, handler: () => unknown): unknown;
  registerResource(
    name: string,
    uri: unknown,
    config: object,
    handler: (uri: URL) => unknown,
  ): unknown;
}

const TOOLS = ['open', 'read', 'write'];
const ANY_ARGUMENTS = z.object({}).loose();

function register<Server extends object>(server: Server, runs: Runs, Template: Type): Server {
  const registering = server as Registering;
  for (const name of TOOLS) {
    registering.registerTool(name, { inputSchema: ANY_ARGUMENTS }, () => {
      runs.push(name);
      return { content: [{ type: 'text', text: `${name} ran` }] };
    });
  }
  const read = (uri: URL) => {
    runs.push(uri.href);
    return { contents: [{ uri: uri.href, text: 'content' }] };
  };
  registering.registerResource('today', 'calendar://today', {}, read);
  registering.registerResource('secret', 'https://example.com/secret', {}, read);
  registering.registerResource(
    'day',
    new Template('calendar://days/{day}', { list: undefined }),
    {},
    read,
  );
  registering.registerPrompt('briefing', {}, () => {
    runs.push('briefing');
    return { messages: [{ role: 'user', content: { type: 'text', text: 'brief me' } }] };
  });
  return server;
}

const INFO = { name: 'server', version: '1' };
/** A server makes one for itself otherwise, which takes longer than its request. */
const jsonSchemaValidator = new AjvJsonSchemaValidator();
const v1 = (runs: Runs) =>
  register(new McpServerV1(INFO, { jsonSchemaValidator }), runs, TemplateV1);

function statelessV1(runs: Runs, enableJsonResponse: boolean): McpHost {
  return async (request, response, body) => {
    const server = v1(runs);
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse });
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request, response, body);
  };
}

function statefulV1(runs: Runs): McpHost {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  return async (request, response, body) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? sessions.get(id) : undefined;
    if (known !== undefined) return known.handleRequest(request, response, body);
    // As many servers do: who initializes gets a session, whatever else the request says.
    if (id !== undefined && (body as { method?: unknown } | undefined)?.method !== 'initialize') {
      response.writeHead(404).end('{"unknown":"session"}');
      return;
    }
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (opened) => void sessions.set(opened, transport),
    });
    await v1(runs).connect(transport);
    return transport.handleRequest(request, response, body);
  };
}

function v2(runs: Runs): McpHost {
  const handler = toNodeHandler(
    createMcpHandler(() => register(new McpServer(INFO), runs, ResourceTemplate)),
  );
  return (request, response, body) => handler(request as never, response, body);
}

export const hosts = {
  'SDK v1': (runs) => statelessV1(runs, false),
  'SDK v1 with JSON answers': (runs) => statelessV1(runs, true),
  'SDK v1 with sessions': statefulV1,
  'SDK v2': v2,
} satisfies Record<string, (runs: Runs) => McpHost>;
export type HostName = keyof typeof hosts;

@Injectable()
export class Host {
  constructor(readonly handle: McpHost) {}
}

@Controller('mcp')
@UseGuards(AuthplaneGuard)
export class McpController {
  constructor(private readonly host: Host) {}

  @All()
  async handle(
    @Req() request: IncomingMessage & { raw?: IncomingMessage; body?: unknown },
    @Res() reply: ServerResponse & { raw?: ServerResponse; hijack?(): void },
  ): Promise<void> {
    reply.hijack?.();
    await this.host.handle(request.raw ?? request, reply.raw ?? reply, request.body);
  }
}

export interface McpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of a document, or of the first event with data. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly json: any;
}

export interface McpApp {
  readonly authorizationServer: StandInAuthorizationServer;
  readonly app: RunningApp;
  readonly mcpUrl: string;
  readonly runs: Runs;
  bearer(scope?: string, claims?: Record<string, unknown>): Promise<string>;
  post(body: unknown, init?: PostInit): Promise<McpAnswer>;
  close(): Promise<void>;
}

export interface PostInit {
  /** Scopes of the token; `null`: no token. */
  readonly scope?: string | null;
  readonly claims?: Record<string, unknown>;
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly url?: string;
  /** As it is, instead of JSON. */
  readonly raw?: string;
}

export interface McpAppOptions {
  readonly platform: Platform;
  readonly host?: HostName;
  readonly mcp?: AuthplaneModuleOptions['mcp'];
  readonly options?: Partial<AuthplaneModuleOptions & AuthplaneModuleExtras>;
  readonly metadata?: ModuleMetadata;
  readonly controller?: Type;
  readonly application?: StartOptions['application'];
  readonly configure?: StartOptions['configure'];
}

export async function startMcpApp({
  platform,
  host = 'SDK v1 with JSON answers',
  mcp,
  options,
  metadata,
  controller = McpController,
  application,
  configure,
}: McpAppOptions): Promise<McpApp> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const authorizationServer = await startAuthorizationServer();
  const runs = new Runs();
  const app = await startApp(
    {
      imports: [
        AuthplaneModule.forRoot({
          issuer: authorizationServer.issuer,
          baseUrl,
          ...ON_LOOPBACK,
          ...(mcp === undefined ? {} : { mcp }),
          ...options,
        }),
        ...(metadata?.imports ?? []),
      ],
      controllers: [controller, ...(metadata?.controllers ?? [])],
      providers: [
        { provide: Host, useValue: new Host(hosts[host](runs)) },
        ...(metadata?.providers ?? []),
      ],
    },
    {
      platform,
      port,
      ...(application === undefined ? {} : { application }),
      ...(configure === undefined ? {} : { configure }),
    },
  ).catch(async (error: unknown) => {
    await authorizationServer.close();
    throw error;
  });
  const bearer = async (scope = '', claims: Record<string, unknown> = {}) =>
    `Bearer ${await authorizationServer.issueToken({ aud: [mcpUrl], scope, ...claims })}`;
  const post = async (body: unknown, init: PostInit = {}): Promise<McpAnswer> => {
    const { scope = '', claims, headers, method = 'POST', url = mcpUrl, raw } = init;
    const response = await fetch(url, {
      method,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(scope === null ? {} : { authorization: await bearer(scope, claims) }),
        ...headers,
      },
      ...(method === 'GET' ? {} : { body: raw ?? JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = refusalIn(jsonOf(text));
    return { status: response.status, headers: response.headers, text, json };
  };
  return {
    authorizationServer,
    app,
    mcpUrl,
    runs,
    bearer,
    post,
    close: async () => {
      await app.close();
      await authorizationServer.close();
    },
  };
}

export function call(name: unknown, id: number | string = 1) {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } };
}

export function request(method: string, params: object = {}, id: number | string = 1) {
  return { jsonrpc: '2.0', id, method, params };
}

/** The same as a message of 2026-07-28, with the headers that repeat it. */
export function modern(method: string, params: { name?: string; uri?: string }) {
  const name = params.name ?? params.uri;
  return {
    body: request(method, {
      ...params,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    }),
    headers: {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name === undefined ? {} : { 'mcp-name': name }),
    },
  };
}

/** What a refusal says about access, which a JSON-RPC error has as its data. */
function refusalIn(json: unknown): unknown {
  const { error } = Object(json) as { error?: { data?: { error?: unknown } } };
  return typeof error?.data?.error === 'string' ? error.data : json;
}

function jsonOf(text: string): unknown {
  const data = /^data: (.+)$/m.exec(text)?.[1] ?? text;
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
