import {
  applyDecorators,
  createParamDecorator,
  type CustomDecorator,
  type ExecutionContext,
  SetMetadata,
} from '@nestjs/common';
import { ConfigurationError } from '../core/errors.js';
import type { ScopeNeeds } from '../core/scopes.js';
import { addScopeNeeds, isScopeToken, NO_SCOPES } from '../core/scopes.js';
import type { VerifiedClaims } from '../core/verified-claims.js';
import { callerOf, requestOf, requestState } from './request.js';

const NEEDS = Symbol.for('authplane-nestjs:scopes');
const PUBLIC = Symbol.for('authplane-nestjs:public');
const LISTING = Symbol.for('authplane-nestjs:list');
const RESOURCE = Symbol.for('authplane-nestjs:resource');
const MCP_ENDPOINT = Symbol.for('authplane-nestjs:mcp-endpoint');

/** Last argument of `@Scopes` and `@AnyScope` on MCP tools, resources and prompts. */
export interface ScopesOptions {
  /** Whether lists show the operation to callers without the scopes. Default `'show'`. */
  readonly list: 'show' | 'hide';
}

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
 * Lets everybody in: the guard neither looks for a token nor verifies one, so no caller is known.
 * Scopes win: a handler with scopes of its own stays protected in a public class, and so does every
 * handler of a class that has both.
 */
export function Public(): CustomDecorator<symbol> {
  return SetMetadata(PUBLIC, true);
}

/**
 * The routes of the class are an MCP endpoint, although their path is another one than that of the
 * resource, behind a proxy that rewrites it for example. JSON-RPC is judged on every path; this also
 * checks `Origin` on requests without a body, and refuses bodies that nobody has parsed.
 */
export function McpEndpoint(): ClassDecorator {
  return SetMetadata(MCP_ENDPOINT, true);
}

/**
 * The handler, or every handler of the class, belongs to the resource that `AuthplaneModule.forFeature`
 * gave this name to: tokens have to be issued for that one, and challenges point to its metadata.
 */
export function UseResource(name: string): CustomDecorator<symbol> {
  return SetMetadata(RESOURCE, name);
}

/**
 * The caller's verified claims as a handler parameter. `undefined` on a `@Public()` handler; on one
 * that no guard protects it throws `ConfigurationError`.
 */
export const Claims = createParamDecorator(
  (_data: unknown, context: ExecutionContext): VerifiedClaims | undefined => {
    const caller = callerOf(context);
    if (caller === undefined && context.getType() !== 'rpc' && !isPublic(context)) {
      throw new ConfigurationError(
        `@Claims() in ${context.getClass().name}.${context.getHandler().name}, which no AuthplaneGuard ` +
          `protects: add @UseGuards(AuthplaneGuard), or set guard: 'global'`,
      );
    }
    return caller?.claims;
  },
);

function isPublic(context: ExecutionContext): boolean {
  const request = requestOf(context);
  return request !== undefined && requestState(request).isPublic === true;
}

/** What the guard does with a handler. */
export interface HandlerPolicy {
  readonly isPublic: boolean;
  readonly needs: ScopeNeeds;
  /** As given to `@UseResource`; `undefined`: the resource of the module. */
  readonly resourceName: string | undefined;
  /** Its class carries `@McpEndpoint()`. */
  readonly isMcpEndpoint: boolean;
}

/** Requirements of the class and of the handler, added up. */
export function handlerPolicy(controller: object, handler: object): HandlerPolicy {
  const ofClass = ownNeeds(controller);
  const ofHandler = ownNeeds(handler);
  const isOpenHandler = Reflect.getMetadata(PUBLIC, handler) === true;
  const isOpenClass = Reflect.getMetadata(PUBLIC, controller) === true && ofClass === NO_SCOPES;
  return {
    isPublic: ofHandler === NO_SCOPES && (isOpenHandler || isOpenClass),
    needs: addScopeNeeds(ofClass, ofHandler),
    resourceName: ownResource(handler) ?? ownResource(controller),
    isMcpEndpoint: isMcpEndpoint(controller),
  };
}

export function isMcpEndpoint(controller: object): boolean {
  return Reflect.getMetadata(MCP_ENDPOINT, controller) === true;
}

/** Whether its decorator says how the operation is listed. */
export function listingOf(target: object): ScopesOptions['list'] | undefined {
  return Reflect.getMetadata(LISTING, target) as ScopesOptions['list'] | undefined;
}

function ownResource(target: object): string | undefined {
  return Reflect.getMetadata(RESOURCE, target) as string | undefined;
}

/** Requirements that stand on the class and its base classes, or on the handler. */
export function ownNeeds(target: object): ScopeNeeds {
  return (Reflect.getMetadata(NEEDS, target) as ScopeNeeds | undefined) ?? NO_SCOPES;
}

function scopesDecorator(
  name: string,
  args: ScopesArguments,
  needsOf: (scopes: readonly string[]) => ScopeNeeds,
): ClassDecorator & MethodDecorator {
  const options = args.at(-1);
  const hasOptions = typeof options === 'object' && options !== null;
  const needs = needsOf(checkedScopes(name, hasOptions ? args.slice(0, -1) : args));
  if (!hasOptions) return addNeeds(needs);
  if (options.list !== 'show' && options.list !== 'hide') {
    throw new ConfigurationError(`${name}: list must be 'show' or 'hide'`);
  }
  return applyDecorators(addNeeds(needs), SetMetadata(LISTING, options.list));
}

/** To what stands there already: decorators are stacked, composed and inherited, and none may be lost. */
function addNeeds(needs: ScopeNeeds): ClassDecorator & MethodDecorator {
  return (target: object, _key?: unknown, descriptor?: PropertyDescriptor) => {
    const marked = (descriptor?.value ?? target) as object;
    Reflect.defineMetadata(NEEDS, addScopeNeeds(needs, ownNeeds(marked)), marked);
  };
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
