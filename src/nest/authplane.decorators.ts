import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import type { ScopeNeeds } from '../core/lib/scopes.js';
import { isScopeToken } from '../core/lib/scopes.js';
import type { VerifiedClaims } from '../core/token/verified-claims.js';
import {
  type MarkedTarget,
  markListing,
  markMcpEndpoint,
  markNeeds,
  markPublic,
  markResource,
  type Method,
} from './marks/handler-marks.js';
import type { AllowRule } from './callers/allow-rule.js';
import { checkedMethod, checkMethodsOf } from './context/method-check.js';
import { callerOf, holderOf, requestOf, requestState } from './http/request.js';

/** Last argument of `@Scopes` and `@AnyScope` on MCP tools, resources and prompts. */
export interface ScopesOptions {
  /** Whether lists show the operation to callers without the scopes. Default `'show'`. */
  readonly list: 'show' | 'hide';
}

/** Scopes, and options behind them if there are any. */
type ScopesArguments = string[] | [...scopes: string[], options: ScopesOptions];

/**
 * The handler, or every handler of the class, needs all of these scopes. Requirements of class and
 * handler add up. The guard answers 403 with a challenge that names them (RFC 6750 §3.1).
 *
 * Also on methods that an MCP library runs as tools, resources or prompts (`@Tool`, `@Resource`,
 * `@ResourceTemplate`, `@Prompt` of MCP-Nest): the guard of the MCP endpoint decides before dispatch.
 * With `{ list: 'hide' }` as the last argument, callers without the scopes are not shown the operation.
 *
 * Several on one target, directly or inside composed decorators, add up, too, as do those of base
 * classes. Marks only; the guard enforces, so put `AuthplaneGuard` on the route or make it global.
 *
 * @throws ConfigurationError when the list is empty or holds something that is not a scope.
 */
export function Scopes(...scopes: ScopesArguments): ClassDecorator & MethodDecorator {
  return scopesDecorator('@Scopes', scopes, (all) => ({ all, anyOf: [] }));
}

/**
 * The handler, or every handler of the class, needs at least one of these scopes. Name the least
 * powerful first: it is the one a challenge asks for. Adds up with `@Scopes` and with the class.
 *
 * @throws ConfigurationError when the list is empty or holds something that is not a scope.
 */
export function AnyScope(...scopes: ScopesArguments): ClassDecorator & MethodDecorator {
  return scopesDecorator('@AnyScope', scopes, (any) => ({ all: [], anyOf: [any] }));
}

/**
 * The handler, every handler of the class, or the tool, resource or prompt, is for callers of whom the
 * rule says `true`: by roles and other claims, by the user, by arguments. Adds up with `@Scopes`, and is asked
 * after the scopes and the option `user`, and once more where the method runs, for whoever has called it. Anything else is a 403 without a
 * challenge; what the rule throws, and more than 5 seconds, a 503. Lists do not ask it.
 *
 * @throws ConfigurationError for what is no function.
 */
export function Allow<User = unknown>(rule: AllowRule<User>): ClassDecorator & MethodDecorator {
  if (typeof rule !== 'function')
    throw new ConfigurationError('@Allow: the rule must be a function');
  const needs = { all: [], anyOf: [], rules: [rule as AllowRule] };
  return protectingDecorator('@Allow', (marked) => markNeeds(marked, needs));
}

/**
 * Lets everybody in: the guard neither looks for a token nor verifies one, so no caller is known.
 * Scopes win: a handler with scopes of its own stays protected in a public class, and so does every
 * handler of a class that has both.
 */
export function Public(): ClassDecorator & MethodDecorator {
  return markingDecorator('@Public', markPublic);
}

/**
 * The routes of the class are an MCP endpoint, although their path is another one than that of the
 * resource, behind a proxy that rewrites it for example. JSON-RPC is judged on every path; this also
 * checks `Origin` on requests without a body, and refuses bodies that nobody has parsed.
 */
export function McpEndpoint(): ClassDecorator {
  return markMcpEndpoint;
}

/**
 * The handler, or every handler of the class, belongs to the resource that `AuthplaneModule.forFeature`
 * gave this name to: tokens have to be issued for that one, and challenges point to its metadata.
 */
export function UseResource(name: string): ClassDecorator & MethodDecorator {
  return protectingDecorator('@UseResource', (marked) => markResource(marked, name));
}

/** A member of {@link VerifiedClaims} that is a value. */
export type ClaimName = {
  [Name in keyof VerifiedClaims]: VerifiedClaims[Name] extends (...args: never[]) => unknown
    ? never
    : Name;
}[keyof VerifiedClaims];

const CLAIM_NAMES = {
  act: true,
  agentChain: true,
  agentId: true,
  audience: true,
  clientId: true,
  dpopProof: true,
  expiresAt: true,
  issuedAt: true,
  issuer: true,
  jti: true,
  kid: true,
  method: true,
  notBefore: true,
  raw: true,
  scopes: true,
  sub: true,
} satisfies Record<ClaimName, true>;

