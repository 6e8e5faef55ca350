import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  Controller,
  type DynamicModule,
  Get,
  Injectable,
  Logger,
  Post,
  Req,
  SetMetadata,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, ExternalContextCreator } from '@nestjs/core';
import {
  AnyScope,
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  AuthplaneResource,
  Claims,
  ConfigurationError,
  InsufficientScopeError,
  McpEndpoint,
  Public,
  Scopes,
  TokenMissingError,
  UseResource,
  type VerifiedClaims,
} from 'authplane-nestjs';
import type { Authentication } from '../../src/core/resource.js';
import { requestState } from '../../src/nest/request.js';
import { platforms } from '../e2e/apps/start-app.js';
import { call, type McpApp, type McpAppOptions, request, startMcpApp } from './mcp-app.js';

// What MCP-Nest's decorators leave on a method; the package itself does not load in Jest.
const Tool = (name?: string) => SetMetadata('mcp:tool', { ...(name ? { name } : {}) });
const Prompt = (name?: string) => SetMetadata('mcp:prompt', { ...(name ? { name } : {}) });
const Resource = (uri: string) => SetMetadata('mcp:resource', { uri });
const Template = (uriTemplate: string) => SetMetadata('mcp:resource-template', { uriTemplate });

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
let warn: jest.SpiedFunction<Logger['warn']>;

