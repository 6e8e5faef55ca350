import { afterEach, describe, expect, it, test, vi } from 'vitest';
import { Controller, Injectable, Module, Post, Req, Scope, UseGuards } from '@nestjs/common';
import {
  DiscoveryModule,
  DiscoveryService,
  ExternalContextCreator,
  NestFactory,
} from '@nestjs/core';
import {
  AnyScope,
  AuthContext,
  AuthplaneGuard,
  AuthplaneResource,
  Claims,
  ConfigurationError,
  InsufficientScopeError,
  Scopes,
  TokenMissingError,
  type VerifiedClaims,
} from 'authplane-nestjs';
import type { Authentication } from '../../../../src/core/token/caller.js';
import { knownClasses } from '../../../../src/nest/mcp/hosts/mcp-discovery.js';
import { requestState } from '../../../../src/nest/http/request.js';
import { platforms } from '../../../support/nest/start-app.js';
import {
  call,
  type McpApp,
  type McpAppOptions,
  request,
  startMcpApp,
} from '../../../support/nest/mcp-app.js';
import { Prompt, Resource, Template, Tool } from '../../../support/nest/mcp-nest-decorators.js';

@Injectable()
@Scopes('of:class')
class Tools {
  constructor(private readonly caller: AuthContext) {}

  @Tool('named')
  @Scopes('tool:named')
  run(@Claims() claims: VerifiedClaims) {
    return { fromClaims: claims.sub, fromContext: this.caller.claims.sub };
  }

  @AnyScope('tool:a', 'tool:b')
  @Tool()
  unnamed() {
    return 'ran';
  }

  @Prompt()
  @Scopes('prompt:read')
  greet() {
    return 'hello';
  }

  @Resource('mcp://notes/today')
  @Scopes('notes:read')
  today() {
    return 'note';
  }

  @Template('mcp://files/{path*}')
  @Scopes('files:read')
  file() {
    return 'file';
  }
}

@Injectable()
class InheritedTools extends Tools {
  @Tool('hidden')
  @Scopes('tool:hidden', { list: 'hide' })
  hidden() {
    return 'never';
  }
}

/** Only with its own class guard, so that both layers are seen. */
@Injectable()
@UseGuards(AuthplaneGuard)
@Scopes('of:class')
class Dispatched {
  constructor(private readonly caller: AuthContext) {}

  @Scopes('tool:named')
  run(@Claims() claims: VerifiedClaims) {
    return { fromClaims: claims.sub, fromContext: this.caller.claims.sub };
  }
}

