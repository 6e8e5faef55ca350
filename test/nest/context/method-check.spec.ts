import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  Param,
  ParseIntPipe,
  Post,
  SetMetadata,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ExpressAdapter } from '@nestjs/platform-express';
import {
  AnyScope,
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  Claims,
  InsufficientScopeError,
  NoCallerError,
  Public,
  Scopes,
  UseResource,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { of } from 'rxjs';
import { Retryable } from 'typescript-retry-decorator';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';

/** As retry, transaction and tracing libraries do it. */
function Wrap(): MethodDecorator {
  return (_target, _key, descriptor) => {
    const original = descriptor.value as unknown as (...args: unknown[]) => unknown;
    descriptor.value = function (this: unknown, ...args: unknown[]) {
      return Reflect.apply(original, this, args);
    } as never;
  };
}

/** One that returns a descriptor instead of changing it. */
function Redefine(): MethodDecorator {
  return (_target, _key, descriptor) => {
    const original = descriptor.value as unknown as (...args: unknown[]) => unknown;
    return {
      ...descriptor,
      value(this: unknown, ...args: unknown[]) {
        return Reflect.apply(original, this, args);
      },
    } as never;
  };
}

@Controller('wrapped')
class WrappedController {
  @Get('below')
  @Wrap()
  @Scopes('admin')
  below() {
    return 'below ran';
  }

  @Get('above')
  @Scopes('admin')
  @Wrap()
  above() {
    return 'above ran';
  }

  @Scopes('admin')
  @Get('outermost')
  @Redefine()
  outermost() {
    return 'outermost ran';
  }

  @Get('both')
  @Scopes('admin')
  @Redefine()
  @AnyScope('second', 'third')
  both() {
    return 'both ran';
  }

  @Get('retried')
  @Retryable({ maxAttempts: 2 })
  @Scopes('admin')
  async retried() {
    return Promise.resolve('retried ran');
  }

  @Get('open')
  @Wrap()
  @Public()
  open() {
    return 'open ran';
  }
}

@Controller('decorated')
class DecoratedController {
  readonly greeting = 'hello';

  @Post(':id')
  @HttpCode(202)
  @Scopes('admin')
  @Header('x-own', 'yes')
  @SetMetadata('swagger', { summary: 'all of it' })
  all(
    @Param('id', ParseIntPipe) id: number,
    @Body() body: { readonly name: string },
    @Claims() claims: VerifiedClaims,
  ) {
    return { id, name: body.name, sub: claims.sub, greeting: this.greeting };
  }
}

/** Runs another method than the guard has judged, as some libraries do. */
@Controller('detour')
class DetourController {
  @Get()
  detour() {
    return this.hidden();
  }

  @Get('late')
  async late() {
    await new Promise((resolve) => setImmediate(resolve));
    return this.hidden();
  }

  @Get('open')
  @Public()
  open() {
    return this.hidden();
  }

  @Get('other')
  other() {
    return this.billing();
  }

  @Get('public-method')
  publicMethod() {
    return this.published();
  }

  @Scopes('admin')
  hidden() {
    return 'hidden ran';
  }

  @UseResource('billing')
  billing() {
    return 'billing ran';
  }

  @Public()
  published() {
    return 'published ran';
  }
}

class Base {
  @Scopes('base')
  get() {
    return 'ran';
  }
}

@Controller('override')
class Override extends Base {
  @Get()
  @Scopes('own')
  override get() {
    return 'override ran';
  }
}

@Controller('open-base')
@Public()
class OpenBase {
  @Get()
  get() {
    return 'base ran';
  }

  @Get('guarded')
  @UseGuards(AuthplaneGuard)
  guarded(@Claims() claims: VerifiedClaims) {
    return `${claims.sub} ran`;
  }
}

@Controller('open-sub')
class OpenSub extends OpenBase {}

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

const moduleOptions = () => ({
  issuer: authorizationServer.issuer,
  resource: RESOURCE,
  devMode: true,
  guard: 'global' as const,
});

describe.each(platforms)('methods ask once more, on %s', (platform) => {
  let app: RunningApp;
  beforeAll(async () => {
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot(moduleOptions()),
          AuthplaneModule.forFeature({ name: 'billing', resource: `${RESOURCE}/billing` }),
        ],
        controllers: [
          WrappedController,
          DecoratedController,
          DetourController,
          Override,
          OpenBase,
          OpenSub,
        ],
      },
      { platform },
    );
  });
  afterAll(() => app.close());

  const call = async (path: string, scope?: string, init: RequestInit = {}) => {
    const token =
      scope === undefined
        ? undefined
        : await authorizationServer.issueToken({ aud: [RESOURCE], scope, sub: 'alice' });
    const response = await fetch(`${app.url}/${path}`, {
      ...init,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        'content-type': 'application/json',
      },
      ...(init.method === 'POST' ? { body: JSON.stringify({ name: 'x' }) } : {}),
    });
    const challenge = response.headers.get('www-authenticate');
    return { status: response.status, text: await response.text(), challenge, response };
  };

  test.each(['below', 'above', 'outermost', 'retried'])(
    '9.1b: @Scopes beside a decorator that replaces the method: %s',
    async (name) => {
      expect((await call(`wrapped/${name}`)).status).toBe(401);
      const refused = await call(`wrapped/${name}`, 'other');
      expect(refused.status).toBe(403);
      expect(refused.challenge).toContain('scope="admin"');
      expect((await call(`wrapped/${name}`, 'admin')).text).toBe(`${name} ran`);
    },
  );

  test('9.1b: marks on both sides of such a decorator add up', async () => {
    expect((await call('wrapped/both', 'admin')).status).toBe(403);
    expect((await call('wrapped/both', 'second')).challenge).toContain('scope="admin second"');
    expect((await call('wrapped/both', 'admin third')).text).toBe('both ran');
    expect((await call('wrapped/open')).text).toBe('open ran');
  });

  test('9.1g: parameters, pipes, status, headers and `this` of a marked handler stay', async () => {
    const { status, text, response } = await call('decorated/7', 'admin', { method: 'POST' });
    expect(status).toBe(202);
    expect(JSON.parse(text)).toEqual({ id: 7, name: 'x', sub: 'alice', greeting: 'hello' });
    expect(response.headers.get('x-own')).toBe('yes');
    expect((await call('decorated/seven', 'admin', { method: 'POST' })).status).toBe(400);
  });

  test.each(['detour', 'detour/late'])(
    '9.1g: a marked method that another handler runs asks for its scopes: %s',
    async (path) => {
      const refused = await call(path, 'other');
      expect(refused).toMatchObject({ status: 403 });
      expect(refused.challenge).toContain('scope="admin"');
      expect(refused.challenge).toContain('resource_metadata=');
      expect((await call(path, 'admin')).text).toBe('hidden ran');
    },
  );

  test('9.1g: without a caller it refuses, and that is no 401', async () => {
    expect(await call('detour/open')).toMatchObject({
      status: 500,
      text: '{"error":"internal_error"}',
      challenge: null,
    });
  });

  test('9.1g: a method of another resource refuses the token of this one', async () => {
    const refused = await call('detour/other', '');
    expect(refused.status).toBe(401);
    expect(refused.challenge).toContain('/.well-known/oauth-protected-resource/api/billing"');
    expect((await call('detour/public-method', '')).text).toBe('published ran');
  });

  test('9.7: an overridden method keeps what its base asks for', async () => {
    expect((await call('override', 'own')).challenge).toContain('scope="own base"');
    expect((await call('override', 'own base')).text).toBe('override ran');
  });

  test('9.7: @Public() on a base class opens that class, not its subclasses', async () => {
    expect((await call('open-base')).text).toBe('base ran');
    expect((await call('open-sub')).status).toBe(401);
    expect((await call('open-sub', '')).text).toBe('base ran');
  });

  test('9.9e: @UseGuards(AuthplaneGuard) on a handler beats @Public() on its class', async () => {
    expect((await call('open-base/guarded')).status).toBe(401);
    expect((await call('open-base/guarded', '')).text).toBe('alice ran');
  });
});

