import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  applyDecorators,
  Controller,
  createParamDecorator,
  type ExecutionContext,
  Get,
  Scope,
  SetMetadata,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  AuthplaneGuard,
  AuthplaneModule,
  NoCallerError,
  Scopes,
  UseResource,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { isGuardItself } from '../../../src/nest/authplane.guard.js';
import { JudgedHandlers } from '../../../src/nest/context/judged-handlers.js';
import { type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';

function Wrap(): MethodDecorator {
  return (_target, _key, descriptor) => {
    const original = descriptor.value as unknown as (...args: unknown[]) => unknown;
    descriptor.value = function (this: unknown, ...args: unknown[]) {
      return Reflect.apply(original, this, args);
    } as never;
  };
}

const Handler = createParamDecorator((_: undefined, context: ExecutionContext) => ({
  name: context.getHandler().name,
  kept: new Reflector().get<number>('kept', context.getHandler()),
}));

const guarded = (path: string) => applyDecorators(Get(path), UseGuards(AuthplaneGuard));

@Controller('plain')
class Plain {
  @guarded('read')
  @SetMetadata('kept', 1)
  @Scopes('read')
  read(@Handler() handler: unknown) {
    return handler;
  }
}

/** Each is a way in which another function runs than the guard has judged, or may run. */
const others: Record<string, () => Type> = {
  'a route without a guard': () => {
    @Controller('other')
    class Other {
      @Get()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return Other;
  },
  'a guard that extends ours': () => {
    class Lenient extends AuthplaneGuard {
      override canActivate() {
        return true;
      }
    }
    @Controller('other')
    @UseGuards(Lenient)
    class Other {
      @Get()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return Other;
  },
  'a decorator around the method': () => {
    @Controller('other')
    @UseGuards(AuthplaneGuard)
    class Other {
      @Get()
      @Wrap()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return Other;
  },
  'a property of the object': () => {
    @Controller('other')
    @UseGuards(AuthplaneGuard)
    class Other {
      constructor() {
        this.get = this.get.bind(this);
      }

      @Get()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return Other;
  },
  'a proxy': () => {
    @Controller('other')
    @UseGuards(AuthplaneGuard)
    class Other {
      constructor() {
        return new Proxy(this, {});
      }

      @Get()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return Other;
  },
  'an object for each request': () => {
    @Controller({ path: 'other', scope: Scope.REQUEST })
    @UseGuards(AuthplaneGuard)
    class Other {
      @Get()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return Other;
  },
  'a class that calls it': () => {
    @Controller('other')
    @UseGuards(AuthplaneGuard)
    class Other {
      @Get('outer')
      outer() {
        return this.get();
      }

      @Get()
      @Scopes('read')
      get() {
        return 'ran';
      }
    }
    return Other;
  },
  'a method that is no route': () => {
    @Controller('other')
    @UseGuards(AuthplaneGuard)
    class Other {
      @Get()
      outer() {
        return 'ran';
      }

      @UseResource('billing')
      inner() {
        return 'ran';
      }
    }
    return Other;
  },
};

let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer();
});
afterAll(() => authorizationServer.close());

describe('13.1: what the guard has judged is not asked about again', () => {
  let running: RunningApp | undefined;
  afterEach(() => running?.close());

  const start = async (controllers: Type[]) => {
    const { issuer } = authorizationServer;
    const module = AuthplaneModule.forRoot({ issuer, resource: RESOURCE, devMode: true });
    running = await startApp({ imports: [module], controllers }, { platform: 'fastify' });
    return running.app;
  };

  test('13.1: Nest runs the method as it was written, with all that was noted on it', async () => {
    const app = await start([Plain]);
    const token = await authorizationServer.issueToken({ aud: [RESOURCE], scope: 'read' });
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${running?.url}/plain/read`, { headers });
    expect(await answer.json()).toEqual({ name: 'read', kept: 1 });
    expect(Object.keys(app.get(Plain))).toEqual([]);
    expect(app.get(Plain).read).toBe(Plain.prototype.read);
  });

  test('13.1: whoever else runs it is asked, and refused where nobody is known', async () => {
    const app = await start([Plain]);
    expect(() => app.get(Plain).read('handler')).toThrow(NoCallerError);
  });

  test.each(Object.entries(others))('13.1: not with %s', (_, make) => {
    const type = make();
    const instance: unknown = new type();
    const isStatic = !Reflect.getMetadata('scope:options', type)?.scope;
    const controllers = new Map([
      [type, { metatype: type, instance, isDependencyTreeStatic: () => isStatic }],
    ]);
    const modules = { values: () => [{ controllers, providers: new Map() }].values() };
    const judged = new JudgedHandlers(modules as never, [], isGuardItself);
    const shown = Reflect.get(instance as object, 'get') as unknown;
    const hide = judged.show();
    expect(Reflect.get(instance as object, 'get')).toBe(shown);
    expect(judged.types.size).toBe(0);
    expect(judged.areAll).toBe(false);
    hide();
  });
});