beforeEach(() => {
  warn = jest.spyOn(Logger.prototype, 'warn');
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  jest.restoreAllMocks();
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

describe('what is reported at start', () => {
  const warnings = () => warn.mock.calls.map(([message]) => String(message));
  const startWith = (options: Partial<McpAppOptions> = {}) =>
    start({
      platform: 'express',
      ...options,
      options: { scopes: ['of:class', 'known'], ...options.options },
    });

  it('nothing but the development mode for a protected server', async () => {
    await startWith({ mcp: { tools: { read: ['known'] } } });
    expect(warnings()).toEqual([expect.stringContaining('devMode')]);
  });

  it('an MCP endpoint without a guard, by path or by mark', async () => {
    @Controller('mcp')
    class OpenController {
      @Post()
      open() {
        return 'open';
      }
    }
    @Controller('elsewhere')
    @McpEndpoint()
    class MarkedController extends OpenController {}
    @Controller('other')
    @McpEndpoint()
    @Public()
    class PublicController extends OpenController {}
    const controllers = [MarkedController, PublicController];
    await startWith({ controller: OpenController, metadata: { controllers } });
    const found = warnings().filter((warning) => warning.includes('no AuthplaneGuard protects'));
    expect(found).toHaveLength(2);
    expect(found[0]).toContain('OpenController.open');
    expect(found[1]).toContain('MarkedController.open');
  });

  it('is silent about endpoints under a global guard', async () => {
    @Controller('mcp')
    class BareController {
      @Post()
      post() {
        return 'guarded';
      }
    }
    const provider = { provide: APP_GUARD, useClass: AuthplaneGuard };
    await startWith({ controller: BareController, options: { guard: 'global' } });
    await server?.close();
    await startWith({ controller: BareController, metadata: { providers: [provider] } });
    expect(warnings().join()).not.toContain('no AuthplaneGuard');
  });

  it('MCP-Nest whose transport is no route, although its tools need no scopes', async () => {
    class Open {
      @Tool('open')
      open() {
        return 'anybody';
      }
    }
    @Controller('else')
    class ElseController {
      @Get()
      get() {
        return 1;
      }
    }
    const metadata = { providers: [Open] };
    await startWith({ controller: ElseController, metadata, options: { guard: 'global' } });
    expect(warnings().join()).toContain('a transport that MCP-Nest mounts by itself has no guard');
    await server?.close();
    warn.mockClear();

    await startWith({ metadata });
    expect(warnings().join()).not.toContain('MCP-Nest');
  });

  describe('MCP-Nest 1, which makes its controllers', () => {
    /** What `McpModule.forRoot` returns, with its transports on any path. */
    const mcpNest1 = (...guards: Type[]): DynamicModule => {
      class McpModule {}
      class SseController {
        messages() {
          return 'posted';
        }
      }
      const { messages } = Object.getOwnPropertyDescriptors(SseController.prototype);
      Post('elsewhere/messages')(SseController.prototype, 'messages', messages);
      UseGuards(...guards)(SseController.prototype, 'messages', messages);
      Controller()(SseController);
      const providers = [{ provide: 'MCP_MODULE_ID', useValue: 'mcp-module-0' }];
      return { module: McpModule, controllers: [SseController], providers };
    };
    @Controller('else')
    class ElseController {
      @Get()
      get() {
        return 1;
      }
    }
    const startMcpNest1 = (imports: DynamicModule[], options = {}) =>
      startWith({
        controller: ElseController,
        metadata: { imports, providers: [Tools] },
        options: { scopes: SCOPES, ...options },
      });
    const SCOPES = 'of:class tool:named tool:a tool:b prompt:read notes:read files:read'.split(' ');

    it('says nothing when they are guarded, by its option or globally', async () => {
      await startMcpNest1([mcpNest1(AuthplaneGuard)]);
      expect(warnings()).toEqual([expect.stringContaining('devMode')]);
      await server?.close();
      warn.mockClear();
      await startMcpNest1([mcpNest1()], { guard: 'global' });
      expect(warnings()).toEqual([expect.stringContaining('devMode')]);
    });

    it('names them, and its option, when they are not', async () => {
      await startMcpNest1([mcpNest1()]);
      expect(warnings().join('\n')).toContain(
        'SseController.messages is an MCP endpoint that no AuthplaneGuard protects: anybody may call it. ' +
          'Add McpModule.forRoot({ guards: [AuthplaneGuard] })',
      );
    });

    it('says that nothing is guarded when it has made none', async () => {
      await startMcpNest1([{ ...mcpNest1(AuthplaneGuard), controllers: [] }]);
      expect(warnings().join()).toContain(
        'a transport that MCP-Nest mounts by itself has no guard',
      );
    });
  });

  it('scopes of tools that no guarded endpoint checks', async () => {
    @Controller('else')
    class ElseController {
      @Get()
      get() {
        return 1;
      }
    }
    await startWith({ controller: ElseController, mcp: { tools: { read: ['known'] } } });
    expect(warnings().join()).toContain('their scopes are not checked');
    await server?.close();
    warn.mockClear();

    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    @Public()
    class PublicMcpController {
      @Post()
      post() {
        return 1;
      }
    }
    await startWith({ controller: PublicMcpController, mcp: { tools: { read: ['known'] } } });
    expect(warnings().join()).toContain('PublicMcpController.post is @Public()');
  });

  it('rules of a further resource that has no guarded endpoint', async () => {
    const resource = 'http://127.0.0.1:1/admin/mcp';
    const mcp = { tools: { drop: ['admin'] } };
    const feature = { name: 'admin', resource, scopes: ['admin'], mcp };
    await startWith({ metadata: { imports: [AuthplaneModule.forFeature(feature)] } });
    expect(warnings().join()).toContain(`no guarded controller serves the path of ${resource}`);
  });

  it('a scope that only another resource advertises', async () => {
    const resource = 'http://127.0.0.1:1/admin/mcp';
    const feature = { name: 'admin', resource, scopes: ['known'] };
    @Controller('admin')
    @UseGuards(AuthplaneGuard)
    @UseResource('admin')
    @Scopes('of:class')
    class AdminController {
      @Get()
      get() {
        return 1;
      }
    }
    const imports = [AuthplaneModule.forFeature(feature)];
    await startWith({ metadata: { imports, controllers: [AdminController] } });
    expect(warnings().join()).toContain(`not in the option scopes of ${resource}: of:class.`);
  });

  it('@Scopes on routes that no guard protects', async () => {
    @Controller('open')
    class OpenController {
      @Get()
      @Scopes('known')
      get() {
        return 'anybody';
      }

      @Get('guarded')
      @UseGuards(AuthplaneGuard)
      @Scopes('known')
      guarded() {
        return 'not everybody';
      }
    }
    await startWith({ metadata: { controllers: [OpenController] } });
    const found = warnings().filter((warning) => warning.includes('no AuthplaneGuard guards it'));
    expect(found).toEqual([expect.stringContaining('@Scopes on OpenController.get protects')]);
  });

  it('@Scopes on a class of which nothing is called', async () => {
    @Injectable()
    @Scopes('known')
    class IdleService {
      work() {
        return 1;
      }
    }
    await startWith({ metadata: { providers: [IdleService] } });
    expect(warnings().join()).toContain('@Scopes on IdleService protects nothing');
  });

  it('@Scopes where nothing calls', async () => {
    @Injectable()
    class Service {
      @Scopes('known')
      work() {
        return 'done';
      }
    }
    await startWith({ metadata: { providers: [Service] } });
    expect(warnings().join()).toContain('@Scopes on Service.work protects nothing');
  });

  it('scopes that are required and not advertised', async () => {
    await startWith({
      metadata: { providers: [Tools] },
      mcp: { prompts: { p: { any: ['known', 'any:one'] } } },
    });
    expect(warnings().join()).toContain(
      '/mcp: tool:named tool:a tool:b prompt:read notes:read files:read any:one. Clients learn',
    );
  });

  it('entries that are there twice, or for nothing', async () => {
    @Injectable()
    class MoreTools {
      @Tool('named')
      @Scopes('known')
      again() {
        return 1;
      }
    }
    await startWith({
      metadata: { providers: [Tools, MoreTools] },
      mcp: { tools: { named: ['known'], nmaed: ['known'] } },
    });
    const all = warnings().join('\n');
    expect(all).toContain('the tool "named" is declared by Tools.run and MoreTools.again');
    expect(all).toContain('mcp: tool "named" also has scopes at Tools.run');
    expect(all).toContain('no decorated method is the tool "nmaed"');
  });

  it('a route on the path of a named resource that takes tokens of another', async () => {
    const { AuthplaneModule } = await import('authplane-nestjs');
    @Controller('admin/mcp')
    @UseGuards(AuthplaneGuard)
    class AdminController {
      @Post()
      post() {
        return 1;
      }
    }
    const resource = 'http://127.0.0.1:3000/admin/mcp';
    const imports = [AuthplaneModule.forFeature({ name: 'admin', resource })];
    await startWith({ metadata: { imports, controllers: [AdminController] } });
    expect(warnings().join()).toContain('add @UseResource("admin")');
    await server?.close();
    warn.mockClear();
    UseResource('admin')(AdminController);
    await startWith({ metadata: { imports, controllers: [AdminController] } });
    expect(warnings().join()).not.toContain('@UseResource');
  });

  it('decorators with mistakes throw', () => {
    expect(() => Scopes({ list: 'hide' })).toThrow(ConfigurationError);
    expect(() => Scopes('a', { list: 'filter' as 'hide' })).toThrow(/'show' or 'hide'/);
    expect(() => AnyScope('a b', { list: 'show' })).toThrow(/not a scope/);
  });
});
