import {
  createParamDecorator,
  type CustomDecorator,
  type ExecutionContext,
  SetMetadata,
} from '@nestjs/common';
import { ConfigurationError } from '../core/errors.js';
import type { ScopeNeeds } from '../core/scopes.js';
import { addScopeNeeds, isScopeToken, NO_SCOPES } from '../core/scopes.js';
import type { VerifiedClaims } from '../core/verified-claims.js';
import { httpRequest, requestState } from './request.js';

const ALL_SCOPES = Symbol.for('authplane-nestjs:scopes');
const ANY_SCOPE = Symbol.for('authplane-nestjs:any-scope');
const PUBLIC = Symbol.for('authplane-nestjs:public');

/**
 * The handler, or every handler of the class, needs all of these scopes. Requirements of class and
 * handler add up. The guard answers 403 with a challenge that names them (RFC 6750 §3.1).
 *
 * Marks only; the guard enforces, so put `AuthplaneGuard` on the route or make it global.
 *
 * @throws ConfigurationError when the list is empty or holds something that is not a scope.
 */
export function Scopes(...scopes: string[]): CustomDecorator<symbol> {
  return SetMetadata(ALL_SCOPES, checkedScopes('@Scopes', scopes));
}

/**
 * The handler, or every handler of the class, needs at least one of these scopes. Name the least
 * powerful first: it is the one a challenge asks for. Adds up with `@Scopes` and with the class.
 *
 * @throws ConfigurationError when the list is empty or holds something that is not a scope.
 */
export function AnyScope(...scopes: string[]): CustomDecorator<symbol> {
  return SetMetadata(ANY_SCOPE, checkedScopes('@AnyScope', scopes));
}

/**
 * Lets everybody in: the guard neither looks for a token nor verifies one, so no caller is known.
 * A handler with scopes of its own stays protected in a public class.
 */
export function Public(): CustomDecorator<symbol> {
  return SetMetadata(PUBLIC, true);
}

/**
 * The caller's verified claims as a handler parameter. `undefined` on a `@Public()` handler; on one
 * that no guard protects it throws `ConfigurationError`.
 */
export const Claims = createParamDecorator(
  (_data: unknown, context: ExecutionContext): VerifiedClaims | undefined => {
    const { current, isPublic } = requestState(httpRequest(context));
    if (current === undefined && isPublic !== true) {
      throw new ConfigurationError(
        `@Claims() in ${context.getClass().name}.${context.getHandler().name}, which no AuthplaneGuard ` +
          `protects: add @UseGuards(AuthplaneGuard), or set guard: 'global'`,
      );
    }
    return current?.claims;
  },
);

/** What the guard does with a handler. */
export interface HandlerPolicy {
  readonly isPublic: boolean;
  readonly needs: ScopeNeeds;
}

/** Requirements of the class and of the handler, added up. */
export function handlerPolicy(controller: object, handler: object): HandlerPolicy {
  const ofHandler = ownNeeds(handler);
  const handlerNeedsScopes = ofHandler !== NO_SCOPES;
  const isPublic =
    !handlerNeedsScopes &&
    (Reflect.getMetadata(PUBLIC, handler) === true ||
      Reflect.getMetadata(PUBLIC, controller) === true);
  return { isPublic, needs: addScopeNeeds(ownNeeds(controller), ofHandler) };
}

function ownNeeds(target: object): ScopeNeeds {
  const all = Reflect.getMetadata(ALL_SCOPES, target) as string[] | undefined;
  const any = Reflect.getMetadata(ANY_SCOPE, target) as string[] | undefined;
  if (all === undefined && any === undefined) return NO_SCOPES;
  return { all: all ?? [], anyOf: any === undefined ? [] : [any] };
}

/** An empty list would be a mark that protects nothing. */
function checkedScopes(decorator: string, scopes: readonly string[]): readonly string[] {
  if (scopes.length === 0) {
    throw new ConfigurationError(`${decorator}() names no scope; name one or leave it out`);
  }
  const bad = scopes.find((scope) => !isScopeToken(scope));
  if (bad !== undefined) {
    throw new ConfigurationError(
      `${decorator}(${JSON.stringify(bad)}): not a scope; use one argument for each scope, ` +
        `printable ASCII without blank, quote and backslash (RFC 6749 §3.3)`,
    );
  }
  return Object.freeze([...scopes]);
}
