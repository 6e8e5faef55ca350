import {
  type DynamicModule,
  type InjectionToken,
  Module,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, ModuleRef } from '@nestjs/core';
import { AuthplaneClient } from '../core/client.js';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import { isScopeToken } from '../core/lib/scopes.js';
import type { ResolvedModuleOptions } from '../core/options.js';
import { type InjectedAll, type InjectionTokens, MODULE_OPTIONS } from '../nest/module-options.js';
import { ProtectedResources } from '../nest/resources/protected-resources.js';
import { gatewayController } from './gateway.controller.js';
import { McpGateway } from './gateway.js';
import { gatewayToken, gatewayUpstreamsToken, UPSTREAM_TOKEN_STRATEGY } from './gateway-tokens.js';
import { GatewayUpstreams } from './gateway-upstreams.js';
import { type AuthplaneGatewayOptions, resolveGateway } from './options/gateway-options.js';
import { ToolDiscovery } from './local/tool-discovery.js';
import type { UpstreamTokenFunction } from './options/token-strategy.js';
import { UpstreamRegistry } from './listing/upstream-registry.js';

/** What has to be known before any provider exists. */
export interface GatewayModuleExtras {
  /**
   * The module registers a controller at this path, below the global prefix, with `AuthplaneGuard` and as
   * an `@McpEndpoint()`. Default: none; a controller of yours calls `McpGateway.serve`.
   */
  readonly path?: string;
  /** With `path`: scopes that every request needs. Default: none. */
  readonly scopes?: readonly string[];
  /**
   * A further gateway, for the resource that `AuthplaneModule.forFeature` gave the same name to; it is
   * injected by `gatewayToken(name)`. Default: the gateway of the main resource, injected by class.
   */
  readonly name?: string;
}

/** For `useClass` and `useExisting`. */
export interface AuthplaneGatewayOptionsFactory {
  /** Called once, while the module is made. What it throws fails the boot. */
  createGatewayOptions(): AuthplaneGatewayOptions | Promise<AuthplaneGatewayOptions>;
}

/** Options of {@link AuthplaneGatewayModule.forRoot}. */
export type GatewayModuleOptions = AuthplaneGatewayOptions & GatewayModuleExtras;

/** Options of {@link AuthplaneGatewayModule.forRootAsync}: one of the three sources. */
export interface GatewayModuleAsyncOptions<Inject extends InjectionTokens = InjectionTokens>
  extends GatewayModuleExtras, Pick<ModuleMetadata, 'imports'> {
  /** Tokens of what the factory gets. Default: nothing. */
  readonly inject?: readonly [...Inject];
  /** Gets what `inject` names, in that order. Default: one of the other two is given. */
  readonly useFactory?: (
    ...dependencies: InjectedAll<Inject>
  ) => AuthplaneGatewayOptions | Promise<AuthplaneGatewayOptions>;
  /** Made by the module for this purpose alone. Default: one of the other two is given. */
  readonly useClass?: Type<AuthplaneGatewayOptionsFactory>;
  /** A provider of `imports`. Default: one of the other two is given. */
  readonly useExisting?: InjectionToken<AuthplaneGatewayOptionsFactory>;
}

/**
 * One guarded MCP endpoint in front of many MCP servers. Import it beside `AuthplaneModule`, whose client,
 * guard and resource it uses.
 *
 * Provides `McpGateway` and `GatewayUpstreams`.
 */
@Module({})
export class AuthplaneGatewayModule {
  /**
   * A gateway with options that are known when the file is loaded.
   *
   * @throws ConfigurationError for a wrong path, name or scope; wrong options are reported at boot, all
   * at once.
   *
   * @example
   * AuthplaneGatewayModule.forRoot({
   *   path: 'mcp',
   *   upstreams: {
   *     calendar: {
   *       url: 'https://calendar.example.com/mcp',
   *       token: exchange({ scope: 'calendar.read' }),
   *     },
   *   },
   * });
   */
  static forRoot({ path, scopes, name, ...options }: GatewayModuleOptions): DynamicModule {
    return AuthplaneGatewayModule.forRootAsync({
      ...(path === undefined ? {} : { path }),
      ...(scopes === undefined ? {} : { scopes }),
      ...(name === undefined ? {} : { name }),
      useFactory: () => options,
    });
  }

