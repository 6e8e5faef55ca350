import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Controller,
  Get,
  Injectable,
  type OnModuleInit,
  Scope,
  type Type,
  UseGuards,
} from '@nestjs/common';
import {
  AnyScope,
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleExtras,
  ConfigurationError,
  Public,
  Scopes,
  UseResource,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import {
  type Platform,
  platforms,
  type RunningApp,
  startApp,
} from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';
const BILLING = 'http://127.0.0.1:3000/billing';
const METHODS = ['scoped', 'either', 'billing', 'plain'] as const;

type Methods = Record<string, (...args: unknown[]) => unknown>;

/** What constructors do with the methods of their object. */
const replacements = {
  'methods bound to the object': (self: Methods) => {
    for (const name of METHODS) self[name] = self[name]!.bind(self);
  },
  'methods wrapped by a base class': (self: Methods) => {
    for (const name of METHODS) {
      const method = self[name]!;
      self[name] = (...args) => method.apply(self, args);
    }
  },
  'read-only properties of the object': (self: Methods) => {
    for (const name of METHODS) {
      Object.defineProperty(self, name, { value: self[name]!.bind(self) });
    }
  },
  'a proxy that remembers its functions': (self: Methods) => {
    const made = new Map<unknown, unknown>();
    return new Proxy(self, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function' || name === 'constructor') return method;
        if (!made.has(name)) made.set(name, method.bind(target));
        return made.get(name);
      },
    });
  },
} satisfies Record<string, (self: Methods) => object | void>;

const loggingProxy = (self: Methods) =>
  new Proxy(self, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function' || name === 'constructor') return method;
      return (...args: unknown[]): unknown => Reflect.apply(method, target, args);
    },
  });

/** A base class whose constructor does that; `super()` makes the result `this`. */
function replacing(replace: (self: Methods) => object | void): Type {
  return class {
    constructor() {
      return replace(this as unknown as Methods) ?? this;
    }
  };
}

function marked(Base: Type, scope = Scope.DEFAULT): Type {
  @Controller({ path: 'marked', scope })
  class Marked extends Base {
    @Get('scoped')
    @Scopes('admin')
    scoped() {
      return 'scoped ran';
    }

    @Get('either')
    @AnyScope('admin', 'root')
    either() {
      return 'either ran';
    }

    @Get('billing')
    @UseResource('billing')
    billing() {
      return 'billing ran';
    }

    @Get('plain')
    plain() {
      return 'plain ran';
    }
  }
  return Marked;
}

function guarded(Base: Type, scope = Scope.DEFAULT): Type {
  @Controller({ path: 'guarded', scope })
  class Guarded extends Base {
    @Get('scoped')
    @UseGuards(AuthplaneGuard)
    scoped() {
      return 'scoped ran';
    }

    @Get('either')
    @UseGuards(AuthplaneGuard)
    @Scopes('admin')
    either() {
      return 'either ran';
    }

    @Get('billing')
    @UseGuards(AuthplaneGuard)
    @UseResource('billing')
    billing() {
      return 'billing ran';
    }

    @Get('plain')
    plain() {
      return 'plain ran';
    }
  }
  return Guarded;
}

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

async function start(
  platform: Platform,
  controllers: Type[],
  extras: AuthplaneModuleExtras = { guard: 'global' },
) {
  const { issuer } = authorizationServer;
  const app = await startApp(
    {
      imports: [
        AuthplaneModule.forRoot({ issuer, resource: RESOURCE, devMode: true, ...extras }),
        AuthplaneModule.forFeature({ name: 'billing', resource: BILLING }),
      ],
      controllers,
    },
    { platform },
  );
  return { app, get: getter(app) };
}

