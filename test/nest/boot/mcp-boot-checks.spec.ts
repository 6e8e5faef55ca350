import { describe, expect, test } from 'vitest';
import {
  Controller,
  type DynamicModule,
  Get,
  Injectable,
  type OnModuleInit,
  Post,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import {
  AuthplaneGuard,
  AuthplaneModule,
  AuthplaneProtected,
  McpEndpoint,
  Public,
  Scopes,
  UseResource,
} from 'authplane-nestjs';
import { bootHarness } from '../../support/nest/boot.js';
import { boundController, Tool } from '../../support/nest/mcp-nest-decorators.js';

const { start, refusal, allowed, warnings, logged } = bootHarness();

const mcp = { tools: { read: ['known'] } };

@Controller('else')
class ElseController {
  @Get()
  get() {
    return 1;
  }
}

@Controller('else')
@UseGuards(AuthplaneGuard)
class GuardedElseController extends ElseController {}

@Controller('mcp')
class BareController {
  @Post()
  post() {
    return 'posted';
  }
}

class OpenTools {
  @Tool('open')
  open() {
    return 'anybody';
  }
}

class ScopedTools {
  @Tool('scoped')
  @Scopes('known')
  scoped() {
    return 'some';
  }
}

test('says nothing about a protected server', async () => {
  await start({ mcp });
  expect(warnings()).toEqual([]);
  expect(logged().join()).toMatch(/protecting http:\S+\/mcp with tokens of/);
});

describe('an MCP endpoint without a guard', () => {
  test('by path or by mark: a warning, and it is not called protected', async () => {
    @Controller('elsewhere')
    @McpEndpoint()
    class MarkedController extends BareController {}
    @Controller('other')
    @McpEndpoint()
    @Public()
    class PublicController extends BareController {}
    const controllers = [MarkedController, PublicController];
    await start({ controller: BareController, metadata: { controllers } });
    const found = warnings().filter((warning) => warning.includes('no AuthplaneGuard protects'));
    expect(found).toHaveLength(2);
    expect(found[0]).toContain('BareController.post');
    expect(found[1]).toContain('MarkedController.post');
    expect(logged().join()).not.toContain('protecting');
    expect(warnings().join()).toContain('NOT protected: http');
  });

  test('fails the boot where scopes are asked for', async () => {
    const options = { controller: BareController, mcp };
    expect(await refusal(options)).toContain('BareController.post is an MCP endpoint that no');
    expect(await allowed(options)).toContain('BareController.post is an MCP endpoint that no');
    expect(logged().join()).not.toContain('protecting');
  });

  test('is none under a global guard, ours or one in its place', async () => {
    await start({ controller: BareController, mcp, options: { guard: 'global' } });
    expect(warnings()).toEqual([]);
    const provider = { provide: APP_GUARD, useClass: AuthplaneGuard };
    await start({ controller: BareController, mcp, metadata: { providers: [provider] } });
    expect(warnings()).toEqual([]);
  });

  test('12.8, R10: is none behind a guard of the application that asks ours', async () => {
    @Injectable()
    class CombinedGuard {
      constructor(private readonly authplane: AuthplaneGuard) {}

      canActivate(context: never) {
        return this.authplane.canActivate(context);
      }
    }
    @Controller('mcp')
    @UseGuards(CombinedGuard)
    @Scopes('known')
    class CombinedController extends BareController {}
    const options = { controller: CombinedController, mcp };
    expect(await refusal(options)).toContain('@AuthplaneProtected()');
    AuthplaneProtected()(CombinedGuard);
    const { post } = await start(options);
    expect(warnings()).toEqual([]);
    expect((await post({}, { scope: null })).status).toBe(401);
  });
});

describe('9.6: MCP-Nest 2 that mounts its transport itself', () => {
  const metadata = { providers: [OpenTools] };
  const options = { controller: ElseController, metadata };
  const text = 'a transport that MCP-Nest mounts by itself has no guard';

  test("fails the boot under guard: 'global'", async () => {
    expect(await refusal({ ...options, options: { guard: 'global' } })).toContain(text);
    expect(await refusal({ ...options, options: { guard: 'global' } })).toContain(
      'allowUnguarded: true beside the options',
    );
  });

  test('fails the boot where scopes are declared', async () => {
    const scoped = { controller: ElseController, metadata: { providers: [ScopedTools] } };
    expect(await refusal(scoped)).toContain(text);
    expect(await refusal({ ...options, mcp })).toContain(text);
  });

  test('allowUnguarded opens it with the warning, and it is not called protected', async () => {
    expect(await allowed({ ...options, options: { guard: 'global' } })).toContain(text);
    expect(logged().join()).not.toContain('protecting');
  });

  test('a warning where nothing asks for protection; nothing where a controller has the path', async () => {
    await start(options);
    expect(warnings().join()).toContain(text);
    await start({ metadata });
    expect(warnings()).toEqual([]);
  });
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
  const with1 = (imports: DynamicModule[], options = {}) => ({
    controller: ElseController,
    metadata: { imports },
    mcp,
    options,
  });

  test('says nothing when they are guarded, by its option or globally', async () => {
    await start(with1([mcpNest1(AuthplaneGuard)]));
    expect(warnings()).toEqual([]);
    await start(with1([mcpNest1()], { guard: 'global' }));
    expect(warnings()).toEqual([]);
  });

  test('names them, and its option, when they are not', async () => {
    expect(await refusal(with1([mcpNest1()]))).toContain(
      'SseController.messages is an MCP endpoint that no AuthplaneGuard protects: anybody may call it. ' +
        'Add McpModule.forRoot({ guards: [AuthplaneGuard] })',
    );
  });

  test('says that nothing is guarded when it has made none', async () => {
    expect(await refusal(with1([{ ...mcpNest1(AuthplaneGuard), controllers: [] }]))).toContain(
      'a transport that MCP-Nest mounts by itself has no guard',
    );
  });
});

describe('scopes of tools', () => {
  test('that no guarded endpoint checks are a warning, as far as Nest can see', async () => {
    await start({ controller: ElseController, mcp });
    expect(warnings().join()).toContain('their scopes are not checked');
    await start({ controller: GuardedElseController, mcp });
    expect(warnings().join()).toContain(
      'checked only where JSON-RPC reaches another guarded route',
    );
  });

  test('at a public endpoint fail the boot', async () => {
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    @Public()
    class PublicMcpController extends BareController {}
    expect(await refusal({ controller: PublicMcpController, mcp })).toContain(
      'PublicMcpController.post is @Public()',
    );
  });

  test('of a further resource that has no guarded endpoint are a warning', async () => {
    const resource = 'http://127.0.0.1:1/admin/mcp';
    const feature = {
      name: 'admin',
      resource,
      scopes: ['admin'],
      mcp: { tools: { drop: ['admin'] } },
    };
    const imports = [AuthplaneModule.forFeature(feature)];
    await start({ metadata: { imports } });
    expect(warnings().join()).toContain(`no guarded controller serves the path of ${resource}`);
  });

  test('10.17c, R11: are checked on guarded routes below the path of the resource', async () => {
    @Controller('mcp/:org')
    @UseGuards(AuthplaneGuard)
    class TenantController {
      @Post(':profile')
      post() {
        return 'ran';
      }
    }
    const { post, mcpUrl } = await start({ controller: TenantController, mcp });
    expect(warnings()).toEqual([]);
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read' } };
    expect((await post(call, { url: `${mcpUrl}/acme/dev` })).status).toBe(403);
  });
});

test('a route on the path of a named resource that takes tokens of another', async () => {
  @Controller('admin/mcp')
  @UseGuards(AuthplaneGuard)
  class AdminController extends BareController {}
  const resource = 'http://127.0.0.1:3000/admin/mcp';
  const imports = [AuthplaneModule.forFeature({ name: 'admin', resource })];
  await start({ metadata: { imports, controllers: [AdminController] } });
  expect(warnings().join()).toContain('add @UseResource("admin")');
  UseResource('admin')(AdminController);
  await start({ metadata: { imports, controllers: [AdminController] } });
  expect(warnings().join()).not.toContain('@UseResource');
});

describe('9.1g: a transport of MCP-Nest 2 whose tools are in another application', () => {
  const controller = boundController('mcp', UseGuards(AuthplaneGuard));

  test('fails the boot', async () => {
    expect(await refusal({ controller })).toMatch(
      /HttpController serves a transport of MCP-Nest, and no module of this application has its tools/,
    );
  });

  test('starts with the modules of the tools', async () => {
    await start({ controller, metadata: { controllers: [controllerOf(ScopedTools)] } });
    expect(warnings()).toEqual([]);
  });

  test('starts with the strategy, whose methods have to be known', async () => {
    const strategy = (mcpMethodRef?: unknown) => ({
      messageHandlers: new Map(mcpMethodRef ? [['a', { extras: { mcpMethodRef } }]] : []),
    });
    const provided = (useValue: object) => ({
      controller,
      metadata: { providers: [{ provide: 'MCP_STRATEGY', useValue }] },
    });
    await start(provided(strategy()));
    expect(warnings()).toEqual([]);
    const { scoped } = Object.getOwnPropertyDescriptors(ScopedTools.prototype);
    expect(await refusal(provided(strategy(scoped.value)))).toContain(
      'the method "scoped" is run by MCP-Nest, and no module',
    );
  });
});

test('9.1g: a name that changes while the application starts fails the boot, of any host', async () => {
  class Late implements OnModuleInit {
    @Tool('before')
    @Scopes('known')
    late() {
      return 1;
    }

    onModuleInit() {
      const options = Reflect.getMetadata('mcp:tool', Late.prototype.late) as { name: string };
      options.name = 'after';
    }
  }
  const controller = boundController('mcp', UseGuards(AuthplaneGuard));
  expect(await refusal({ controller, metadata: { controllers: [controllerOf(Late)] } })).toContain(
    'Late.late was the tool "before" when its scopes were read, and is "after" now',
  );
});

function controllerOf(type: Type): Type {
  Controller()(type);
  return type;
}