/** The parameter of `@Claims`: the name of a member if any, and pipes. */
const claimsParameter = createParamDecorator(
  (name: ClaimName | undefined, context: ExecutionContext) => {
    const caller = callerOf(context);
    if (caller === undefined && context.getType() !== 'rpc' && !isPublic(context)) {
      throw new ConfigurationError(
        `@Claims() in ${context.getClass().name}.${context.getHandler().name}, which no AuthplaneGuard ` +
          `protects: add @UseGuards(AuthplaneGuard), or set guard: 'global'`,
      );
    }
    return name === undefined ? caller?.claims : caller?.claims[name];
  },
);

/**
 * The caller's verified claims as a handler parameter, or the member that is named: `@Claims('sub')`.
 * Pipes may follow. `undefined` on a `@Public()` handler; on one that no guard protects it throws
 * `ConfigurationError`.
 *
 * @throws ConfigurationError where it stands, for a name that is no member of `VerifiedClaims`. Other
 * claims of the token are in `raw`.
 */
export function Claims(...nameAndPipes: Parameters<typeof claimsParameter>): ParameterDecorator {
  const [name] = nameAndPipes;
  if (typeof name !== 'string' || Object.hasOwn(CLAIM_NAMES, name)) {
    return claimsParameter(...nameAndPipes);
  }
  const names = Object.keys(CLAIM_NAMES).join(', ');
  throw new ConfigurationError(
    `@Claims(${JSON.stringify(name)}): no member of VerifiedClaims; there are ${names}. ` +
      `Other claims of the token are in raw`,
  );
}

/**
 * Who the caller is in this application, as a handler parameter: what the option `user` has given. Pipes
 * may follow. `undefined` on a `@Public()` handler; without that option it throws `ConfigurationError`.
 */
export const CurrentUser = createParamDecorator((_: undefined, context: ExecutionContext) => {
  const holder = holderOf(context);
  if (holder?.current !== undefined && !('user' in holder)) {
    throw new ConfigurationError('@CurrentUser() needs the option user, which says who that is');
  }
  return holder?.user;
});

function isPublic(context: ExecutionContext): boolean {
  const request = requestOf(context);
  if (request === undefined) return false;
  const { isPublic: isPublicHandler, isAnonymous } = requestState(request);
  return isPublicHandler === true || isAnonymous === true;
}

function scopesDecorator(
  name: string,
  args: ScopesArguments,
  needsOf: (scopes: readonly string[]) => ScopeNeeds,
): ClassDecorator & MethodDecorator {
  const options = args.at(-1);
  const hasOptions = typeof options === 'object' && options !== null;
  const needs = needsOf(checkedScopes(name, hasOptions ? args.slice(0, -1) : args));
  if (hasOptions && options.list !== 'show' && options.list !== 'hide') {
    throw new ConfigurationError(`${name}: list must be 'show' or 'hide'`);
  }
  return protectingDecorator(name, (marked) => {
    markNeeds(marked, needs);
    if (hasOptions) markListing(marked, options.list);
  });
}

/** Marks, and has what is marked ask for its caller once more where it runs. */
function protectingDecorator(
  name: string,
  mark: (marked: MarkedTarget) => void,
): ClassDecorator & MethodDecorator {
  return (target: object, key?: string | symbol, descriptor?: PropertyDescriptor) => {
    const marked = markedTarget(name, target, key, descriptor);
    mark(marked);
    if (marked.key === undefined) checkMethodsOf(target);
    else if (descriptor !== undefined && marked.method !== undefined) {
      // In place, because composed decorators (applyDecorators) drop what a decorator returns.
      descriptor.value = checkedMethod(target, marked.key, marked.method);
    }
  };
}

function markingDecorator(
  name: string,
  mark: (marked: MarkedTarget) => void,
): ClassDecorator & MethodDecorator {
  return (target: object, key?: string | symbol, descriptor?: PropertyDescriptor) =>
    mark(markedTarget(name, target, key, descriptor));
}

/** @throws ConfigurationError on a property or accessor, which nothing would ever call. */
function markedTarget(
  name: string,
  target: object,
  key: string | symbol | undefined,
  descriptor: PropertyDescriptor | undefined,
): MarkedTarget & { readonly method?: Method } {
  if (key === undefined) return { target };
  const method: unknown = descriptor?.value;
  if (typeof method === 'function') return { target, key, method: method as Method };
  throw new ConfigurationError(
    `${name} on ${String(key)}, which is no method: put it on a method or a class`,
  );
}

/** An empty list would be a mark that protects nothing. */
function checkedScopes(decorator: string, scopes: readonly unknown[]): readonly string[] {
  if (scopes.length === 0) {
    throw new ConfigurationError(`${decorator}() names no scope; name one or leave it out`);
  }
  if (!scopes.every(isScopeToken)) {
    const bad = scopes.find((scope) => !isScopeToken(scope));
    throw new ConfigurationError(
      `${decorator}(${JSON.stringify(bad) ?? 'undefined'}): not a scope; use one argument for each scope, ` +
        `printable ASCII without blank, quote and backslash (RFC 6749 §3.3)`,
    );
  }
  return Object.freeze([...scopes]);
}
