import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  Injectable,
  Module,
  type ModuleMetadata,
  UseGuards,
} from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { HttpAdapterHost } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { of } from 'rxjs';
import {
  AuthContext,
  AuthplaneClient,
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleAsyncOptions,
  type AuthplaneModuleOptions,
  type AuthplaneOptionsFactory,
  AuthplaneResource,
  Claims,
  ConfigurationError,
  Public,
  Scopes,
  type VerifiedClaims,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';

@Controller('feature')
@UseGuards(AuthplaneGuard)
class FeatureController {
  constructor(readonly caller: AuthContext) {}

  @Get()
  get(@Claims() claims: VerifiedClaims) {
    return { sub: claims.sub, context: this.caller.claims.sub };
  }
}

/** Imports nothing of ours: a global module's providers are simply there. */
@Module({ controllers: [FeatureController] })
class FeatureModule {}

@Controller('twice')
@UseGuards(AuthplaneGuard)
class TwiceGuardedController {
  @Get()
  get() {
    return 'guarded twice';
  }
}

@Controller('bare')
class BareController {
  @Get()
  get() {
    return 'unguarded';
  }

  @Get('claims')
  claims(@Claims() claims: VerifiedClaims) {
    return claims.sub;
  }

  @Get('open')
  @Public()
  open() {
    return 'open';
  }

  @Get('fails')
  @Public()
  fails() {
    throw new Error('application error');
  }
}

@Controller('public')
@Public()
class PublicController {
  @Get()
  get() {
    return 'public';
  }

  @Get('scoped')
  @Scopes('a:b')
  scoped() {
    return 'scoped';
  }
}

describe.each(platforms)('AuthplaneModule on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp | undefined;

  beforeEach(async () => {
    authorizationServer = await startAuthorizationServer();
  });

  afterEach(async () => {
    await app?.close();
    app = undefined;
    await authorizationServer.close();
  });

  const options = (): AuthplaneModuleOptions => ({
    issuer: authorizationServer.issuer,
    resource: RESOURCE,
    devMode: true,
  });
  const start = async (metadata: ModuleMetadata) => {
    app = await startApp(metadata, { platform });
    return app;
  };
  const bearer = async (claims = {}) => ({
    headers: {
      authorization: `Bearer ${await authorizationServer.issueToken({ aud: [RESOURCE], ...claims })}`,
    },
  });
  const statusOf = async (path: string, init?: RequestInit) =>
    (await fetch(`${app?.url}${path}`, init)).status;

  async function expectProtected(module: AuthplaneModuleAsyncOptions) {
    await start({ imports: [AuthplaneModule.forRootAsync(module), FeatureModule] });
    expect(await statusOf('/feature')).toBe(401);
    const response = await fetch(`${app?.url}/feature`, await bearer({ sub: 'alice' }));
    expect(await response.json()).toEqual({ sub: 'alice', context: 'alice' });
  }

  it('useFactory: protects a feature module that does not import it', async () => {
    await expectProtected({ useFactory: () => options() });
  });

  it('useFactory: injects ConfigService', async () => {
    await expectProtected({
      imports: [
        ConfigModule.forRoot({
          ignoreEnvFile: true,
          load: [() => ({ AUTHPLANE_ISSUER: authorizationServer.issuer })],
        }),
      ],
      inject: [ConfigService],
      useFactory: (config: ConfigService) => ({
        ...options(),
        issuer: config.getOrThrow<string>('AUTHPLANE_ISSUER'),
      }),
    });
  });

  it('useClass: makes the factory class itself', async () => {
    const made = options();
    @Injectable()
    class OptionsFactory implements AuthplaneOptionsFactory {
      createAuthplaneOptions() {
        return Promise.resolve(made);
      }
    }
    await expectProtected({ useClass: OptionsFactory });
  });

  it('useExisting: takes the provider of an imported module', async () => {
    const made = options();
    class ExistingFactory implements AuthplaneOptionsFactory {
      createAuthplaneOptions() {
        return made;
      }
    }
    @Module({ providers: [ExistingFactory], exports: [ExistingFactory] })
    class SettingsModule {}
    await expectProtected({ imports: [SettingsModule], useExisting: ExistingFactory });
  });

  it('forRoot: the same with plain options', async () => {
    await start({ imports: [AuthplaneModule.forRoot(options()), FeatureModule] });
    expect(await statusOf('/feature')).toBe(401);
    expect(await statusOf('/feature', await bearer())).toBe(200);
  });

  it('isGlobal: false hides its providers from modules that do not import it', async () => {
    await expect(
      start({
        imports: [AuthplaneModule.forRoot({ ...options(), isGlobal: false }), FeatureModule],
      }),
    ).rejects.toThrow(/can't resolve dependencies/i);
  });

  it("guard: 'global' protects handlers that carry no guard, and spares @Public()", async () => {
    await start({
      imports: [AuthplaneModule.forRoot({ ...options(), guard: 'global' })],
      controllers: [BareController, PublicController],
    });
    expect(await statusOf('/bare')).toBe(401);
    expect(await statusOf('/bare', await bearer())).toBe(200);
    expect(await statusOf('/bare/open')).toBe(200);
    expect(await statusOf('/public')).toBe(200);
  });

  describe('9.5: a second forRoot', () => {
    const further = () => ({ ...options(), resource: 'http://127.0.0.1:3000/admin/mcp' });

    it.each([
      ['forRoot', () => AuthplaneModule.forRoot(further())],
      ['forRootAsync', () => AuthplaneModule.forRootAsync({ useFactory: further })],
      ['one that is not global', () => AuthplaneModule.forRoot({ ...further(), isGlobal: false })],
    ])('fails the boot and names forFeature: %s', async (_, second) => {
      @Module({ imports: [second()] })
      class AdminModule {}
      const imports = [AuthplaneModule.forRoot({ ...options(), guard: 'global' }), AdminModule];
      await expect(start({ imports })).rejects.toThrow(
        /imported twice: import it once.*AuthplaneModule\.forFeature/,
      );
    });

    it('is not one module that two others import', async () => {
      const once = AuthplaneModule.forRoot(options());
      @Module({ imports: [once] })
      class OtherModule {}
      await start({ imports: [once, OtherModule] });
    });
  });

  it('a handler with scopes stays protected in a public class', async () => {
    await start({
      imports: [AuthplaneModule.forRoot({ ...options(), guard: 'global' })],
      controllers: [PublicController],
    });
    expect(await statusOf('/public/scoped')).toBe(401);
    expect(await statusOf('/public/scoped', await bearer())).toBe(403);
    expect(await statusOf('/public/scoped', await bearer({ scope: 'a:b' }))).toBe(200);
  });

  it('without the guard a route is open, and @Claims() on it fails instead of showing nobody', async () => {
    await start({
      imports: [AuthplaneModule.forRoot(options())],
      controllers: [BareController],
    });
    expect(await statusOf('/bare')).toBe(200);
    expect(await statusOf('/bare/claims', await bearer())).toBe(500);
  });

  it('enforceScopesOnAllRequests asks every request for every advertised scope', async () => {
    await start({
      imports: [
        AuthplaneModule.forRoot({
          ...options(),
          scopes: ['one', 'two'],
          enforceScopesOnAllRequests: true,
        }),
        FeatureModule,
      ],
    });
    expect(await statusOf('/feature', await bearer({ scope: 'one' }))).toBe(403);
    expect(await statusOf('/feature', await bearer({ scope: 'two one' }))).toBe(200);
  });

  it('scopeHierarchy counts where the guard compares scopes', async () => {
    await start({
      imports: [
        AuthplaneModule.forRoot({
          ...options(),
          guard: 'global',
          scopeHierarchy: { 'a:admin': ['a:write'], 'a:write': ['a:b'] },
        }),
      ],
      controllers: [PublicController],
    });
    expect(await statusOf('/public/scoped', await bearer({ scope: 'a:admin' }))).toBe(200);
    expect(await statusOf('/public/scoped', await bearer({ scope: 'a:bad' }))).toBe(403);
  });

  it('the global guard is resolvable and can be replaced in a test', async () => {
    const module = await Test.createTestingModule({
      imports: [AuthplaneModule.forRoot({ ...options(), guard: 'global' })],
      controllers: [BareController],
    })
      .overrideProvider(AuthplaneGuard)
      .useValue({ canActivate: () => true })
      .compile();
    const nest = module.createNestApplication({ logger: false });
    await nest.listen(0, '127.0.0.1');
    expect((await fetch(`${await nest.getUrl()}/bare`)).status).toBe(200);
    await nest.close();
  });

  it('one override covers the global guard and every @UseGuards', async () => {
    const open = { canActivate: () => of(true) }; // a guard may answer with an Observable
    const module = await Test.createTestingModule({
      imports: [AuthplaneModule.forRoot({ ...options(), guard: 'global' })],
      controllers: [BareController, TwiceGuardedController],
    })
      .overrideProvider(AuthplaneGuard)
      .useValue(open)
      .compile();
    const nest = module.createNestApplication({ logger: false });
    await nest.listen(0, '127.0.0.1');
    expect((await fetch(`${await nest.getUrl()}/bare`)).status).toBe(200);
    expect((await fetch(`${await nest.getUrl()}/twice`)).status).toBe(200);
    open.canActivate = () => of(false);
    expect((await fetch(`${await nest.getUrl()}/twice`)).status).toBe(403);
    await nest.close();
  });

  it('a guard on a controller can be replaced with overrideGuard', async () => {
    const module = await Test.createTestingModule({
      imports: [AuthplaneModule.forRoot(options())],
      controllers: [FeatureController],
    })
      .overrideGuard(AuthplaneGuard)
      .useValue({ canActivate: () => false })
      .compile();
    const nest = module.createNestApplication({ logger: false });
    await nest.listen(0, '127.0.0.1');
    expect((await fetch(`${await nest.getUrl()}/feature`)).status).toBe(403);
    await nest.close();
  });

  it('client and resource are injectable by class', async () => {
    const { app: nest } = await start({ imports: [AuthplaneModule.forRoot(options())] });
    expect(nest.get(AuthplaneClient).isReady).toBe(true);
    expect(nest.get(AuthplaneResource).metadataUrl).toBe(
      'http://127.0.0.1:3000/.well-known/oauth-protected-resource/mcp',
    );
  });

  it('a catch-all filter of the application keeps its own errors and does not swallow ours', async () => {
    @Catch()
    class CatchAll implements ExceptionFilter {
      constructor(private readonly host: HttpAdapterHost) {}
      catch(_error: unknown, host: ArgumentsHost) {
        this.host.httpAdapter.reply(host.switchToHttp().getResponse(), { caught: true }, 418);
      }
    }
    app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ ...options(), guard: 'global' })],
        controllers: [BareController],
      },
      {
        platform,
        configure: (nest) => nest.useGlobalFilters(new CatchAll(nest.get(HttpAdapterHost))),
      },
    );
    expect(await statusOf('/bare')).toBe(401);
    expect(await statusOf('/bare/fails')).toBe(418);
  });

  it('filter: false leaves the answer to the application, which reads the public one', async () => {
    await start({
      imports: [AuthplaneModule.forRoot({ ...options(), guard: 'global', filter: false })],
      controllers: [BareController],
    });
    expect(await statusOf('/bare')).toBe(401);
  });

  it('reports all problems of the options in one message at boot', async () => {
    const boot = start({
      imports: [
        AuthplaneModule.forRootAsync({
          useFactory: () => ({ issuer: 'ftp://as', dev_mode: true, clockSkewSeconds: -1 }) as never,
        }),
      ],
    });
    const error = await boot.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as ConfigurationError).problems).toEqual([
      'issuer: must be an absolute https URL, got "ftp://as"',
      'dev_mode: unknown option; did you mean devMode?',
      'clockSkewSeconds: must be a number of seconds from 0 to 120',
      expect.stringMatching(/^resource: give either resource, or baseUrl /),
    ]);
  });

  it('refuses extras that would silently protect nothing', () => {
    expect(() => AuthplaneModule.forRoot({ ...options(), guard: 'globl' as 'global' })).toThrow(
      "guard: must be 'global' or left out",
    );
    const useFactory = () => options();
    const misspelt = { gaurd: 'global', useFactory };
    expect(() => AuthplaneModule.forRootAsync(misspelt as never)).toThrow('gaurd: unknown option');
    const isGlobal = 'yes' as unknown as boolean;
    expect(() => AuthplaneModule.forRootAsync({ isGlobal, useFactory })).toThrow('isGlobal: must');
  });

  it('takes its options from exactly one source', () => {
    const useFactory = () => options();
    for (const sources of [{}, { useFactory, useExisting: 'x' }, { useClass: undefined }]) {
      expect(() => AuthplaneModule.forRootAsync(sources as never)).toThrow(
        'give one of useFactory, useClass and useExisting',
      );
    }
    const { providers = [] } = AuthplaneModule.forRootAsync({
      useClass: undefined,
      useExisting: 'source',
    } as never);
    expect(providers).not.toContain(undefined);
  });

  it.each([
    [
      'another issuer',
      { issuer: 'http://127.0.0.1:1/other' },
      /wrong issuer: configured "[^"]+", but .* calls itself "http:\/\/127\.0\.0\.1:1\/other"/,
    ],
    [
      'no jwks_uri',
      { jwks_uri: undefined },
      /metadata \(http:[^)]*\) has no jwks_uri; it must name the key set/,
    ],
  ])(
    'fails the boot when the authorization server is a wrong one: %s',
    async (_, patch, message) => {
      authorizationServer.overrideMetadata(patch);
      await expect(start({ imports: [AuthplaneModule.forRoot(options())] })).rejects.toThrow(
        message,
      );
    },
  );

  it('fails the boot when the authorization server has no usable key', async () => {
    authorizationServer.overrideJwks({ keys: [] });
    await expect(start({ imports: [AuthplaneModule.forRoot(options())] })).rejects.toThrow(
      'the key set holds no usable key: it is empty',
    );
  });

  it("fails the boot when the authorization server is unreachable and startup is 'eager'", async () => {
    authorizationServer.fail('metadata', { status: 503 });
    await expect(
      start({ imports: [AuthplaneModule.forRoot({ ...options(), startup: 'eager' })] }),
    ).rejects.toThrow('answered with status 503');
  });
});
