import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { AuthplaneError } from '../core/errors/authplane-error.js';
import { TokenMissingError } from '../core/errors/token-errors.js';
import type { Eventually } from '../core/lib/deadline.js';
import { addScopeNeeds, type ScopeNeeds } from '../core/lib/scopes.js';
import { Refused } from './callers/request-caller.js';
import { letInOrRefuse, type RequestPolicy } from './decision.js';
import { handlerInClass } from './context/judged-handlers.js';
import { placesOf } from './context/handler-places.js';
import { exchangeOf, type HttpExchange } from './http/exchange.js';
import { callerOf, requestOf, requestState } from './http/request.js';
import { servesPath } from './http/routes.js';
import { IS_AUTHPLANE_GUARD, isAuthplaneGuard, policyOf } from './marks/handler-marks.js';
import { Refusals } from './refusals/refusals.js';
import { ProtectedResources } from './resources/protected-resources.js';

/** Injection token of the guard that the module provides. */
export const ACTIVE_GUARD = Symbol('authplane-nestjs:guard');

interface Policy extends RequestPolicy {
  /** Without those that the resource asks of every request. */
  readonly ownNeeds: ScopeNeeds;
}

/**
 * Lets a request pass when it carries an access token that is good for this resource and that grants
 * the scopes of the handler and, at an MCP endpoint, of every tool, resource and prompt that the body
 * names. Verifies once per request, however many guards are on its way.
 *
 * On MCP-Nest's tool classes it checks their scopes once more, in an RPC context, for the caller that
 * the HTTP handler was let in for. A handler of any other context is refused, because nothing here
 * could tell its caller.
 */
@Injectable()
export class AuthplaneGuard implements CanActivate {
  readonly #policies = new WeakMap<object, WeakMap<object, Policy>>();

  /** @internal */
  get [IS_AUTHPLANE_GUARD](): boolean {
    return true;
  }

  /** The one of the module, which tests may have replaced. */
  #active: CanActivate | undefined;

  /** @internal Made by Nest. */
  constructor(
    private readonly resources: ProtectedResources,
    private readonly moduleRef: ModuleRef,
    private readonly refusals: Refusals,
  ) {}

  /**
   * Verifies the caller of the request, once however many guards it passes, and asks for the scopes of
   * handler, class and operation. Handlers of MCP-Nest (`rpc`) get the caller of their HTTP request; any
   * other context is refused.
   *
   * @returns a plain boolean where nothing has to be waited for: a token that was verified before. Then a
   * refusal is thrown at once, too.
   * @throws HttpException with the public answer of every refusal, whose `cause` is an `AuthplaneError`;
   * `instanceof` finds the class of either.
   */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    this.#active ??= this.moduleRef.get<CanActivate>(ACTIVE_GUARD, { strict: false });
    // Nest makes an instance for each module that uses the class; one override covers them all.
    if (this.#active !== this) return verdictOf(this.#active, context);
    switch (context.getType()) {
      case 'http':
        return this.#canActivateHttp(context);
      case 'rpc':
        return this.#canActivateRpc(context);
      default:
        return this.#refuseContext(context);
    }
  }

