import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  Body,
  type CanActivate,
  Controller,
  Get,
  HttpCode,
  type HttpServer,
  type INestApplication,
  Injectable,
  Module,
  type ModuleMetadata,
  Post,
  Scope,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, ApplicationConfig, HttpAdapterHost, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneMiddleware,
  AuthplaneModule,
  type AuthplaneModuleExtras,
  AuthplaneProtected,
  McpEndpoint,
  Scopes,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { allCheckedMethods } from '../../../src/nest/context/method-check.js';
import { type Platform, platforms, quickClose } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';

@Injectable()
class OwnGuard implements CanActivate {
  canActivate() {
    return true;
  }
}

@Controller('open')
class Open {
  @Get()
  get() {
    return 'open';
  }

  @Post()
  @HttpCode(200)
  post(@Body() body: unknown) {
    return body;
  }
}

/** A class with scopes may ask for its caller, whichever application or spec it belongs to. */
const others = [...allCheckedMethods()];
beforeAll(() => allCheckedMethods().clear());
afterEach(() => allCheckedMethods().clear());
afterAll(() => others.forEach((one) => allCheckedMethods().add(one)));

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

const running: INestApplication[] = [];
afterEach(async () => {
  for (const app of running.splice(0)) await quickClose(app)();
});

type Members = Record<string, (...args: unknown[]) => unknown>;
const ROUTES = ['get', 'post', 'all', 'delete'] as const;

/** Watches the functions of Nest's router on their way to the platform. */
class Handed {
  readonly #given: unknown[] = [];
  readonly #arrived: unknown[] = [];

  watch(adapter: object, kind: 'given' | 'arrived') {
    const seen = kind === 'given' ? this.#given : this.#arrived;
    const members = adapter as Members;
    for (const name of ROUTES) {
      const method = members[name];
      if (method === undefined) continue;
      members[name] = (...args) => {
        seen.push(args.at(-1));
        return Reflect.apply(method, adapter, args);
      };
    }
  }

  /** The names of those that arrive as Nest has made them. */
  untouched() {
    const isSame = (one: unknown, at: number) => one === this.#arrived[at];
    return this.#given.filter(isSame).map((one) => (one as { readonly name: string }).name);
  }

  count() {
    return this.#given.length;
  }
}

interface Setup extends Pick<ModuleMetadata, 'controllers' | 'providers'> {
  readonly extras?: AuthplaneModuleExtras & { readonly mcp?: object };
  readonly afterCreation?: (app: INestApplication) => unknown;
  /** In a module that comes behind ours. */
  readonly inConfigure?: (config: ApplicationConfig, adapter: HttpServer) => void;
  readonly platform?: Platform;
}

async function start({ platform = 'fastify', extras = {}, ...setup }: Setup) {
  const { controllers = [Open], providers = [], inConfigure } = setup;
  const handed = new Handed();
  const { issuer } = authorizationServer;
  const options = { issuer, resource: RESOURCE, mcp: false, devMode: true } as const;
  const module = AuthplaneModule.forRoot({
    ...options,
    selfCheck: false,
    allowUnguarded: true,
    ...extras,
  });
  @Module({})
  class Behind {
    constructor(
      private readonly host: HttpAdapterHost,
      private readonly config: ApplicationConfig,
    ) {}

    configure() {
      const { httpAdapter } = this.host;
      handed.watch(httpAdapter, 'given');
      inConfigure?.(this.config, httpAdapter);
    }
  }
  @Module({ imports: [module, Behind], controllers, providers })
  class Application {}
  const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  handed.watch(adapter, 'arrived');
  const app = await NestFactory.create(Application, adapter as never, { logger: false });
  running.push(app);
  await setup.afterCreation?.(app);
  await app.init();
  return { app, handed };
}

describe.each(platforms)('13.1: a route without a guard on %s', (platform) => {
  test('13.1: has the function of Nest as its handler', async () => {
    const { handed } = await start({ platform });
    expect(handed.count()).toBe(2);
    expect(handed.untouched()).toEqual(['Open.get', 'Open.post']);
  });

  test('13.1: also beside routes that have one, which have a function of ours', async () => {
    @Controller('mixed')
    class Mixed {
      @Get('open')
      open() {
        return 'open';
      }

      @Get('guarded')
      @UseGuards(AuthplaneGuard)
      guarded() {
        return 'guarded';
      }
    }
    const { handed } = await start({ platform, controllers: [Mixed] });
    expect(handed.untouched()).toEqual(['Mixed.open']);
  });

  test('13.1: keeps no note of ours on its method', async () => {
    await start({ platform });
    const keys = Reflect.getMetadataKeys(Open.prototype.get) as unknown[];
    expect(keys.map(String).filter((key) => key.includes('authplane'))).toEqual([]);
  });
});