describe('a marked method keeps its nature', () => {
  class Service {
    constructor(readonly word = 'done') {}

    @Scopes('a')
    synchronous(first: string, second = 'b') {
      return `${this.word} ${first} ${second}`;
    }

    @Scopes('a')
    async asynchronous(word: string) {
      return Promise.resolve(`${this.word} ${word}`);
    }

    @Scopes('a')
    *generator() {
      yield this.word;
    }

    @Scopes('a')
    async *asyncGenerator() {
      yield await Promise.resolve(this.word);
    }

    @Scopes('a')
    observable() {
      return of(this.word);
    }

    @SetMetadata('kept', 1)
    @Scopes('a')
    @SetMetadata('below', 2)
    documented() {
      return this.word;
    }
  }

  test('9.1g: where no application runs, it is just called', async () => {
    const service = new Service();
    expect(service.synchronous('a')).toBe('done a b');
    await expect(service.asynchronous('a')).resolves.toBe('done a');
    expect([...service.generator()]).toEqual(['done']);
    for await (const word of service.asyncGenerator()) expect(word).toBe('done');
    service.observable().subscribe((word) => expect(word).toBe('done'));
  });

  test('9.1g: name, length and metadata', () => {
    const { prototype } = Service;
    expect(prototype.synchronous.name).toBe('synchronous');
    expect(prototype.synchronous).toHaveLength(1);
    expect(Reflect.getMetadata('kept', prototype.documented)).toBe(1);
    expect(Reflect.getMetadata('below', prototype.documented)).toBe(2);
    expect(Object.keys(Service.prototype)).toEqual([]);
  });

  describe('while an application runs', () => {
    let app: RunningApp;
    beforeAll(async () => {
      const imports = [AuthplaneModule.forRoot(moduleOptions())];
      app = await startApp({ imports }, { platform: 'express' });
    });
    afterAll(() => app.close());

    test('9.1g: no caller: synchronous methods throw, asynchronous ones reject', async () => {
      const service = new Service();
      expect(() => service.synchronous('a')).toThrow(NoCallerError);
      expect(() => service.generator()).toThrow(NoCallerError);
      expect(() => service.observable()).toThrow(NoCallerError);
      const promise = service.asynchronous('a'); // does not throw
      await expect(promise).rejects.toThrow(NoCallerError);
    });

    test('9.1g: for a caller whom AuthContext.run names', async () => {
      const resource = await tokenHolder(app);
      const service = new Service();
      expect(resource.as('a', () => service.synchronous('a'))).toBe('done a b');
      expect(() => resource.as('b', () => service.synchronous('a'))).toThrow(
        InsufficientScopeError,
      );
    });
  });

  test('9.1g: after the application has ended it is just called again', () => {
    expect(new Service().synchronous('a')).toBe('done a b');
  });
});