  #canActivateHttp(context: ExecutionContext): Eventually<boolean> {
    const exchange = exchangeOf(context);
    const letting = this.#letIn(context, exchange);
    if (letting === undefined) return true;
    if (letting instanceof Refused) throw this.refusals.ofNobody(letting.error, exchange);
    return letting.then(
      () => true,
      (error: unknown) => {
        throw this.#refusalOf(error, exchange);
      },
    );
  }

  #letIn(context: ExecutionContext, exchange: HttpExchange): ReturnType<typeof letInOrRefuse> {
    try {
      return letInOrRefuse(exchange, this.#policy(context), this.resources);
    } catch (error) {
      throw this.#refusalOf(error, exchange);
    }
  }

  #refusalOf(error: unknown, exchange: HttpExchange): unknown {
    return error instanceof AuthplaneError ? this.refusals.ofGuard(error, exchange) : error;
  }

  /** The token was verified for the HTTP request that the message came in; nothing is verified twice. */
  #canActivateRpc(context: ExecutionContext): boolean {
    const { ownNeeds, isPublic } = this.#policy(context);
    const request = requestOf(context);
    if (request === undefined) return this.#refuseContext(context);
    const { resource, isPublic: isPublicRoute } = requestState(request);
    const current = callerOf(context);
    if (current === undefined || resource === undefined) {
      if (isPublic && isPublicRoute === true) return true;
      if (requestState(request).isAnonymous === true && needsNothing(ownNeeds)) return true;
      throw new TokenMissingError(
        `${nameOf(context)} runs for no HTTP request that AuthplaneGuard has let in: put the guard on ` +
          `the controller of the MCP endpoint, too`,
      );
    }
    resource.requireScopes(current.claims, ownNeeds);
    return true;
  }

  #policy(context: ExecutionContext): Policy {
    const controller = context.getClass();
    const handler = context.getHandler();
    return (
      this.#policies.get(controller)?.get(handler) ?? this.#rememberPolicy(controller, handler)
    );
  }

  #rememberPolicy(controller: object, handler: { readonly name: string }): Policy {
    const policy = this.#createPolicy(controller, handler);
    const ofController = this.#policies.get(controller) ?? new WeakMap<object, Policy>();
    this.#policies.set(controller, ofController.set(handler, policy));
    return policy;
  }

  #createPolicy(controller: object, handler: { readonly name: string }): Policy {
    const modules = this.moduleRef.get(ModulesContainer, { strict: false });
    const marks = policyOf(placesOf(modules, controller, handlerInClass(handler)));
    const protectedBy = this.resources.get(marks.resourceName);
    return {
      protectedBy,
      isPublic: marks.isPublic,
      ownNeeds: marks.needs,
      needs: addScopeNeeds(protectedBy.baseNeeds, marks.needs),
      isMcpEndpoint:
        marks.isMcpEndpoint ||
        this.resources.hostControllers.has(controller) ||
        servesPath(controller, handler, protectedBy.path),
    };
  }

  #refuseContext(context: ExecutionContext): false {
    const where = nameOf(context);
    this.resources.events.emit({ type: 'refused_context', where, context: context.getType() });
    return false;
  }
}

function verdictOf(guard: CanActivate, context: ExecutionContext): Eventually<boolean> {
  const verdict = guard.canActivate(context);
  if (typeof verdict === 'boolean') return verdict;
  return isObservable(verdict) ? lastValueFrom(verdict) : verdict;
}

function nameOf(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}

/** Decides as this class does: no subclass, and nothing that was put over its method. */
export function isGuardItself(guard: unknown): boolean {
  if (guard === AuthplaneGuard) return true;
  return (
    guard instanceof AuthplaneGuard &&
    guard.constructor === AuthplaneGuard &&
    Reflect.get(guard, 'canActivate') === Reflect.get(AuthplaneGuard.prototype, 'canActivate')
  );
}

/** By tests, with `overrideProvider` or `overrideGuard`. */
export function isGuardReplaced(
  active: CanActivate,
  modules: Pick<ModulesContainer, 'values'>,
): boolean {
  const used = [...modules.values()].map(({ injectables }) => injectables.get(AuthplaneGuard));
  return [active, ...used.map((wrapper): unknown => wrapper?.instance)].some(
    (guard) => guard !== undefined && guard !== null && !isAuthplaneGuard(guard),
  );
}

export function moveToHead(guards: CanActivate[], guard: CanActivate): void {
  const index = guards.indexOf(guard);
  if (index > 0) guards.unshift(...guards.splice(index, 1));
}

function needsNothing({ all, anyOf, rules }: ScopeNeeds): boolean {
  return all.length + anyOf.length === 0 && rules === undefined;
}
