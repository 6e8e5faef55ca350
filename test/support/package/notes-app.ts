import type { INestApplication, Type } from '@nestjs/common';
import { AuthplaneModule } from 'authplane-nestjs';
import {
  startAuthorizationServer,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';
import type { FastifyInstance } from 'fastify';
import { McpController, mcp, NotesServer } from '../hosts/hosts-sdk-v2.js';
import { SCOPES } from '../hosts/hosts-suite.js';
import { freePort, type Platform, startApp } from '../nest/start-app.js';

/** A guarded server for clients that somebody else has written, and its authorization server. */
export interface NotesApp {
  readonly mcpUrl: string;
  readonly authorizationServer: StandInAuthorizationServer;
  close(): Promise<void>;
}

export interface NotesAppOptions {
  readonly platform: Platform;
  readonly controller?: Type;
  readonly server?: Type;
  readonly configure?: (app: INestApplication) => void;
}

export async function startNotesApp(options: NotesAppOptions): Promise<NotesApp> {
  const { platform, controller = McpController, server = NotesServer, configure } = options;
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const authorizationServer = await startAuthorizationServer({
    autoApprove: 'alice',
    resources: [{ uri: mcpUrl, scopes: SCOPES }],
  });
  const { issuer } = authorizationServer;
  const app = await startApp(
    {
      imports: [
        AuthplaneModule.forRoot({
          ...{ issuer, baseUrl, devMode: true, scopes: SCOPES, mcp },
          selfCheck: false, // its requests are none of a client
        }),
      ],
      controllers: [controller],
      providers: [{ provide: NotesServer, useClass: server }],
    },
    { platform, port, ...(configure && { configure }) },
  );
  return {
    mcpUrl,
    authorizationServer,
    close: async () => {
      await app.close();
      await authorizationServer.close();
    },
  };
}

/** Sends the OAuth object in place of the JSON-RPC error that has it, as servers without our form do. */
export function sendPlainRefusals(app: INestApplication): void {
  fastifyOf(app).addHook('onSend', (_request, reply, payload, done) => {
    const plain = reply.statusCode >= 400 ? objectOfRefusal(payload) : undefined;
    if (plain === undefined) return done(null, payload);
    void reply.header('content-length', Buffer.byteLength(plain));
    done(null, plain);
  });
}

function objectOfRefusal(payload: unknown): string | undefined {
  if (typeof payload !== 'string' || !payload.startsWith('{"jsonrpc"')) return undefined;
  const { error } = JSON.parse(payload) as { error?: { data?: object } };
  return error?.data && JSON.stringify(error.data);
}

/** Notes each request with the status of its answer. */
export function recordRequests(app: INestApplication, record: (line: string) => void): void {
  fastifyOf(app).addHook('onRequest', ({ method, url }, { raw }, done) => {
    raw.once('finish', () => record(`${method} ${url} ${raw.statusCode}`));
    done();
  });
}

function fastifyOf(app: INestApplication): FastifyInstance {
  return app.getHttpAdapter().getInstance() as FastifyInstance;
}
