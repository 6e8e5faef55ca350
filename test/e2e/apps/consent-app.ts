import type { IncomingMessage, ServerResponse } from 'node:http';
import { All, Controller, Inject, Req, Res, UseGuards } from '@nestjs/common';
import { AuthContext, AuthplaneClient, AuthplaneGuard, AuthplaneModule } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { Calendar } from './consent-calendar.js';
import type { HostFactory, McpHost } from './consent-hosts.js';
import { startVault, type Vault } from './consent-vault.js';
import { freePort, type Platform, startApp } from './start-app.js';

const HOST = Symbol('mcp-host');

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class ConsentController {
  constructor(@Inject(HOST) private readonly host: McpHost) {}

  @All()
  async handle(
    @Req() request: IncomingMessage & { raw?: IncomingMessage; body?: unknown },
    @Res() reply: ServerResponse & { raw?: ServerResponse; hijack?(): void },
  ): Promise<void> {
    reply.hijack?.(); // Fastify: the transport answers, not the framework
    await this.host(request.raw ?? request, reply.raw ?? reply, request.body);
  }
}

/** A protected MCP server whose tools need the user's consent at the vault. */
export interface ConsentServer {
  readonly mcpUrl: string;
  readonly issuer: string;
  readonly vault: Vault;
  token(user: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts the application on `port`. The application gets its settings and gives a way to stop it. */
export type StartServer = (settings: {
  readonly issuer: string;
  readonly baseUrl: string;
  readonly port: number;
  readonly vaultUrl: string;
}) => Promise<() => Promise<void>>;

export async function startConsentServer(start: StartServer): Promise<ConsentServer> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const authorizationServer: StandInAuthorizationServer = await startAuthorizationServer({
    resources: [{ uri: mcpUrl, scopes: ['calendar:read'] }],
  });
  const { issuer } = authorizationServer;
  const vault = await startVault(issuer);
  const stop = await start({ issuer, baseUrl, port, vaultUrl: vault.url });
  return {
    mcpUrl,
    issuer,
    vault,
    token: (user) =>
      authorizationServer.issueToken({ sub: user, aud: mcpUrl, scope: 'calendar:read' }),
    close: async () => {
      await stop();
      await vault.close();
      await authorizationServer.close();
    },
  };
}

/** An application of this process around a hand-wired SDK server. */
export function nestApp(platform: Platform, createHost: HostFactory): StartServer {
  return async ({ issuer, baseUrl, port, vaultUrl }) => {
    const app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ issuer, baseUrl, devMode: true })],
        controllers: [ConsentController],
        providers: [
          {
            provide: HOST,
            inject: [AuthContext, AuthplaneClient],
            useFactory: (caller: AuthContext, client: AuthplaneClient) =>
              createHost(new Calendar(caller, vaultUrl), {
                issuer: client.issuer,
                devMode: true,
                retryDelaysMs: [20, 40, 80],
              }),
          },
        ],
      },
      { platform, port },
    );
    return () => app.close();
  };
}