  /**
   * A gateway with options that a factory, a class or a provider makes at boot.
   *
   * @throws ConfigurationError for a wrong path, name, scope or source; wrong options are reported at
   * boot, all at once.
   */
  static forRootAsync<Inject extends InjectionTokens>(
    options: GatewayModuleAsyncOptions<Inject>,
  ): DynamicModule {
    const { path, name, scopes = [], imports = [] } = options;
    checkExtras(options);
    const raw = Symbol('authplane-nestjs:gateway-options');
    const registry = Symbol('authplane-nestjs:gateway-registry');
    return {
      module: AuthplaneGatewayModule,
      imports: [DiscoveryModule, ...imports],
      controllers: path === undefined ? [] : [gatewayController({ path, name, scopes })],
      providers: [
        ...optionsProviders(raw, options),
        {
          provide: registry,
          inject: [
            raw,
            AuthplaneClient,
            MODULE_OPTIONS,
            { token: UPSTREAM_TOKEN_STRATEGY, optional: true },
          ],
          useFactory: createRegistry,
        },
        {
          provide: gatewayToken(name),
          inject: [registry, ProtectedResources, DiscoveryService, ModuleRef],
          useFactory: (
            made: UpstreamRegistry,
            resources: ProtectedResources,
            discovery: DiscoveryService,
            modules: ModuleRef,
          ) => {
            const tools = new ToolDiscovery(discovery, modules, (one) => resources.endpoint(one));
            const protectedBy = () => resources.endpoint(name);
            const discover = () => tools.toolsOf(name, made.options);
            return new McpGateway(made, protectedBy, resources.events, discover);
          },
        },
        {
          provide: gatewayUpstreamsToken(name),
          inject: [registry, ProtectedResources],
          useFactory: (made: UpstreamRegistry, resources: ProtectedResources) =>
            new GatewayUpstreams(made, () => resources.endpoint(name)),
        },
      ],
      exports: [gatewayToken(name), gatewayUpstreamsToken(name)],
    };
  }
}

function createRegistry(
  options: AuthplaneGatewayOptions,
  client: AuthplaneClient,
  module: ResolvedModuleOptions,
  strategy?: UpstreamTokenFunction,
): UpstreamRegistry {
  const { devMode } = client;
  return new UpstreamRegistry(resolveGateway(options, devMode, strategy), client, module);
}

function optionsProviders<Inject extends InjectionTokens>(
  raw: symbol,
  { useFactory, inject, useClass, useExisting }: GatewayModuleAsyncOptions<Inject>,
): Provider[] {
  if (useFactory !== undefined) {
    return [{ provide: raw, inject: [...(inject ?? [])], useFactory: useFactory as () => unknown }];
  }
  const source = useExisting ?? useClass;
  if (source === undefined) return []; // refused before
  return [
    ...(useClass === undefined ? [] : [useClass]),
    {
      provide: raw,
      inject: [source],
      useFactory: (factory: AuthplaneGatewayOptionsFactory) => factory.createGatewayOptions(),
    },
  ];
}

/** @throws ConfigurationError */
function checkExtras(
  options: Omit<GatewayModuleAsyncOptions, 'inject' | 'useFactory'> & {
    readonly useFactory?: unknown;
  },
): void {
  const { path, name, scopes = [], useFactory, useClass, useExisting } = options;
  const problems: string[] = [];
  if (path !== undefined && typeof path !== 'string') problems.push('path: must be a path');
  if (name !== undefined && (typeof name !== 'string' || name === '')) {
    problems.push('name: must be the name of a resource of AuthplaneModule.forFeature');
  }
  if (!Array.isArray(scopes) || !scopes.every(isScopeToken))
    problems.push('scopes: must be scopes');
  else if (scopes.length > 0 && path === undefined) {
    problems.push('scopes: only with path; put @Scopes on a controller of your own');
  }
  const sources = [useFactory, useClass, useExisting].filter((one) => one !== undefined);
  if (sources.length !== 1) problems.push('give one of useFactory, useClass and useExisting');
  if (problems.length > 0) throw new ConfigurationError(problems.map((one) => `gateway: ${one}`));
}