describe('13.1: whoever may ask for a caller has a function of ours in front of every route', () => {
  @Injectable()
  class Asking {
    constructor(readonly caller: AuthContext) {}
  }
  @Injectable()
  class TakingGuard {
    constructor(readonly guard: AuthplaneGuard) {}
  }
  @Injectable()
  class TakingMiddleware {
    constructor(readonly middleware: AuthplaneMiddleware) {}
  }
  test.each<[string, Setup]>([
    ['AuthContext is injected', { providers: [Asking] }],
    ['our guard is injected, and may be asked', { providers: [TakingGuard] }],
    ['our middleware is injected', { providers: [TakingMiddleware] }],
    ['AuthContext is taken before the start', { afterCreation: (app) => app.get(AuthContext) }],
  ])('13.1: where %s', async (_, setup) => {
    const { handed } = await start(setup);
    expect(handed.untouched()).toEqual([]);
    expect(handed.count()).toBe(2);
  });
});

/** Each is a way in which a guard may stand on a route, or may come to stand on it. */
const guarded: Record<string, () => Setup> = {
  'a guard of ours on the class': () => {
    @Controller()
    @UseGuards(AuthplaneGuard)
    class Other {
      @Get('other')
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other] };
  },
  'a guard of the application': () => {
    @Controller()
    class Other {
      @Get('other')
      @UseGuards(OwnGuard)
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other] };
  },
  'a guard that asks ours': () => {
    @Injectable()
    @AuthplaneProtected()
    class Delegating {
      constructor(private readonly guard: AuthplaneGuard) {}
      canActivate() {
        return this.guard !== undefined;
      }
    }
    @Controller()
    class Other {
      @Get('other')
      @UseGuards(Delegating)
      get() {
        return 'ran';
      }

      @Get('open')
      open() {
        return 'ran';
      }
    }
    return { controllers: [Other] };
  },
  "guard: 'global'": () => ({ extras: { guard: 'global' } }),
  'a guard by APP_GUARD': () => ({ providers: [{ provide: APP_GUARD, useClass: OwnGuard }] }),
  'a guard by APP_GUARD for each request': () => ({
    providers: [{ provide: APP_GUARD, useClass: OwnGuard, scope: Scope.REQUEST }],
  }),
  'a global guard before the start': () => ({
    afterCreation: (app) => app.useGlobalGuards(new OwnGuard()),
  }),
  'a global guard of a module that is configured behind ours': () => ({
    inConfigure: (config) => config.addGlobalGuard(new OwnGuard()),
  }),
  'a guard that is put on the class when the application starts': () => {
    @Controller()
    class Other {
      @Get('other')
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other], inConfigure: () => UseGuards(AuthplaneGuard)(Other) };
  },
  'a guard that is put on the method when the application starts': () => {
    @Controller()
    class Other {
      @Get('other')
      get() {
        return 'ran';
      }
    }
    const put = () => {
      const { prototype } = Other;
      const descriptor = Object.getOwnPropertyDescriptor(prototype, 'get');
      UseGuards(OwnGuard)(prototype, 'get', descriptor as PropertyDescriptor);
    };
    return { controllers: [Other], inConfigure: put };
  },
  'a class that makes its objects for each request': () => {
    @Controller({ path: 'other', scope: Scope.REQUEST })
    class Other {
      @Get()
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other] };
  },
  'a method that a guarded class inherits': () => {
    @Controller('base')
    class Base {
      @Get()
      get() {
        return 'ran';
      }
    }
    @Controller('other')
    @UseGuards(AuthplaneGuard)
    class Other extends Base {}
    return { controllers: [Base, Other] };
  },
  'a method that the constructor replaces': () => {
    @Controller('other')
    class Other {
      constructor() {
        this.get = this.get.bind(this);
      }

      @Get()
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other] };
  },
  'an object that is a proxy': () => {
    @Controller('other')
    class Other {
      constructor() {
        return new Proxy(this, {});
      }

      @Get()
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other] };
  },
  'a class that a decorator replaces': () => {
    const replaced = (type: Type): Type =>
      class extends type {
        constructor(...args: unknown[]) {
          super(...args);
          Object.defineProperty(this, 'constructor', { value: type });
        }
      };
    @Controller('other')
    class Other {
      @Get()
      get() {
        return 'ran';
      }
    }
    const Shown = replaced(Other);
    Controller('other')(Shown);
    return { controllers: [Shown] };
  },
  'scopes that nothing enforces': () => {
    @Controller('other')
    class Other {
      @Get()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other] };
  },
  'the mark of an MCP endpoint': () => {
    @Controller('other')
    @McpEndpoint()
    class Other {
      @Get()
      get() {
        return 'ran';
      }
    }
    return { controllers: [Other], extras: { mcp: {} } };
  },
  'no class, but a function that is handed to the platform': () => ({
    controllers: [],
    inConfigure: (_config, adapter) => adapter.get('/other', () => 'ran'),
  }),
};

describe('13.1: what is not certainly open has a function of ours in front', () => {
  test.each(Object.keys(guarded))('13.1: %s', async (name) => {
    const { handed } = await start((guarded[name] as () => Setup)());
    expect(handed.count()).toBeGreaterThan(0);
    expect(handed.untouched()).toEqual([]);
  });

  test('13.1: a class is open in one application and guarded in another, started at once', async () => {
    const both = [start({}), start({ extras: { guard: 'global' } }), start({})];
    const found = (await Promise.all(both)).map(({ handed }) => handed.untouched().length);
    expect(found).toEqual([2, 0, 2]);
  });
});
