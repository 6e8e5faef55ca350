/**
 * As the example of MCP-Nest for authorization of single tools: some are for everybody, some for who has signed in, some
 * ask for scopes or roles, by MCP-Nest's decorators and by ours.
 */
import { Controller, type INestApplication, Module, type Type, UseGuards } from '@nestjs/common';
import { Ctx } from '@nestjs/microservices';
import {
  type McpContext,
  McpController,
  McpHttpControllerFor,
  McpStrategy,
  PublicTool,
  StreamableHttpTransport,
  Tool,
  ToolRoles,
  ToolScopes,
} from '@rekog/mcp-nest';
import {
  Allow,
  type AllowRule,
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  CredentialRefusedError,
  type OtherCredentials,
  Scopes,
} from 'authplane-nestjs';
import { type Platform, startApp } from '../nest/start-app.js';
import { type Place, type Retrofitted, startRetrofit } from './attempts.js';

interface Person {
  readonly name: string;
  readonly roles: readonly string[];
}

const PEOPLE: Readonly<Record<string, Person>> = {
  alice: { name: 'Alice', roles: ['admin', 'member'] },
  bob: { name: 'Bob', roles: ['member'] },
  carol: { name: 'Carol', roles: [] },
};
const USE = 'hello:use';
const PREMIUM = 'hello:premium';

/** Keys of its own may do everything that a person may. */
const otherCredentials: OtherCredentials = ({ headers }) => {
  const key = headers['x-api-key'];
  if (typeof key !== 'string') return undefined;
  if (!key.startsWith('key-')) throw new CredentialRefusedError('no such key');
  return { method: 'api_key', sub: key.slice('key-'.length), scopes: [USE, PREMIUM] };
};

const isMember: AllowRule<Person> = ({ user }) => user.roles.includes('member');

@McpController()
class GreetingTools {
  constructor(private readonly caller: AuthContext<Person>) {}

  @Tool({ name: 'hello', description: 'For everybody' })
  @PublicTool()
  hello(@Ctx() context: McpContext) {
    return `hello ${nameIn(context) ?? 'you'}`;
  }

  @Tool({ name: 'hello_again', description: 'For who has signed in' })
  @Scopes(USE)
  again(@Ctx() context: McpContext) {
    return `hello again ${nameIn(context)}, ${this.caller.user.name}`;
  }

  @Tool({ name: 'hello_premium', description: 'With a scope, asked for by MCP-Nest' })
  @ToolScopes([PREMIUM])
  premium(@Ctx() context: McpContext) {
    return `a premium hello ${nameIn(context)}`;
  }

  @Tool({ name: 'hello_admin', description: 'With a role, asked for by MCP-Nest' })
  @Scopes(USE)
  @ToolRoles(['admin'])
  admin(@Ctx() context: McpContext) {
    return `hello admin ${nameIn(context)}`;
  }

  @Tool({ name: 'hello_member', description: 'With a role, asked for by a rule' })
  @Allow(isMember)
  member(@Ctx() context: McpContext) {
    return `hello member ${nameIn(context)}`;
  }
}

function nameIn(context: McpContext): string | undefined {
  return context.getRawRequest<{ user?: Person }>()?.user?.name;
}

export const startGreetings = (platform: Platform): Promise<Retrofitted> =>
  startRetrofit((place) => {
    const transport = new StreamableHttpTransport({ statefulMode: false });
    const strategy = new McpStrategy({
      name: 'greetings',
      version: '1',
      transports: [transport],
      allowUnauthenticatedAccess: true,
    });
    const configure = async (app: INestApplication) => {
      app.connectMicroservice({ strategy });
      await app.startAllMicroservices();
    };
    return startApp(
      { imports: [moduleAt(place, transport)] },
      { platform, port: place.port, configure },
    );
  });

function moduleAt({ origin, issuer }: Place, transport: StreamableHttpTransport): Type {
  @Controller('greetings/mcp')
  @UseGuards(AuthplaneGuard)
  class HttpController extends McpHttpControllerFor(transport) {}

  @Module({
    imports: [
      AuthplaneModule.forRoot({
        issuer,
        baseUrl: origin,
        mcpPath: '/greetings/mcp',
        devMode: true,
        scopes: [USE, PREMIUM],
        mcp: { authentication: 'when-needed' },
        otherCredentials,
        user: ({ sub }) => PEOPLE[sub] ?? null,
      }),
    ],
    controllers: [HttpController, GreetingTools],
  })
  class GreetingsModule {}
  return GreetingsModule;
}
