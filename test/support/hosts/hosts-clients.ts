import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { MemoryOAuthProvider } from '../../../sample-app/walk/memory-oauth-provider.js';
import type { HostServer } from './hosts-requests.js';

const CALLBACK = 'http://127.0.0.1:1/callback';

export const clients = {
  'SDK v1': connectV1,
  'SDK v2 (2025 era)': connectV2('legacy'),
  'SDK v2 (2026 era)': connectV2('auto'),
} satisfies Record<string, Connect>;
export type ClientName = keyof typeof clients;

type Connect = (mcpUrl: string, provider: MemoryOAuthProvider) => Connection;

/** One client on one transport, whatever SDK it is of. */
interface Connection {
  connect(): Promise<unknown>;
  callTool(name: string, args: Record<string, unknown>): Promise<object>;
  finishAuth(callback: URL): Promise<void>;
  close(): Promise<void>;
}

/** What a user saw and did on the way to the result. */
export interface Walk {
  /** Scopes that the client asked the authorization server for, each time. */
  readonly asked: readonly string[];
  readonly refusals: readonly unknown[];
  readonly result: object;
}

/** Connects without a token, calls a tool, and has the user approve whenever the client asks. */
export async function walk(
  client: ClientName,
  { mcpUrl, authorizationServer }: HostServer,
  tool: string,
  args: Record<string, unknown>,
): Promise<Walk> {
  const provider = new MemoryOAuthProvider(CALLBACK);
  const asked: string[] = [];
  const refusals: unknown[] = [];
  const approve = async (connection: Connection, refusal: unknown) => {
    refusals.push(refusal);
    const url = provider.authorizationUrl;
    if (url === undefined) throw new Error('the client did not ask', { cause: refusal });
    provider.authorizationUrl = undefined;
    asked.push(url.searchParams.get('scope') ?? '');
    await connection.finishAuth(await authorizationServer.approve(url, { user: 'alice' }));
  };

  const first = clients[client](mcpUrl, provider);
  const noToken = await first.connect().catch((error: unknown) => error);
  await approve(first, noToken);

  const connection = clients[client](mcpUrl, provider);
  try {
    await connection.connect();
    const noScope = await connection.callTool(tool, args).catch((error: unknown) => error);
    await approve(connection, noScope);
    const result = await connection.callTool(tool, args); // on the same connection
    return { asked, refusals, result };
  } finally {
    await connection.close();
  }
}

function connectV1(mcpUrl: string, authProvider: MemoryOAuthProvider): Connection {
  const client = new Client({ name: 'v1', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), {
    authProvider, // its types are those of v2; the shapes are the same
  });
  return {
    connect: () => client.connect(transport),
    callTool: (name, args) => client.callTool({ name, arguments: args }),
    finishAuth: ({ searchParams }) => transport.finishAuth(searchParams.get('code') ?? ''),
    close: () => client.close(),
  };
}

function connectV2(mode: 'legacy' | 'auto'): Connect {
  return (mcpUrl, authProvider) => {
    const client = new ClientV2({ name: 'v2', version: '2' }, { versionNegotiation: { mode } });
    const transport = new TransportV2(new URL(mcpUrl), { authProvider });
    return {
      connect: () => client.connect(transport),
      callTool: (name, args) => client.callTool({ name, arguments: args }),
      finishAuth: ({ searchParams }) => transport.finishAuth(searchParams),
      close: () => client.close(),
    };
  };
}
