/**
 * As Twenty serves MCP: every workspace has a host name of its own, and some bring theirs; the controller has a filter
 * that catches everything; keys and people's sessions are tokens that the application signs for a workspace.
 */
import {
  type ArgumentsHost,
  Body,
  Catch,
  Controller,
  type ExceptionFilter,
  HttpCode,
  HttpException,
  Post,
  Req,
  type Type,
  Module,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  type CallerPlace,
  CredentialRefusedError,
  type OtherCredentials,
} from 'authplane-nestjs';
import { type Platform, startApp } from '../nest/start-app.js';
import { type Place, type Retrofitted, startRetrofit } from './attempts.js';
import { bearerOf, ownToken, readOwnToken } from './own-tokens.js';

/** By host name: one below the name of the product, one of a customer. */
const WORKSPACES: ReadonlyMap<string, string> = new Map([
  ['127.0.0.1', 'acme'],
  ['localhost', 'globex'],
]);

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  acme: ['alice', 'key-1'],
  globex: ['alice', 'bob'],
};

const RECORDS_READ = 'records:read';
const RECORDS_WRITE = 'records:write';

interface Member {
  readonly workspace: string;
  readonly sub: string;
}

function workspaceAt({ resource }: CallerPlace): string | undefined {
  return WORKSPACES.get(new URL(resource.uri).hostname);
}

/** A key of a workspace, as the application has signed it. */
export const apiKey = (workspace: string, id = 'key-1'): string =>
  ownToken({ type: 'API_KEY', sub: id, workspace });

const otherCredentials: OtherCredentials = ({ headers }, place) => {
  const claims = readOwnToken(bearerOf(headers.authorization));
  if (claims === undefined) return undefined;
  const { sub, type, workspace } = claims;
  if (workspace !== workspaceAt(place)) throw new CredentialRefusedError('of another workspace');
  return {
    method: type === 'API_KEY' ? 'api_key' : 'session',
    sub: String(sub),
    scopes: [RECORDS_READ],
    from: 'authorization',
  };
};

/** Knows what Nest throws, and answers all else with 500. */
@Catch()
class RestFilter implements ExceptionFilter {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const status = thrown instanceof HttpException ? thrown.getStatus() : 500;
    const messages = [thrown instanceof Error ? thrown.message : 'unknown'];
    const response: unknown = host.switchToHttp().getResponse();
    this.adapterHost.httpAdapter.reply(response, { statusCode: status, messages }, status);
  }
}

interface Message {
  readonly id?: number;
  readonly method: string;
  readonly params?: { readonly name?: string };
}

@Controller('mcp')
@UseGuards(AuthplaneGuard)
@UseFilters(RestFilter)
class McpController {
  constructor(private readonly caller: AuthContext<Member>) {}

  @Post()
  @HttpCode(200)
  handle(@Body() { id, method, params }: Message, @Req() { user }: { readonly user?: Member }) {
    if (id === undefined) return undefined;
    const results: Readonly<Record<string, object>> = {
      initialize: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'records', version: '1' },
      },
      'tools/list': {
        tools: ['find', 'create'].map((name) => ({ name, inputSchema: { type: 'object' } })),
      },
      'tools/call': {
        content: [
          { type: 'text', text: `${params?.name}: ${user?.sub} in ${this.caller.user.workspace}` },
        ],
      },
    };
    const result = results[method];
    const error = { code: -32601, message: 'Method not found' };
    return result === undefined ? { jsonrpc: '2.0', id, error } : { jsonrpc: '2.0', id, result };
  }
}

export const startWorkspaces = (platform: Platform): Promise<Retrofitted> =>
  startRetrofit((place) =>
    startApp({ imports: [moduleAt(place)] }, { platform, port: place.port }),
  );

function moduleAt({ port, issuer }: Place): Type {
  @Module({
    imports: [
      AuthplaneModule.forRoot({
        issuer,
        baseUrl: (host) => (WORKSPACES.has(host) ? `http://${host}:${port}` : undefined),
        devMode: true,
        scopes: [RECORDS_READ],
        mcp: { tools: { find: [RECORDS_READ], create: [RECORDS_WRITE] } },
        otherCredentials,
        user: ({ sub }, place): Member | null => {
          const workspace = workspaceAt(place) ?? '';
          return MEMBERS[workspace]?.includes(sub) === true ? { workspace, sub } : null;
        },
      }),
    ],
    controllers: [McpController],
  })
  class AppModule {}
  return AppModule;
}
