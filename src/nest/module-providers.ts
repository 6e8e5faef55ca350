import type { Provider } from '@nestjs/common';
import { AuthplaneClient } from '../core/client.js';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import { Events } from '../core/events.js';
import {
  type FurtherResourceOptions,
  resolveFurtherOptions,
  type ResolvedModuleOptions,
  resolveModuleOptions,
} from '../core/options.js';
import { AuthplaneResource } from '../core/resource.js';
import { loggedEvents } from './log/event-log.js';
import {
  type AuthplaneModuleAsyncOptions,
  type AuthplaneModuleExtras,
  type AuthplaneOptionsFactory,
  MODULE_OPTIONS,
  sourcesOf,
} from './module-options.js';
import { ProtectedResources } from './resources/protected-resources.js';

export const MODULE_EXTRAS = Symbol('authplane-nestjs:module-extras');

/** The options of `forRoot`, and what is made of them. */
export function coreProviders(options: AuthplaneModuleAsyncOptions): Provider[] {
  return [
    ...optionsProviders(options),
    { provide: MODULE_EXTRAS, useValue: options },
    { provide: Events, useFactory: loggedEvents },
    clientProvider,
    resourceProvider,
    resourcesProvider,
  ];
}

const clientProvider: Provider = {
  provide: AuthplaneClient,
  inject: [MODULE_OPTIONS, Events],
  useFactory: ({ client }: ResolvedModuleOptions, events: Events) =>
    new AuthplaneClient({
      ...client,
      onBackgroundFailure: (error) => {
        events.emit({ type: 'background_failure', error });
        client.onBackgroundFailure(error);
      },
    }),
};

const resourceProvider: Provider = {
  provide: AuthplaneResource,
  inject: [AuthplaneClient, MODULE_OPTIONS],
  useFactory: (client: AuthplaneClient, { resource }: ResolvedModuleOptions) =>
    client.resolvedResource(resource),
};

const resourcesProvider: Provider = {
  provide: ProtectedResources,
  inject: [AuthplaneResource, MODULE_OPTIONS, MODULE_EXTRAS, Events],
  useFactory: (
    resource: AuthplaneResource,
    options: ResolvedModuleOptions,
    { metadataRoute }: AuthplaneModuleExtras,
    events: Events,
  ) =>
    new ProtectedResources(resource, options, {
      events,
      isMainAtRoot: metadataRoute !== 'path',
      clock: options.client.clock,
    }),
};

export function addResource(name: string) {
  return (
    resources: ProtectedResources,
    client: AuthplaneClient,
    module: ResolvedModuleOptions,
    options: FurtherResourceOptions,
  ): AuthplaneResource => {
    const { resource: resolved, ...guard } = resolveFurtherOptions(options, module);
    const resource = client.resolvedResource(resolved);
    resources.add(name, resource, guard);
    for (const warning of guard.warnings) {
      resources.events.emit({ type: 'set_up', text: `${name}: ${warning}`, isDoubtful: true });
    }
    return resource;
  };
}

/** JavaScript may leave it out; then there is nothing to name in a message but this. */
export function optionsObject<Options extends object>(options: Options): Options {
  const given: unknown = options;
  if (typeof given === 'object' && given !== null) return options;
  throw new ConfigurationError('forRoot: the options must be an object');
}

function optionsProviders(options: AuthplaneModuleAsyncOptions): Provider[] {
  const { useFactory, inject = [], useClass, useExisting } = sourcesOf(options);
  if (useFactory !== undefined) {
    return [
      {
        provide: MODULE_OPTIONS,
        inject: [...inject],
        useFactory: async (...dependencies: never[]) =>
          resolveModuleOptions(await useFactory(...dependencies)),
      },
    ];
  }
  const source = useExisting ?? useClass;
  if (source === undefined) return []; // refused before
  return [
    ...(useClass === undefined ? [] : [useClass]),
    {
      provide: MODULE_OPTIONS,
      inject: [source],
      useFactory: async (factory: AuthplaneOptionsFactory) =>
        resolveModuleOptions(await factory.createAuthplaneOptions()),
    },
  ];
}

/** Only what was given: under exactOptionalPropertyTypes an absent option is not an undefined one. */
export function defined(extras: {
  [Name in keyof AuthplaneModuleExtras]: unknown;
}): AuthplaneModuleExtras {
  return Object.fromEntries(Object.entries(extras).filter(([, value]) => value !== undefined));
}
