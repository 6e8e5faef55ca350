import type {
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import {
  booleanProblem,
  type Check,
  functionProblem,
  problemsOf,
} from '../core/lib/option-checks.js';
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
  /**
   * Serves the protected resource metadata (RFC 9728) at the URL of each resource, and that of the main one
   * at the root URL, too; `'path'`: not at the root, for hosts with other endpoints that have no OAuth.
   * Default `true`.
   */
  readonly metadataRoute?: boolean | 'path';
  /**
   * Lets the application start although something that the module can see is open: a transport that a
   * library mounts itself, a WebSocket gateway under `guard: 'global'`, `@Scopes` that nothing enforces, a
   * name in the options that no server has. Each becomes a warning. Default `false`: the boot fails.
   */
  readonly allowUnguarded?: boolean;
  /**
   * Refuses requests to MCP endpoints without an access token, or with one that is not good, before their body is
   * read. Only where all routes of the endpoint are behind `AuthplaneGuard` itself, and nothing else than a token is ever
   * good there (`otherCredentials`, `mcp.authentication`, a resource for each name or path). A challenge names the
   * scopes of the handlers, and not those of the tool that nobody has read yet. Default `false`.
   */
  readonly earlyRefusal?: boolean;
}

/** For `useClass` and `useExisting`. */
export interface AuthplaneOptionsFactory {
  /** Called once, while the module is made. What it throws fails the boot. */
  createAuthplaneOptions(): AuthplaneModuleOptions | Promise<AuthplaneModuleOptions>;
}

/** What all forms of `forRootAsync` take: modules whose providers are injected. */
interface AsyncCommon extends AuthplaneModuleExtras, Pick<ModuleMetadata, 'imports'> {}

/** Tokens of what a factory gets. */
export type InjectionTokens = readonly (InjectionToken | OptionalFactoryDependency)[];

/**
 * What Nest hands in for a token: an instance for a class. Of others the type cannot be known; a
 * parameter of it takes whatever annotation it has.
 */
type Injected<Token> = [Token] extends [abstract new (...parameters: never[]) => infer Instance]
  ? Instance
  : never;

/** What Nest hands in for all of `inject`, in that order. */
export type InjectedAll<Inject extends InjectionTokens> = {
  [Index in keyof Inject]: Injected<Inject[Index]>;
};

/** Options from a function. */
export interface AuthplaneModuleFactoryOptions<
  Inject extends InjectionTokens = InjectionTokens,
> extends AsyncCommon {
  /** Tokens of what the factory gets. Default: nothing. */
  readonly inject?: readonly [...Inject];
  /** Gets what `inject` names, in that order. Annotate parameters whose token is no class. */
  useFactory(
    ...dependencies: InjectedAll<Inject>
  ): AuthplaneModuleOptions | Promise<AuthplaneModuleOptions>;
}

/** Options from a class. */
export interface AuthplaneModuleClassOptions extends AsyncCommon {
  /** Made by the module for this purpose alone. */
  readonly useClass: Type<AuthplaneOptionsFactory>;
}

/** Options from a provider that exists already. */
export interface AuthplaneModuleExistingOptions extends AsyncCommon {
  /** A provider of `imports`. */
  readonly useExisting: InjectionToken<AuthplaneOptionsFactory>;
}

/** Options of `AuthplaneModule.forRootAsync`. */
export type AuthplaneModuleAsyncOptions<Inject extends InjectionTokens = InjectionTokens> =
  | AuthplaneModuleFactoryOptions<Inject>
  | AuthplaneModuleClassOptions
  | AuthplaneModuleExistingOptions;

/** Options of `AuthplaneModule.forFeature`: a further resource of the same application. */
export type AuthplaneFeatureOptions = FurtherResourceOptions & {
  /** For `@UseResource` and {@link authplaneResource}. */
  readonly name: string;
};

/** Options of `AuthplaneModule.forFeatureAsync`. */
export interface AuthplaneFeatureAsyncOptions<
  Inject extends InjectionTokens = InjectionTokens,
> extends Pick<ModuleMetadata, 'imports'> {
  /** For `@UseResource` and {@link authplaneResource}; known before anything is injected. */
  readonly name: string;
  /** Tokens of what the factory gets. Default: nothing. */
  readonly inject?: readonly [...Inject];
  /** Gets what `inject` names, in that order. Annotate parameters whose token is no class. */
  useFactory(
    ...dependencies: InjectedAll<Inject>
  ): FurtherResourceOptions | Promise<FurtherResourceOptions>;
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

const leftToNest: Check = () => undefined;
const asyncChecks: Readonly<Record<string, Check>> = {
  guard: (value) => (value === 'global' ? undefined : `must be 'global' or left out`),
  isGlobal: booleanProblem,
  filter: booleanProblem,
  metadataRoute: (value) =>
    value === 'path' || typeof value === 'boolean' ? undefined : `must be true, 'path' or false`,
  allowUnguarded: booleanProblem,
  earlyRefusal: booleanProblem,
  imports: leftToNest,
  inject: leftToNest,
  useFactory: functionProblem,
  useClass: functionProblem,
  useExisting: leftToNest,
};

/** @throws ConfigurationError: a misspelt extra would be a guard that silently is not there. */
export function checkAsyncOptions(options: AuthplaneModuleAsyncOptions): void {
  const problems = problemsOf(options, asyncChecks, false);
  const { useFactory, useClass, useExisting } = sourcesOf(options);
  const given = [useFactory, useClass, useExisting].filter((source) => source !== undefined);
  if (given.length !== 1) problems.push('give one of useFactory, useClass and useExisting');
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** Of the three, those that are there. */
export function sourcesOf(
  options: AuthplaneModuleAsyncOptions,
): Partial<
  Pick<AuthplaneModuleFactoryOptions, 'useFactory' | 'inject'> &
    Pick<AuthplaneModuleClassOptions, 'useClass'> &
    Pick<AuthplaneModuleExistingOptions, 'useExisting'>
> {
  return options;
}
