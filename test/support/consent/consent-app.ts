import { All, Controller, Headers, Inject, Req, Res, UseGuards } from '@nestjs/common';
import { AuthContext, AuthplaneClient, AuthplaneGuard, AuthplaneModule } from 'authplane-nestjs';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { Calendar } from './consent-calendar.js';
import type { HostFactory, McpHost } from './consent-hosts.js';
import { ON_LOOPBACK, freePort, type Platform, startApp } from '../nest/start-app.js';

const HOST = Symbol('mcp-host');
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class ConsentController {
  constructor(@Inject(HOST) private readonly host: McpHost) {}

  @All()
  handle(
    @Req() request: PlatformRequest,
    @Res() reply: PlatformReply,
    @Headers('mcp-session-id') sessionId: string | undefined,
  ): Promise<void> {
    return serveMcp(request, reply, () => this.host(sessionId));
  }
}

/** A protected MCP server whose tools need a token for `google-cal`, which is in the vault. */
export interface ConsentServer {
  readonly mcpUrl: string;
  readonly authorizationServer: StandInAuthorizationServer;
  token(user: string): Promise<string>;
  close(): Promise<void>;
}

export interface ServerSettings {
  readonly issuer: string;
  readonly baseUrl: string;
  readonly port: number;
  readonly asCredentials: { readonly clientId: string; readonly clientSecret: string };
}

/** Starts the application on `port`, and gives a way to stop it. */
export type StartServer = (settings: ServerSettings) => Promise<() => Promise<void>>;

export async function startConsentServer(start: StartServer): Promise<ConsentServer> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const asCredentials = { clientId: 'calendar-server', clientSecret: 'secret' };
  const authorizationServer = await startAuthorizationServer({
    clients: [{ ...asCredentials, grantTypes: [TOKEN_EXCHANGE] }],
    resources: [
      {
        uri: mcpUrl,
        scopes: ['calendar:read'],
        policy: { runtimeClients: [asCredentials.clientId] },
      },
      {
        uri: 'https://calendar.example.com',
        slug: 'google-cal',
        scopes: ['calendar.read'],
        broker: { provider: 'google', expiresIn: 1 }, // too short to be kept: each call asks
      },
    ],
    fronting: [
      {
        source: mcpUrl,
        target: 'google-cal',
        scopeMap: { 'calendar:read': ['calendar.read'] },
      },
    ],
  });
  const { issuer } = authorizationServer;
  const stop = await start({ issuer, baseUrl, port, asCredentials });
  return {
    mcpUrl,
    authorizationServer,
    token: (user) =>
      authorizationServer.issueToken({ sub: user, aud: mcpUrl, scope: 'calendar:read' }),
    close: async () => {
      await stop();
      await authorizationServer.close();
    },
  };
}

/** An application of this process around a hand-wired SDK server. */
export function nestApp(platform: Platform, createHost: HostFactory): StartServer {
  return async ({ port, ...options }) => {
    const consent = { retryDelaysMs: [20, 40, 80] };
    const app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ ...options, ...ON_LOOPBACK, consent })],
        controllers: [ConsentController],
        providers: [
          {
            provide: HOST,
            inject: [AuthplaneClient, AuthContext],
            useFactory: (client: AuthplaneClient, caller: AuthContext) =>
              createHost(new Calendar(client, caller), client),
          },
        ],
      },
      { platform, port },
    );
    return () => app.close();
  };
}
