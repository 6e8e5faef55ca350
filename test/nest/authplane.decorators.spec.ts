import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyDecorators, Controller, Get, UseGuards } from '@nestjs/common';
import {
  AnyScope,
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  ConfigurationError,
  Public,
  Scopes,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { type RunningApp, startApp } from '../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';
const Admin = () => applyDecorators(UseGuards(AuthplaneGuard), Scopes('admin'));

@Scopes('base')
class BaseController {}

@Controller()
@UseGuards(AuthplaneGuard)
@Scopes('own')
class StackedController extends BaseController {
  constructor(private readonly caller: AuthContext) {
    super();
  }

  @Get('stacked')
  @Scopes('a')
  @Scopes('b')
  stacked() {
    return 'stacked';
  }

  @Get('composed')
  @Scopes('x')
  @Admin()
  composed() {
    return 'composed';
  }

  @Get('alternatives')
  @AnyScope('a', 'b')
  @AnyScope('c', 'd')
  alternatives() {
    return 'alternatives';
  }

  @Get('late')
  @Scopes('a')
  late() {
    this.caller.requireScope('z');
    return 'late';
  }

  @Get('open')
  @Public()
  open() {
    return 'open';
  }
}

@Controller('mixed')
@UseGuards(AuthplaneGuard)
class MixedController {
  @Get('all')
  @Public()
  @Scopes('a')
  all() {
    return 'never without a token';
  }

  @Get('any')
  @AnyScope('a', 'b')
  @Public()
  any() {
    return 'never without a token';
  }

  @Get('open')
  @Public()
  open() {
    return 'for all';
  }
}

@Controller('contradiction')
@UseGuards(AuthplaneGuard)
@Public()
@Scopes('own')
class ContradictingController {
  @Get()
  get() {
    return 'never without a token';
  }
}

describe('scope requirements add up', () => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ issuer, resource: RESOURCE, devMode: true })],
        controllers: [StackedController, MixedController, ContradictingController],
      },
      { platform: 'express' },
    );
  });
  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
  });

  const get = async (path: string, scope: string) => {
    const token = await authorizationServer.issueToken({ aud: [RESOURCE], scope });
    const headers = { authorization: `Bearer ${token}` };
    return fetch(`${app.url}/${path}`, { headers });
  };

  it.each([
    ['stacked decorators', 'stacked', 'own base a b'],
    ['a composed decorator', 'composed', 'own base x admin'],
    ['groups of alternatives', 'alternatives', 'own base a c'],
  ])('%s', async (_, path, all) => {
    const scopes = all.split(' ');
    for (const left of scopes) {
      const response = await get(path, scopes.filter((scope) => scope !== left).join(' '));
      expect([left, response.status]).toEqual([left, 403]);
      expect(response.headers.get('www-authenticate')).toContain(`scope="${all}"`);
      expect(await response.json()).toEqual({ error: 'insufficient_scope', scope: all });
    }
    expect((await get(path, all)).status).toBe(200);
  });

  it.each(['mixed/all', 'mixed/any'])(
    '9.25: scopes win over @Public() on one handler, in either order: %s',
    async (path) => {
      expect((await fetch(`${app.url}/${path}`)).status).toBe(401);
      expect((await get(path, 'other')).status).toBe(403);
      expect((await get(path, 'a')).status).toBe(200);
      expect((await fetch(`${app.url}/mixed/open`)).status).toBe(200);
    },
  );

  it('what only the handler knows is added to what was needed before', async () => {
    const response = await get('late', 'own base a');
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toContain('scope="own base a z"');
    expect(await response.json()).toMatchObject({ scope: 'own base a z' });
    expect((await get('late', 'own base a z')).status).toBe(200);
  });

  it('@Public on a handler opens it, on a class with scopes it does not', async () => {
    expect((await fetch(`${app.url}/open`)).status).toBe(200);
    expect((await fetch(`${app.url}/contradiction`)).status).toBe(401);
    expect((await get('contradiction', '')).status).toBe(403);
  });

  it('does not touch the base class', () => {
    @Scopes('other')
    class Other extends BaseController {}
    expect(Reflect.getMetadataKeys(Other)).not.toEqual([]);
    const [key] = Reflect.getMetadataKeys(BaseController) as symbol[];
    expect(Reflect.getMetadata(key!, BaseController)).toEqual({ all: ['base'], anyOf: [] });
  });

  it.each([[undefined], [null], [''], ['a b'], [1]])('refuses %p as a scope', (scope) => {
    expect(() => Scopes(scope as string)).toThrow(ConfigurationError);
    expect(() => AnyScope('good', scope as string)).toThrow(ConfigurationError);
  });
});
