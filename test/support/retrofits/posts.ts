/**
 * As Postiz serves MCP: its servers stand behind `app.use`, outside of Nest's router. Two endpoints speak OAuth, each
 * with tools of its own; two older ones take an API key, in the header or in the path, and must not be taken for
 * OAuth. Who calls is an organisation.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { type INestApplication, Injectable, Module, type Type } from '@nestjs/common';
import {
  AuthContext,
  AuthplaneMiddleware,
  AuthplaneModule,
  CredentialRefusedError,
  type OtherCredentials,
  type VerifiedClaims,
} from 'authplane-nestjs';
import { z } from 'zod';
import { type Platform, startApp } from '../nest/start-app.js';
import { type Place, type Retrofitted, startRetrofit } from './attempts.js';
import { bearerOf } from './own-tokens.js';

interface Organisation {
  readonly id: string;
  readonly apiKey: string;
  readonly posts: readonly string[];
}

/** By the subject of tokens. */
const ORGANISATIONS: Readonly<Record<string, Organisation>> = {
  alice: { id: 'acme', apiKey: 'key-acme', posts: ['acme opens'] },
  bob: { id: 'globex', apiKey: 'key-globex', posts: ['globex closes'] },
};
const POSTS_READ = 'posts:read';
const POSTS_WRITE = 'posts:write';

@Injectable()
class Organisations {
  of({ sub }: Pick<VerifiedClaims, 'sub'>): Organisation | null {
    return ORGANISATIONS[sub] ?? null;
  }

  ofKey(key: string | undefined): Organisation | undefined {
    return Object.values(ORGANISATIONS).find(({ apiKey }) => apiKey === key);
  }
}

const APP_TOKENS: ReadonlyMap<string, string> = new Map([
  ['pos_bob', 'bob'],
  ['pos_gone', 'gone'],
]);

/** Tokens that it has given to its own apps before: they go on working. */
const ownTokens: OtherCredentials = ({ headers }) => {
  const token = bearerOf(headers.authorization);
  if (token?.startsWith('pos_') !== true) return undefined;
  const sub = APP_TOKENS.get(token);
  if (sub === undefined) throw new CredentialRefusedError('no such token');
  return { method: 'app_token', sub, scopes: [POSTS_READ], from: 'authorization' };
};

type Answering = (request: Asked, response: ServerResponse) => void;
type Asked = IncomingMessage & { readonly body?: unknown };
type OrganisationOf = () => Organisation;

function reader(organisationOf: OrganisationOf): McpServer {
  const server = new McpServer({ name: 'posts', version: '1.0.0' });
  server.registerTool('list_posts', { description: 'Its posts' }, () =>
    textResult(organisationOf().posts.join()),
  );
  return server;
}

function writer(organisationOf: OrganisationOf): McpServer {
  const server = reader(organisationOf);
  const inputSchema = { text: z.string() };
  server.registerTool('schedule_post', { description: 'Later', inputSchema }, ({ text }) =>
    textResult(`${organisationOf().id} will post ${text}`),
  );
  return server;
}

function textResult(text: string) {
  return { content: [{ type: 'text' as const, text }] };
}

/** One server for each request, with the body that the platform or the middleware has parsed. */
function answering(make: () => McpServer): Answering {
  return (request, response) => {
    const serve = async () => {
      const server = make();
      const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
      response.on('close', () => void server.close());
      await server.connect(transport);
      await transport.handleRequest(request, response, request.body);
    };
    void serve();
  };
}

export const startPosts = (platform: Platform): Promise<Retrofitted> =>
  startRetrofit((place) =>
    startApp({ imports: [moduleAt(place)] }, { platform, port: place.port, configure: mountAll }),
  );

function moduleAt({ origin, issuer }: Place): Type {
  @Module({
    imports: [
      AuthplaneModule.forRootAsync({
        imports: [OrganisationsModule],
        inject: [Organisations],
        metadataRoute: 'path', // the older endpoints are found without OAuth
        useFactory: (organisations) => ({
          issuer,
          baseUrl: origin,
          mcpPath: '/mcp-oauth',
          devMode: true,
          scopes: [POSTS_READ],
          mcp: { tools: { list_posts: [POSTS_READ], schedule_post: [POSTS_WRITE] } },
          otherCredentials: ownTokens,
          user: (claims) => organisations.of(claims),
        }),
      }),
      AuthplaneModule.forFeature({
        name: 'directory',
        baseUrl: origin,
        mcpPath: '/mcp-oauth-directory',
        scopes: [POSTS_READ],
        otherCredentials: false,
        mcp: { tools: { list_posts: [POSTS_READ] } },
      }),
      OrganisationsModule,
    ],
  })
  class AppModule {}

  return AppModule;
}

@Module({ providers: [Organisations], exports: [Organisations] })
class OrganisationsModule {}

function mountAll(app: INestApplication): void {
  const authplane = app.get(AuthplaneMiddleware);
  const caller = app.get<AuthContext<Organisation>>(AuthContext);
  const organisations = app.get(Organisations);
  app.use('/mcp-oauth', authplane.for());
  app.use(
    '/mcp-oauth',
    answering(() => writer(() => caller.user)),
  );
  app.use('/mcp-oauth-directory', authplane.for({ resource: 'directory' }));
  app.use(
    '/mcp-oauth-directory',
    answering(() => reader(() => caller.user)),
  );
  app.use('/mcp', (request: Asked, response: ServerResponse) => {
    const inPath = request.url?.split('?')[0]?.replace(/^\/(?:mcp\/)?/, '');
    const organisation = organisations.ofKey(
      bearerOf(request.headers.authorization) ?? (inPath === '' ? undefined : inPath),
    );
    if (organisation === undefined) response.writeHead(401).end('{"error":"Invalid API key"}');
    else answering(() => writer(() => organisation))(request, response);
  });
}