/** Runs what is dispatched, as MCP-Nest 2 does: in an RPC context that knows Node's request. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
class DispatchingController {
  constructor(
    private readonly contexts: ExternalContextCreator,
    private readonly tools: Dispatched,
  ) {}

  @Post()
  async dispatch(@Req() request: { raw?: object }) {
    return this.run(request.raw ?? request);
  }

  run(rawRequest: unknown): Promise<unknown> {
    const run = this.contexts.create(
      this.tools,
      this.tools.run as () => unknown, // as it is: decorators are read from it
      'run',
      '__routeArguments__',
      { exchangeKeyForValue: () => undefined },
      undefined,
      undefined,
      { guards: true, filters: false, interceptors: true },
      'rpc',
    ) as (...args: unknown[]) => Promise<unknown>;
    return run({}, { getRawRequest: () => rawRequest });
  }
}

let server: McpApp | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
  vi.restoreAllMocks();
});

async function start(options: McpAppOptions): Promise<McpApp> {
  server = await startMcpApp(options);
  return server;
}

describe.each(platforms)('decorated operations on %s', (platform) => {
  const refusal = async (method: string, params: object, scope = '') => {
    const { status, json } = await server!.post(request(method, params), { scope });
    return status === 403 ? String(json.scope) : status;
  };

  it('class and method add up, names default to the method, base classes count', async () => {
    await start({ platform, metadata: { providers: [InheritedTools] } });
    expect(await refusal('tools/call', { name: 'named' })).toBe('of:class tool:named');
    expect(await refusal('tools/call', { name: 'unnamed' })).toBe('of:class tool:a');
    expect(await refusal('tools/call', { name: 'unnamed' }, 'of:class tool:b')).toBe(200);
    expect(await refusal('prompts/get', { name: 'greet' })).toBe('of:class prompt:read');
    expect(await refusal('tools/call', { name: 'hidden' })).toBe(200);
  });

  it('list: the decorator wins over the options, that of the method over that of the class', async () => {
    @Scopes('of:class', { list: 'hide' })
    class Mixed {
      @Tool('ofClass')
      ofClass() {}

      @Tool('shown')
      @Scopes('x', { list: 'show' })
      shown() {}

      @Tool('ofOptions')
      @Scopes('x', { list: 'show' })
      ofOptions() {}
    }
    @Scopes('of:class')
    class Silent {
      @Tool('silent')
      silent() {}
    }
    const listOf = async (list: 'show' | 'hide') => {
      await start({
        platform,
        metadata: { providers: [Mixed, Silent] },
        mcp: { list, tools: { ofOptions: ['y'] } },
      });
      const names = ['ofClass', 'shown', 'ofOptions', 'silent'];
      const found = [];
      for (const name of names) found.push(await refusal('tools/call', { name }));
      await server?.close();
      return found;
    };
    expect(await listOf('hide')).toEqual([200, 'of:class x', 'y of:class x', 200]);
    expect(await listOf('show')).toEqual([200, 'of:class x', 'y of:class x', 'of:class']);
  });

  it.each([
    'mcp://notes/today',
    'mcp://NOTES/Today',
    'mcp://notes/today/',
    'other://notes/today',
    'notes/today',
    'a://notes/today://x',
    'mcp://notes/today?x=1',
  ])("a resource of MCP-Nest, by every URI that MCP-Nest's own lookup takes: %s", async (uri) => {
    await start({ platform, metadata: { providers: [Tools] } });
    expect(await refusal('resources/read', { uri })).toBe('of:class notes:read');
    expect(await refusal('resources/read', { uri: 'x://Files/a/b.txt' })).toBe(
      'of:class files:read',
    );
  });

  it('adds up with the options', async () => {
    await start({
      platform,
      metadata: { providers: [Tools] },
      mcp: { tools: { named: ['of:option'] } },
    });
    expect(await refusal('tools/call', { name: 'named' })).toBe('of:option of:class tool:named');
  });

  describe('in an RPC context behind the HTTP route', () => {
    const app = () =>
      start({
        platform,
        controller: DispatchingController,
        metadata: { providers: [Dispatched] },
      });

    it('the scopes of class and method are checked for the caller of the HTTP request', async () => {
      const { post } = await app();
      expect((await post(call('x'), { scope: 'of:class' })).json.scope).toBe('of:class tool:named');
      const scope = 'of:class tool:named';
      const answer = await post(call('x'), { scope, claims: { sub: 'alice' } });
      expect(answer.json).toEqual({ fromClaims: 'alice', fromContext: 'alice' });
    });

    it('a message that no guarded HTTP request stands behind is refused', async () => {
      const { app: running } = await app();
      const controller = running.app.get(DispatchingController);
      await expect(controller.run({ headers: {} })).rejects.toThrow(TokenMissingError);
      await expect(controller.run(undefined)).rejects.toMatchObject({ status: 403 });
    });
  });

  it('judges the caller of the message, not of a later request of the same session', async () => {
    const { app: running } = await start({
      platform,
      controller: DispatchingController,
      metadata: { providers: [Dispatched] },
    });
    const callerWith = (...scopes: string[]) =>
      ({ claims: { sub: 'alice', scopes } }) as unknown as Authentication;
    const later = {};
    Object.assign(requestState(later), {
      current: callerWith('of:class', 'tool:named'),
      resource: running.app.get(AuthplaneResource),
    });
    const controller = running.app.get(DispatchingController);
    const message = running.app
      .get(AuthContext)
      .run(callerWith('of:class'), () => controller.run(later));
    await expect(message).rejects.toThrow(InsufficientScopeError);
  });

  it('concurrent messages have their own callers', async () => {
    const { post } = await start({
      platform,
      controller: DispatchingController,
      metadata: { providers: [Dispatched] },
    });
    const scope = 'of:class tool:named';
    const names = ['alice', 'bob', 'carol', 'dave'];
    const answers = await Promise.all(
      names.map(async (sub) => (await post(call('x'), { scope, claims: { sub } })).json),
    );
    expect(answers).toEqual(names.map((name) => ({ fromClaims: name, fromContext: name })));
  });
});

test('decorators with mistakes throw', () => {
  expect(() => Scopes({ list: 'hide' })).toThrow(ConfigurationError);
  expect(() => Scopes('a', { list: 'filter' as 'hide' })).toThrow(/'show' or 'hide'/);
  expect(() => AnyScope('a b', { list: 'show' })).toThrow(/not a scope/);
});

describe('knownClasses', () => {
  @Controller()
  class Site {}
  @Injectable()
  class Plain {
    run() {
      return 'ran';
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class PerRequest {}
  class Made {}
  class MadePerRequest {}
  class Given {}
  @Injectable()
  class InFeature {}
  @Module({ providers: [InFeature, Site] })
  class Feature {}
  @Module({
    imports: [DiscoveryModule, Feature],
    controllers: [Site],
    providers: [
      Plain,
      PerRequest,
      { provide: 'made', useFactory: () => new Made() },
      {
        provide: 'later',
        useFactory: () => new MadePerRequest(),
        scope: Scope.REQUEST,
      },
      { provide: 'given', useValue: new Given() },
      { provide: 'text', useValue: 'no class' },
    ],
  })
  class App {}

  it('sees controllers, providers and what factories have made, each once and where it stands', async () => {
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    const classes = knownClasses(app.get(DiscoveryService), {
      libraryOf: () => undefined,
      runsElsewhere: () => false,
    });
    await app.close();
    const own = [Site, Plain, PerRequest, Made, Given, InFeature];
    const seen = classes.filter(({ type }) => own.some((one) => one === type));
    expect(new Set(seen.map(({ type }) => type))).toEqual(new Set(own));
    expect(seen).toHaveLength(own.length);
    expect(seen.filter(({ isController }) => isController).map(({ type }) => type)).toEqual([Site]);
    const modules = new Map(seen.map(({ type, module }) => [type.name, module]));
    expect(modules.get('InFeature')).not.toBe(modules.get('Plain'));
    expect(seen.find(({ type }) => type.name === 'Plain')?.methods.map(({ name }) => name)).toEqual(
      ['run'],
    );
    expect(classes.map(({ type }) => type.name)).not.toContain('MadePerRequest'); // until it is asked for
  });
});
