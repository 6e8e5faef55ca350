import { describe, expect, test } from 'vitest';
import {
  Controller,
  Get,
  type INestApplication,
  Injectable,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { AuthplaneGuard, AuthplaneProtected, Public, Scopes } from 'authplane-nestjs';
import { bootHarness } from '../../support/nest/boot.js';

const { start, refusal, allowed, warnings } = bootHarness();

const configure = (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app));

describe('9.9e: @Scopes on routes', () => {
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
  const metadata = { controllers: [OpenController] };

  test('that no guard protects fail the boot', async () => {
    const message = await refusal({ metadata });
    expect(message).toContain('@Scopes on OpenController.get protects nothing');
    expect(message).not.toContain('OpenController.guarded');
  });

  test('allowUnguarded opens them with a warning', async () => {
    expect(await allowed({ metadata })).toContain('@Scopes on OpenController.get protects nothing');
  });
});

describe('9.9e: @Scopes on handlers that are no routes', () => {
  @Controller()
  class Listener {
    @MessagePattern('m')
    @Scopes('known')
    message() {
      return 1;
    }

    @EventPattern('e')
    @Scopes('known')
    event(data: unknown) {
      return data;
    }
  }
  @WebSocketGateway()
  @UseGuards()
  class Gateway {
    @SubscribeMessage('s')
    @Scopes('known')
    said() {
      return 1;
    }
  }
  class Resolver {
    @Scopes('known')
    query() {
      return 1;
    }
  }
  const { query } = Object.getOwnPropertyDescriptors(Resolver.prototype);
  SetMetadata('graphql:resolver_type', 'Query')(Resolver.prototype, 'query', query);

  test.each([
    ['message or event handler', 'Listener.message', { controllers: [Listener] }],
    ['message or event handler', 'Listener.event', { controllers: [Listener] }],
    ['gateway handler', 'Gateway.said', { providers: [Gateway] }],
    ['resolver', 'Resolver.query', { providers: [Resolver] }],
  ])('that no guard reaches fail the boot: %s %s', async (what, where, metadata) => {
    const message = await refusal({ metadata, configure });
    expect(message).toContain(
      `@Scopes on ${where} protects nothing: no AuthplaneGuard reaches this ${what}`,
    );
    expect(await refusal({ metadata, configure, options: { guard: 'global' } })).toEqual(
      what === 'resolver' ? '' : expect.stringContaining(`${what}, the global one included`),
    );
    expect(await allowed({ metadata, configure })).toContain(`${where} protects nothing`);
  });

  test('start with a guard on the handler or its class', async () => {
    @Controller()
    @UseGuards(AuthplaneGuard)
    class Guarded extends Listener {}
    await start({ metadata: { controllers: [Guarded] } });
    expect(warnings()).toEqual([]);
  });
});

describe("9.6: WebSocket gateways under guard: 'global'", () => {
  @WebSocketGateway()
  class Gateway {
    @SubscribeMessage('s')
    said() {
      return 1;
    }
  }
  @AuthplaneProtected()
  class SocketGuard {
    canActivate() {
      return false;
    }
  }

  test('fail the boot', async () => {
    const options = { guard: 'global' as const };
    const gateway = { metadata: { providers: [Gateway] }, configure, options };
    const text = "Gateway is a WebSocket gateway, which guard: 'global'";
    expect(await refusal(gateway)).toContain(text);
    expect(await allowed(gateway)).toContain(text);
  });

  test.each([
    ['a guard that says it protects', UseGuards(SocketGuard)],
    ['@Public()', Public()],
  ])('are no matter with %s', async (_, decorate) => {
    class Known extends Gateway {}
    WebSocketGateway()(Known);
    decorate(Known);
    await start({ metadata: { providers: [Known] }, configure, options: { guard: 'global' } });
    expect(warnings()).toEqual([]);
  });
});

describe('@Scopes where nothing calls', () => {
  @Injectable()
  class Service {
    @Scopes('known')
    work() {
      return 'done';
    }
  }
  @Injectable()
  @Scopes('known')
  class IdleService {
    work() {
      return 1;
    }
  }

  test('fails the boot for a class of which nothing is called; allowUnguarded opens it', async () => {
    const metadata = { providers: [IdleService] };
    expect(await refusal({ metadata })).toContain('@Scopes on IdleService protects nothing');
    expect(await allowed({ metadata })).toContain('@Scopes on IdleService protects nothing');
  });

  test('is a warning for a method, which asks by itself, and where a guard stands on the class', async () => {
    @UseGuards(AuthplaneGuard)
    @Scopes('known')
    class Dispatched {
      work() {
        return 1;
      }
    }
    await start({ metadata: { providers: [Service, Dispatched] } });
    expect(warnings().join()).toContain('@Scopes on Service.work protects nothing');
    expect(warnings().join()).toContain('@Scopes on Dispatched protects nothing');
  });
});

describe('9.1a: methods of a host library that is not known', () => {
  const McpTool = (options: object) => SetMetadata('mcp:tool', options);
  @Injectable()
  class Foreign {
    @McpTool({ description: 'd' })
    @Scopes('known')
    remove() {
      return 1;
    }
  }

  test("with scopes fail the boot and name mcp.tools, also under MCP-Nest's keys", async () => {
    const metadata = { providers: [Foreign] };
    const message = await refusal({ metadata });
    expect(message).toContain('@Scopes on Foreign.remove: no MCP host that is known here');
    expect(message).toContain('mcp.tools');
    const openly = { metadata, options: { allowUnguarded: true } };
    expect(await refusal(openly)).toContain('@Scopes on Foreign.remove');
  });

  test('with scopes of the class fail the boot, routes too', async () => {
    @Controller('files')
    @UseGuards(AuthplaneGuard)
    @Scopes('known')
    class ForeignController {
      @Get()
      @McpTool({})
      get() {
        return 1;
      }
    }
    expect(await refusal({ metadata: { controllers: [ForeignController] } })).toContain(
      '@Scopes on ForeignController.get: no MCP host',
    );
  });

  test('whose metadata is on prototype and member', async () => {
    class Elsewhere {
      @Scopes('known')
      run() {
        return 1;
      }
    }
    Reflect.defineMetadata(Symbol('mcp:tool'), {}, Elsewhere.prototype, 'run');
    expect(await refusal({ metadata: { providers: [Elsewhere] } })).toContain(
      '@Scopes on Elsewhere.run: no MCP host',
    );
  });

  test('without scopes say nothing; requirements in the options are not called idle', async () => {
    class Bare {
      @McpTool({})
      run() {
        return 1;
      }
    }
    const mcp = { tools: { files_remove: ['known'] } };
    await start({ metadata: { providers: [Bare] }, mcp });
    expect(warnings()).toEqual([]);
  });
});
