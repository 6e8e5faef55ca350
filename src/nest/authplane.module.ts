import {
  type CanActivate,
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Module,
  type NestModule,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import {
  APP_GUARD,
  ApplicationConfig,
  DiscoveryModule,
  DiscoveryService,
  HttpAdapterHost,
  ModulesContainer,
} from '@nestjs/core';
import { AuthplaneClient } from '../core/client.js';
import type { AuthplaneModuleOptions, ResolvedModuleOptions } from '../core/options.js';
import { AuthplaneResource } from '../core/resource.js';
import type { ScopeNeeds } from '../core/lib/scopes.js';
import { AfterBootstrap, AfterBootstrapModule } from './boot/after-bootstrap.js';
import { AuthContext } from './auth-context.js';
import { AuthplaneExceptionFilter } from './authplane.exception-filter.js';
import {
  ACTIVE_GUARD,
  AuthplaneGuard,
  isGuardItself,
  isGuardReplaced,
  moveToHead,
} from './authplane.guard.js';
import { appliesMiddleware, AuthplaneMiddleware } from './authplane.middleware.js';
import { AuthplaneOperations } from './authplane-operations.js';
import { BootInspection, refuseSecond } from './boot/boot-inspection.js';
import { EarlyRefusal } from './early-refusal.js';
import { FrontOfRoutes } from './front/front-of-routes.js';
import { CarriedCallers } from './context/carried-callers.js';
import { Unasked } from './context/lookups.js';
import { restoreGuards } from './context/handler-places.js';
import {
  type AuthplaneFeatureAsyncOptions,
  type AuthplaneFeatureOptions,
  type AuthplaneModuleAsyncOptions,
  type AuthplaneModuleExtras,
  authplaneResource,
  checkAsyncOptions,
  checkFeatureName,
  type InjectedAll,
  type InjectionTokens,
  MODULE_OPTIONS,
} from './module-options.js';
import { ProtectedResources } from './resources/protected-resources.js';
import { Refusals } from './refusals/refusals.js';
import { resourceMetadataRoute } from './front/resource-metadata.route.js';
import { watchTrailingSlash } from './front/trailing-slash.js';
import {
  addResource,
  coreProviders,
  defined,
  MODULE_EXTRAS,
  optionsObject,
} from './module-providers.js';
import { SelfCheck } from './boot/self-check.js';

/** Nest tells dynamic modules apart by their content; a class of its own keeps the hooks of the main one single. */
@Module({})
class AuthplaneFeatureModule {}

/**
 * Protects the application as one OAuth 2.1 resource: import it once, in the root module.
 *
 * Provides `AuthplaneClient`, `AuthplaneResource`, `AuthplaneGuard` and `AuthContext` to every
 * module, answers refusals with challenges, and serves the protected resource metadata.
 */
@Module({})
export class AuthplaneModule
  implements NestModule, OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown
{
  readonly #callers: CarriedCallers;
  readonly #front = new FrontOfRoutes();
  #selfCheck: SelfCheck | undefined;

  /** @internal Made by Nest. */
  constructor(
    private readonly client: AuthplaneClient,
    private readonly filter: AuthplaneExceptionFilter,
    @Inject(ACTIVE_GUARD) private readonly guard: CanActivate,
    private readonly adapterHost: HttpAdapterHost,
    private readonly applicationConfig: ApplicationConfig,
    private readonly modules: ModulesContainer,
    private readonly discovery: DiscoveryService,
    private readonly resources: ProtectedResources,
    private readonly afterBootstrap: AfterBootstrap,
    @Inject(MODULE_OPTIONS) private readonly options: ResolvedModuleOptions,
    @Inject(MODULE_EXTRAS) private readonly extras: AuthplaneModuleExtras,
    private readonly refusals: Refusals,
    private readonly earlyRefusal: EarlyRefusal,
  ) {
    const telling = [AuthContext, AuthplaneOperations];
    this.#callers = new CarriedCallers(resources, modules, {
      telling,
      middleware: AuthplaneMiddleware,
      guard: AuthplaneGuard,
      isGuard: isGuardItself,
    });
    this.#front.stand(adapterHost.httpAdapter);
  }

  /**
   * The module with options that are known when the file is loaded. Import it once, in the root module.
   *
   * @throws ConfigurationError for wrong extras; wrong options are reported at boot.
   *
   * @example
   * AuthplaneModule.forRoot({
   *   issuer: 'https://auth.example.com',
   *   baseUrl: 'https://mcp.example.com',
   *   scopes: ['tools/query'],
   *   guard: 'global',
   * });
   */
  static forRoot(options: AuthplaneModuleOptions & AuthplaneModuleExtras): DynamicModule {
    const { isGlobal, guard, filter, metadataRoute, allowUnguarded, earlyRefusal, ...rest } =
      optionsObject(options);
    const given = { isGlobal, guard, filter, metadataRoute, allowUnguarded, earlyRefusal };
    const extras = defined(given);
    return AuthplaneModule.forRootAsync({ ...extras, useFactory: () => rest });
  }

  /**
   * The module with options that a factory, a class or a provider makes at boot.
   *
   * @throws ConfigurationError for wrong extras; wrong options are reported at boot.
   *
   * @example
   * AuthplaneModule.forRootAsync({
   *   inject: [ConfigService],
   *   useFactory: (config) => ({
   *     issuer: config.getOrThrow<string>('AUTHPLANE_ISSUER'),
   *     baseUrl: config.getOrThrow<string>('AUTHPLANE_BASE_URL'),
   *   }),
   * });
   */
  static forRootAsync<Inject extends InjectionTokens>(
    options: AuthplaneModuleAsyncOptions<Inject>,
  ): DynamicModule {
    checkAsyncOptions(options);
    return {
      module: AuthplaneModule,
      global: options.isGlobal ?? true,
      imports: [AfterBootstrapModule, DiscoveryModule, ...(options.imports ?? [])],
      providers: [
        ...coreProviders(options),
        AuthContext,
        Unasked,
        AuthplaneGuard,
        { provide: ACTIVE_GUARD, useExisting: AuthplaneGuard },
        AuthplaneMiddleware,
        AuthplaneOperations,
        Refusals,
        AuthplaneExceptionFilter,
        EarlyRefusal,
        ...(options.guard === 'global'
          ? [{ provide: APP_GUARD, useExisting: AuthplaneGuard }]
          : []),
      ],
      exports: [
        MODULE_OPTIONS,
        AuthplaneClient,
        AuthplaneResource,
        ProtectedResources,
        AuthContext,
        AuthplaneGuard,
        Refusals,
        AuthplaneExceptionFilter,
        AuthplaneMiddleware,
        AuthplaneOperations,
      ],
    };
  }

  /**
   * A further resource of the application, with its own path, audience, scopes and metadata document;
   * `@UseResource(name)` puts handlers under it. Shares the authorization server of `forRoot`, and what
   * protects its resource unless said otherwise here.
   *
   * @throws ConfigurationError without a name; wrong options are reported at boot.
   */
  static forFeature({ name, ...options }: AuthplaneFeatureOptions): DynamicModule {
    return AuthplaneModule.forFeatureAsync({ name, useFactory: () => options });
  }

  /**
   * As {@link forFeature}, with options that a factory makes at boot.
   *
   * @throws ConfigurationError without a name; wrong options are reported at boot.
   */
  static forFeatureAsync<Inject extends InjectionTokens>(
    feature: AuthplaneFeatureAsyncOptions<Inject>,
  ): DynamicModule {
    const { name, imports = [], inject = [] } = feature;
    checkFeatureName(name);
    const token = authplaneResource(name);
    const options = Symbol(`authplane-nestjs:options:${name}`);
    return {
      module: AuthplaneFeatureModule,
      imports,
      providers: [
        {
          provide: options,
          inject: [...inject],
          useFactory: (...dependencies: InjectedAll<Inject>) => feature.useFactory(...dependencies),
        },
        {
          provide: token,
          inject: [ProtectedResources, AuthplaneClient, MODULE_OPTIONS, options],
          useFactory: addResource(name),
        },
      ],
      exports: [token],
    };
  }

  /**
   * Runs before any route is registered, which is what all of it needs: the metadata has to stand in
   * front of wildcard routes, what a request carries in front of all that asks for it, our guard in
   * front of others that want to know the caller, and our filter behind the application's own in the
   * list, because Nest asks the last one first. It takes only our own errors, so a catch-all filter
   * keeps all others.
   *
   * @throws ConfigurationError for handlers that nobody could guard.
   */
  configure(): void {
    const { applicationConfig, extras, modules, resources } = this;
    const { httpAdapter } = this.adapterHost;
    const hasFilter = extras.filter ?? true;
    resources.isEnforced = !isGuardReplaced(this.guard, modules);
    restoreGuards(modules);
    const uris = resources.endpoints.flatMap(({ known }) => known.map((one) => one.resource));
    const atRoot = extras.metadataRoute === 'path' ? undefined : resources.main;
    this.#front.begin(httpAdapter, {
      metadata: extras.metadataRoute !== false && resourceMetadataRoute(resources.all(), atRoot),
      onUnserved: watchTrailingSlash(uris, (message) => this.#warn([message])),
    });
    if (extras.earlyRefusal === true) this.earlyRefusal.install(httpAdapter);
    if (extras.guard === 'global') moveToHead(applicationConfig.getGlobalGuards(), this.guard);
    this.#callers.beforeRoutes(httpAdapter, applicationConfig);
    this.refusals.comeFirst(modules, applicationConfig, hasFilter);
    if (hasFilter) applicationConfig.addGlobalFilter(this.filter);
  }

  /**
   * Called by Nest: looks for what is open, and reads the authorization server's documents.
   *
   * @throws MetadataFetchError, JWKSFetchError, MissingMetadataEndpointError for a wrong server.
   * @throws ConfigurationError for what is not as protected as it says.
   */
  async onModuleInit(): Promise<void> {
    this.resources.isEnforced = !isGuardReplaced(this.guard, this.modules);
    this.#callers.afterRoutes();
    try {
      const { needs, report } = this.#inspect();
      this.earlyRefusal.begin(report.routes);
      await this.client.start();
      await this.#compareWithServer(needs);
    } catch (error) {
      this.client.close();
      throw error;
    }
    this.#callers.begin();
  }

  #inspect(): BootInspection {
    refuseSecond(AuthplaneModule, this.modules);
    const { applicationConfig: config, adapterHost, extras } = this;
    const { modules, discovery, resources } = this;
    // Where it stands only requests can tell, and these are what the self-check sends.
    const isMiddlewareApplied = this.options.selfCheck && appliesMiddleware(modules, adapterHost);
    const application = { modules, discovery, resources, config, adapterHost, extras };
    const inspection = new BootInspection({ ...application, isMiddlewareApplied });
    this.#warn([...this.options.warnings, ...inspection.atStart()]);
    this.afterBootstrap.run(() => this.#finish(inspection));
    return inspection;
  }

  /** Once its documents are there, for which a start does not wait. */
  async #compareWithServer(needs: ScopeNeeds): Promise<void> {
    const { client, options } = this;
    const compared = client
      .unmetSettings(options.resource, needs)
      .then((unmet) => this.#warn(unmet));
    if (client.isReady) await compared;
  }

  /** @throws ConfigurationError for hosts that run something else than their decorators say. */
  #finish(inspection: BootInspection): void {
    try {
      this.#warn(inspection.afterBootstrap());
    } catch (error) {
      this.onApplicationShutdown();
      throw error;
    }
    this.#watchItself(inspection);
    inspection.announce(this.client);
  }

  #watchItself(inspection: BootInspection): void {
    const { resource, selfCheck } = this.options;
    if (!selfCheck) return;
    const isHosted = resource.resourceMetadataUrl !== undefined;
    this.#selfCheck = new SelfCheck(
      inspection.checkedResources(this.extras),
      inspection.checkedTemplates(this.extras, isHosted),
      (message) => this.#warn([message]),
    );
    this.#selfCheck.watch(this.adapterHost);
  }

  #warn(warnings: readonly string[]): void {
    for (const text of warnings) {
      this.resources.events.emit({ type: 'set_up', text, isDoubtful: true });
    }
  }

  /** Before the server waits for its last answer: these have no end of their own. */
  beforeApplicationShutdown(): void {
    this.#selfCheck?.stop();
    this.resources.streams.endAll();
  }

  /** After the server has answered its last request: verification works until then. */
  onApplicationShutdown(): void {
    this.#callers.end();
    this.client.close();
  }
}