async function tokenHolder({ app }: RunningApp) {
  const { AuthplaneResource } = await import('authplane-nestjs');
  const resource = app.get(AuthplaneResource);
  const entries = await Promise.all(
    ['a', 'b'].map(async (scope) => {
      const token = await authorizationServer.issueToken({ aud: [RESOURCE], scope });
      const rawHeaders = ['authorization', `Bearer ${token}`];
      return [
        scope,
        await resource.authenticate({ method: 'GET', url: '/', headers: rawHeaders }),
      ] as const;
    }),
  );
  const known = new Map(entries);
  return {
    as: <T>(scope: string, callback: () => T): T => {
      const caller = known.get(scope);
      if (caller === undefined) throw new Error('no such caller');
      return app.get(AuthContext).run(caller, callback);
    },
  };
}

describe('tests that replace the guard', () => {
  let url: string;
  let close: () => Promise<void>;

  async function start(controllers: Type[], kind: 'overrideProvider' | 'overrideGuard') {
    const imports = [AuthplaneModule.forRoot({ ...moduleOptions(), guard: undefined as never })];
    const builder = Test.createTestingModule({ imports, controllers });
    const guard = { canActivate: () => true };
    const module = await builder[kind](AuthplaneGuard).useValue(guard).compile();
    const app = module.createNestApplication(new ExpressAdapter(), { logger: false });
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
    close = () => app.close();
  }
  afterEach(() => close());

  test.each(['overrideProvider', 'overrideGuard'] as const)(
    '9.1g: %s: marked methods run without a caller',
    async (kind) => {
      @Controller()
      @UseGuards(AuthplaneGuard)
      class Marked {
        @Get()
        @Scopes('admin')
        get() {
          return 'ran';
        }
      }
      await start([Marked], kind);
      const response = await fetch(url);
      expect(await response.text()).toBe('ran');
    },
  );
});