function getter(app: RunningApp) {
  return async (path: string, token?: { scope?: string; aud?: string }) => {
    const { scope = '', aud = RESOURCE } = token ?? {};
    const bearer = token && `Bearer ${await authorizationServer.issueToken({ aud: [aud], scope })}`;
    const response = await fetch(`${app.url}/${path}`, {
      headers: bearer === undefined ? {} : { authorization: bearer },
    });
    return { status: response.status, text: await response.text(), headers: response.headers };
  };
}

describe.each(platforms)('9.1h: handlers replaced on the instance, %s', (platform) => {
  describe.each(Object.entries(replacements))('%s', (_, replace) => {
    let app: RunningApp;
    let get: ReturnType<typeof getter>;
    beforeAll(async () => {
      ({ app, get } = await start(platform, [marked(replacing(replace))]));
    });
    afterAll(() => app.close());

    test.each(['scoped', 'either'])('@Scopes and @AnyScope hold: %s', async (name) => {
      expect((await get(`marked/${name}`)).status).toBe(401);
      const refused = await get(`marked/${name}`, { scope: 'other' });
      expect(refused.status).toBe(403);
      expect(refused.headers.get('www-authenticate')).toContain('scope="admin"');
      expect(await get(`marked/${name}`, { scope: 'admin' })).toMatchObject({
        status: 200,
        text: `${name} ran`,
      });
    });

    test('@UseResource holds', async () => {
      expect((await get('marked/billing', { aud: RESOURCE })).status).toBe(401);
      expect((await get('marked/billing', { aud: BILLING })).text).toBe('billing ran');
    });

    test('what is not marked needs a token only', async () => {
      expect((await get('marked/plain')).status).toBe(401);
      expect((await get('marked/plain', {})).text).toBe('plain ran');
    });
  });

  describe.each(Object.entries(replacements))('@UseGuards on the method, %s', (_, replace) => {
    let app: RunningApp;
    let get: ReturnType<typeof getter>;
    beforeAll(async () => {
      ({ app, get } = await start(platform, [guarded(replacing(replace))], {}));
    });
    afterAll(() => app.close());

    test('the guard that Nest would lose is there', async () => {
      for (const name of ['scoped', 'either', 'billing']) {
        expect([name, (await get(`guarded/${name}`)).status]).toEqual([name, 401]);
      }
      expect((await get('guarded/scoped', {})).text).toBe('scoped ran');
      expect((await get('guarded/either', {})).status).toBe(403);
      expect((await get('guarded/either', { scope: 'admin' })).text).toBe('either ran');
      expect((await get('guarded/billing', {})).status).toBe(401);
      expect((await get('guarded/billing', { aud: BILLING })).text).toBe('billing ran');
      expect((await get('guarded/plain')).text).toBe('plain ran');
    });
  });

  test('a proxy that makes its functions anew refuses the start, and is named', async () => {
    const starting = start(platform, [marked(replacing(loggingProxy))]);
    await expect(starting).rejects.toThrow(ConfigurationError);
    await expect(starting).rejects.toThrow(/Marked.*"scoped"/);
  });

  test.each(Object.entries({ ...replacements, 'a proxy': loggingProxy }))(
    'request-scoped, %s: nobody can tell, so nobody runs it',
    async (_, replace) => {
      const base = replacing(replace);
      const { app, get } = await start(platform, [marked(base, Scope.REQUEST)]);
      for (const name of METHODS) {
        for (const token of [undefined, {}, { scope: 'admin' }, { aud: BILLING }]) {
          const { status, text } = await get(`marked/${name}`, token);
          expect(status).toBeGreaterThanOrEqual(400);
          expect(text).not.toContain('ran');
        }
      }
      await app.close();
    },
  );

  test.each(Object.entries({ ...replacements, 'a proxy': loggingProxy }))(
    'request-scoped with @UseGuards on the method, %s: the method itself refuses',
    async (_, replace) => {
      const { app, get } = await start(platform, [guarded(replacing(replace), Scope.REQUEST)], {});
      for (const name of ['scoped', 'either', 'billing']) {
        const { status, text } = await get(`guarded/${name}`);
        expect([name, status]).toEqual([name, 500]);
        expect(text).not.toContain('ran');
      }
      expect((await get('guarded/plain')).text).toBe('plain ran');
      await app.close();
    },
  );

  test('replaced in onModuleInit, scopes of the class, @Public: closed', async () => {
    @Controller('late')
    class Late implements OnModuleInit {
      onModuleInit() {
        this.get = this.get.bind(this);
      }

      @Get()
      @Scopes('admin')
      get() {
        return 'ran';
      }
    }
    @Controller('class')
    @Scopes('admin')
    class OfClass {
      constructor() {
        this.get = this.get.bind(this);
        this.open = this.open.bind(this);
      }

      @Get()
      get() {
        return 'ran';
      }

      @Get('open')
      @Public()
      open() {
        return 'open ran';
      }
    }
    const { app, get } = await start(platform, [Late, OfClass]);
    for (const path of ['late', 'class']) {
      expect([path, (await get(path, {})).status]).toEqual([path, 403]);
      expect((await get(path, { scope: 'admin' })).text).toBe('ran');
    }
    expect((await get('class/open')).text).toBe('open ran');
    await app.close();
  });
});

