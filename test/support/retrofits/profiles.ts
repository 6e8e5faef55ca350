/**
 * As local-mcp-gateway serves MCP: one URL for each profile of an organisation, below the prefix of the application, by
 * a controller that writes its few methods of JSON-RPC itself; a guard that asks for membership reads `request.user`,
 * and the library for sessions is mounted at `/.well-known`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  HttpCode,
  type INestApplication,
  Injectable,
  type MessageEvent,
  Module,
  Param,
  Post,
  Req,
  Sse,
  type Type,
  UseGuards,
} from '@nestjs/common';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  CredentialRefusedError,
  type OtherCredentials,
} from 'authplane-nestjs';
import { concat, NEVER, type Observable, of } from 'rxjs';
import { type Platform, startApp } from '../nest/start-app.js';
import { type Place, type Retrofitted, startRetrofit } from './attempts.js';
import { bearerOf, cookieOf } from './own-tokens.js';

interface Row {
  readonly id: number;
  readonly organisations: readonly string[];
}

const ROWS: Readonly<Record<string, Row>> = {
  alice: { id: 1, organisations: ['acme', 'globex'] },
  bob: { id: 2, organisations: ['globex'] },
};

const PROFILES: ReadonlySet<string> = new Set(['acme/dev', 'acme/ops', 'globex/dev']);
const TOOLS_USE = 'tools:use';
const TOOLS_ADMIN = 'tools:admin';

/** Whose tokens were not taken back. */
const TOKENS_OF: ReadonlySet<string> = new Set(['alice', 'bob', 'gone']);

/** Opaque tokens of its own in a table, and the cookie of its pages. */
const otherCredentials: OtherCredentials = ({ headers }) => {
  const token = bearerOf(headers.authorization);
  if (token?.startsWith('lmg_') === true) {
    const sub = token.slice('lmg_'.length);
    if (!TOKENS_OF.has(sub)) throw new CredentialRefusedError('no such token');
    return { method: 'mcp_token', sub, scopes: [TOOLS_USE], from: 'authorization' };
  }
  const session = cookieOf(headers.cookie, 'better-auth.session_token');
  if (session === undefined || session === 'ended') return undefined;
  return { method: 'session', sub: session, scopes: [TOOLS_USE, TOOLS_ADMIN], from: 'ambient' };
};

interface AskedRequest {
  readonly user?: Row;
  readonly params: Readonly<Record<'org' | 'profile', string>>;
}

/** Its own, as it was: whoever is no member of the organisation in the path goes away. */
@Injectable()
class MembershipGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { user, params } = context.switchToHttp().getRequest<AskedRequest>();
    if (user?.organisations.includes(params.org) === true) return true;
    throw new ForbiddenException('You are no member of this organisation');
  }
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly name?: string };
}

@Controller('mcp/:org/:profile')
@UseGuards(AuthplaneGuard, MembershipGuard)
class ProfileController {
  constructor(private readonly caller: AuthContext<Row>) {}

  @Post()
  @HttpCode(200)
  post(@Body() { id, method = '', params }: Message, @Req() { user }: AskedRequest) {
    if (id === undefined) return undefined;
    const { uri } = this.caller.resource;
    const results: Readonly<Record<string, object>> = {
      initialize: {
        protocolVersion: '2025-03-26',
        capabilities: { tools: {} },
        serverInfo: { name: uri, version: '1' },
      },
      ping: {},
      'tools/list': {
        tools: ['run', 'reset'].map((name) => ({ name, inputSchema: { type: 'object' } })),
      },
      'tools/call': {
        content: [
          {
            type: 'text',
            text: `${params?.name} for ${user?.id} (${this.caller.user.id}) at ${new URL(uri).pathname}`,
          },
        ],
      },
    };
    const result = results[method];
    const error = { code: -32601, message: `Method not found: ${method}` };
    return result === undefined ? { jsonrpc: '2.0', id, error } : { jsonrpc: '2.0', id, result };
  }

  @Sse('events')
  events(@Param('profile') profile: string): Observable<MessageEvent> {
    return concat(of({ data: `changes of ${profile}` }), NEVER);
  }
}

/** Documents of the library for sessions. It used to answer 404 to all else there, which hid those of the resources. */
function mountWellKnown(app: INestApplication): void {
  const answer = (request: IncomingMessage, response: ServerResponse, next: () => void) => {
    if (request.url?.endsWith('openid-configuration') !== true) return next();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"issuer":"of the sessions"}');
  };
  app.use('/.well-known', answer);
}

function configure(app: INestApplication): void {
  app.setGlobalPrefix('api');
  mountWellKnown(app);
}

export const startProfiles = (platform: Platform): Promise<Retrofitted> =>
  startRetrofit((place) =>
    startApp({ imports: [moduleAt(place)] }, { platform, port: place.port, configure }),
  );

function moduleAt({ origin, issuer }: Place): Type {
  @Module({
    imports: [
      AuthplaneModule.forRoot({
        issuer,
        baseUrl: origin,
        mcpPath: '/api/mcp/:org/:profile',
        isResource: ({ org, profile }) => PROFILES.has(`${org}/${profile}`),
        devMode: true,
        scopes: [TOOLS_USE],
        mcp: { tools: { run: [TOOLS_USE], reset: [TOOLS_ADMIN] } },
        otherCredentials,
        user: ({ sub }) => ROWS[sub] ?? null,
      }),
    ],
    controllers: [ProfileController],
  })
  class AppModule {}
  return AppModule;
}
