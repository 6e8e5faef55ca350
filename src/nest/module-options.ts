import type {
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common';
import { ConfigurationError } from '../core/errors.js';
import type { AuthplaneModuleOptions, FurtherResourceOptions } from '../core/options.js';

/** Injection token of the checked options. Internal: inject `AuthplaneClient` or `AuthplaneResource`. */
export const MODULE_OPTIONS = Symbol('authplane-nestjs:module-options');

/** What has to be known before any provider exists. */
export interface AuthplaneModuleExtras {
  /** Providers are visible in every module without importing this one again. Default `true`. */
  readonly isGlobal?: boolean;
  /** `'global'` guards every handler of the application (`APP_GUARD`). Default: you place the guard. */
  readonly guard?: 'global';
  /** Registers `AuthplaneExceptionFilter` for the whole application. Default `true`. */
  readonly filter?: boolean;
  /** Serves the protected resource metadata (RFC 9728). Default `true`. */
  readonly metadataRoute?: boolean;
}

/** For `useClass` and `useExisting`. */
export interface AuthplaneOptionsFactory {
  createAuthplaneOptions(): AuthplaneModuleOptions | Promise<AuthplaneModuleOptions>;
}

interface AsyncCommon extends AuthplaneModuleExtras, Pick<ModuleMetadata, 'imports'> {}

export interface AuthplaneModuleFactoryOptions extends AsyncCommon {
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  /** Gets what `inject` names, in that order. Annotate the parameters. */
  readonly useFactory: (
    ...dependencies: never[]
  ) => AuthplaneModuleOptions | Promise<AuthplaneModuleOptions>;
}

export interface AuthplaneModuleClassOptions extends AsyncCommon {
  /** Made by the module for this purpose alone. */
  readonly useClass: Type<AuthplaneOptionsFactory>;
}

export interface AuthplaneModuleExistingOptions extends AsyncCommon {
  /** A provider of `imports`. */
  readonly useExisting: InjectionToken<AuthplaneOptionsFactory>;
}

/** Options of `AuthplaneModule.forRootAsync`. */
export type AuthplaneModuleAsyncOptions =
  AuthplaneModuleFactoryOptions | AuthplaneModuleClassOptions | AuthplaneModuleExistingOptions;

/** Options of `AuthplaneModule.forFeature`: a further resource of the same application. */
export type AuthplaneFeatureOptions = FurtherResourceOptions & {
  /** For `@UseResource` and {@link authplaneResource}. */
  readonly name: string;
};

/** Options of `AuthplaneModule.forFeatureAsync`. */
export interface AuthplaneFeatureAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** For `@UseResource` and {@link authplaneResource}; known before anything is injected. */
  readonly name: string;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  /** Gets what `inject` names, in that order. Annotate the parameters. */
  readonly useFactory: (
    ...dependencies: never[]
  ) => FurtherResourceOptions | Promise<FurtherResourceOptions>;
}

/** Injection token of the `AuthplaneResource` that `forFeature` gave this name to. */
export function authplaneResource(name: string): symbol {
  return Symbol.for(`authplane-nestjs:resource:${name}`);
}

/** @throws ConfigurationError */
export function checkFeatureName(name: unknown): void {
  if (typeof name === 'string' && name !== '') return;
  throw new ConfigurationError('forFeature: name is required');
}

/** @throws ConfigurationError: a misspelt extra would be a guard that silently is not there. */
export function checkExtras(extras: AuthplaneModuleExtras): void {
  const problems: string[] = [];
  if (extras.guard !== undefined && extras.guard !== 'global') {
    problems.push(`guard: must be 'global' or left out`);
  }
  for (const name of ['isGlobal', 'filter', 'metadataRoute'] as const) {
    if (extras[name] !== undefined && typeof extras[name] !== 'boolean') {
      problems.push(`${name}: must be true or false`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}