/** With what Nest and others have noted on the class, as such decorators have to. */
function withMetadata(from: Type, to: object): Type {
  for (const key of Reflect.getMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
  }
  return to as Type;
}

/** Class decorators that return another class than they got. */
const classDecorators = {
  'a proxy': (type: Type) => withMetadata(type, new Proxy(type, {})),
  'a function with the same prototype': (type: Type) => {
    function Replaced(...args: unknown[]): object {
      return Reflect.construct(type, args) as object;
    }
    Replaced.prototype = type.prototype as object;
    return withMetadata(type, Replaced);
  },
  'a subclass': (type: Type) => withMetadata(type, class extends type {}),
  'a bound class': (type: Type) => {
    const bound = type.bind(undefined) as unknown as Type;
    bound.prototype = type.prototype;
    return withMetadata(type, bound);
  },
};

describe.each(platforms)('9.1h: class decorators that return another class, %s', (platform) => {
  const cases = Object.entries(classDecorators).flatMap(([name, decorate]) =>
    [Scope.DEFAULT, Scope.REQUEST].map((scope) => [name, Scope[scope], decorate, scope] as const),
  );

  test.each(cases)('%s, %s', async (_, __, Replaced, scope) => {
    const replaced = Replaced as ClassDecorator;

    @Scopes('admin')
    @Controller({ path: 'outside', scope })
    @replaced
    @Injectable()
    class Outside {
      @Get()
      get() {
        return 'ran';
      }
    }

    @replaced
    @Controller({ path: 'inside', scope })
    @Scopes('admin')
    class Inside {
      @Get()
      get() {
        return 'ran';
      }
    }

    @UseResource('billing')
    @Controller({ path: 'billing', scope })
    @replaced
    class Billing {
      @Get()
      get() {
        return 'ran';
      }
    }

    @UseGuards(AuthplaneGuard)
    @Controller({ path: 'own-guard', scope })
    @replaced
    class OwnGuard {
      @Get()
      get() {
        return 'ran';
      }
    }

    for (const extras of [{ guard: 'global' } as const, {}]) {
      const controllers = extras.guard ? [Outside, Inside, Billing] : [OwnGuard];
      const { app, get } = await start(platform, controllers, extras);
      if (extras.guard === undefined) {
        expect((await get('own-guard')).status).toBe(401);
        expect((await get('own-guard', {})).text).toBe('ran');
      } else {
        for (const path of ['outside', 'inside']) {
          expect([path, (await get(path, {})).status]).toEqual([path, 403]);
          expect((await get(path, { scope: 'admin' })).text).toBe('ran');
        }
        expect((await get('billing', {})).status).toBe(401);
        expect((await get('billing', { aud: BILLING })).text).toBe('ran');
      }
      await app.close();
    }
  });
});
