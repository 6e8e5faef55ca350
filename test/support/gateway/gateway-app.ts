import { AuthplaneModule, type AuthplaneModuleOptions } from 'authplane-nestjs';
import {
  AuthplaneGatewayModule,
  type GatewayModuleOptions,
  GatewayUpstreams,
  McpGateway,
} from 'authplane-nestjs/gateway';
import {
  type AuthorizationServerOptions,
  startAuthorizationServer,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { ModuleMetadata } from '@nestjs/common';
import {
  ON_LOOPBACK,
  freePort,
  type Platform,
  type RunningApp,
  startApp,
} from '../nest/start-app.js';
import type { TravelClock } from '../nest/travel-clock.js';

/** A resource of an upstream, and which scopes of the gateway stand for its own. */
export interface UpstreamResource {
  readonly url: string;
  readonly scopeMap: Readonly<Record<string, readonly string[]>>;
  readonly options?: Partial<NonNullable<AuthorizationServerOptions['resources']>[number]>;
}

export interface GatewayAppOptions {
  readonly platform?: Platform;
  readonly gateway: Omit<GatewayModuleOptions, 'path'> & { readonly path?: string };
  readonly resources?: readonly UpstreamResource[];
  readonly scopes?: readonly string[];
  readonly options?: Partial<AuthplaneModuleOptions>;
  readonly metadata?: ModuleMetadata;
  readonly accessTokenTtlSeconds?: number;
  /** Of the gateway and of the authorization server. */
  readonly clock?: TravelClock;
}

export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly json: any;
}

export interface GatewayApp {
  readonly app: RunningApp;
  readonly authorizationServer: StandInAuthorizationServer;
  readonly mcpUrl: string;
  readonly gateway: McpGateway;
  readonly upstreams: GatewayUpstreams;
  token(claims?: Record<string, unknown>): Promise<string>;
  /** A message of 2026-07-28. */
  ask(method: string, params?: Record<string, unknown>, init?: AskInit): Promise<GatewayAnswer>;
  fetch(method: string, params?: Record<string, unknown>, init?: AskInit): Promise<Response>;
  client(token: string, mode?: 'auto' | 'legacy'): Promise<Client>;
  close(): Promise<void>;
}

export interface AskInit {
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
  readonly capabilities?: Record<string, unknown>;
  readonly meta?: Record<string, unknown>;
  readonly signal?: AbortSignal;
  readonly id?: number | string;
  /** Default: `mcpUrl`. */
  readonly url?: string;
}

const NAMES: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
};

export async function startGateway({
  platform = 'fastify',
  gateway,
  resources = [],
  scopes = [],
  options,
  metadata,
  accessTokenTtlSeconds,
  clock,
}: GatewayAppOptions): Promise<GatewayApp> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const policy = { exchangeClients: ['gateway'], runtimeClients: ['gateway'] };
  const authorizationServer = await startAuthorizationServer({
    clients: [
      {
        clientId: 'gateway',
        clientSecret: 'a-secret-of-the-gateway',
        grantTypes: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
        scope: [
          ...new Set(resources.flatMap(({ scopeMap }) => Object.values(scopeMap).flat())),
        ].join(' '),
      },
    ],
    ...(accessTokenTtlSeconds === undefined ? {} : { accessTokenTtlSeconds }),
    ...(clock === undefined ? {} : { now: clock.now }),
    resources: [
      { uri: mcpUrl, slug: 'gateway', scopes, policy },
      ...resources.map(({ url, scopeMap, options: more }) => ({
        uri: url,
        scopes: [...new Set(Object.values(scopeMap).flat())],
        policy,
        ...more,
      })),
    ],
    fronting: resources.map(({ url, scopeMap }) => ({ source: mcpUrl, target: url, scopeMap })),
  });
  const app = await startApp(
    {
      imports: [
        AuthplaneModule.forRoot({
          issuer: authorizationServer.issuer,
          baseUrl,
          ...ON_LOOPBACK,
          scopes,
          asCredentials: { clientId: 'gateway', clientSecret: 'a-secret-of-the-gateway' },
          ...(clock === undefined ? {} : { clock }),
          ...options,
        }),
        AuthplaneGatewayModule.forRoot({
          path: 'mcp',
          ...gateway,
          upstreams: patient(gateway.upstreams),
        }),
        ...(metadata?.imports ?? []),
      ],
      controllers: metadata?.controllers ?? [],
      providers: metadata?.providers ?? [],
    },
    { platform, port },
  ).catch(async (error: unknown) => {
    await authorizationServer.close();
    throw error;
  });
  const token = (claims: Record<string, unknown> = {}) =>
    authorizationServer.issueToken({
      aud: [mcpUrl],
      scope: scopes.join(' '),
      client_id: 'agent',
      ...claims,
    });
  const send = async (method: string, params: Record<string, unknown> = {}, init: AskInit = {}) => {
    const name = params[NAMES[method] ?? ''];
    return fetch(init.url ?? mcpUrl, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
        ...(init.token === null
          ? {}
          : { authorization: `Bearer ${init.token ?? (await token())}` }),
        ...init.headers,
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: init.id ?? 1,
        method,
        params: {
          ...params,
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
            'io.modelcontextprotocol/clientCapabilities': init.capabilities ?? {},
            ...init.meta,
          },
        },
      }),
      ...(init.signal === undefined ? {} : { signal: init.signal }),
    });
  };
  return {
    app,
    authorizationServer,
    mcpUrl,
    gateway: app.app.get(McpGateway),
    upstreams: app.app.get(GatewayUpstreams),
    token,
    fetch: send,
    ask: async (...args) => {
      const response = await send(...args);
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: jsonOf(text) };
    },
    client: async (bearer, mode = 'auto') => {
      const client = new Client({ name: 'v2', version: '2' }, { versionNegotiation: { mode } });
      const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), {
        requestInit: { headers: { authorization: `Bearer ${bearer}` } },
      });
      await client.connect(transport);
      return client;
    },
    close: async () => {
      await app.close();
      await authorizationServer.close();
    },
  };
}

/** A crowded machine is no outage. */
function patient(upstreams: GatewayModuleOptions['upstreams']): GatewayModuleOptions['upstreams'] {
  const patience = { listTimeoutMs: 60_000, connectTimeoutMs: 60_000 };
  return Object.fromEntries(
    Object.entries(upstreams).map(([name, upstream]) => [name, { ...patience, ...upstream }]),
  );
}

function jsonOf(text: string): unknown {
  const data = [...text.matchAll(/^data: (.+)$/gm)].at(-1)?.[1] ?? text;
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
