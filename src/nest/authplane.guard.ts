import type { IncomingMessage } from 'node:http';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { lastValueFrom } from 'rxjs';
import { AuthplaneError } from '../core/errors/authplane-error.js';
import { TokenMissingError } from '../core/errors/token-errors.js';
import type { AuthplaneResource } from '../core/resource.js';
import { type AdmittedCaller, TokenCaller } from '../core/token/caller.js';
import { addScopeNeeds, challengeScopes, NO_SCOPES, type ScopeNeeds } from '../core/lib/scopes.js';
import { type HandlerPolicy, IS_AUTHPLANE_GUARD, policyOf } from './marks/handler-marks.js';
import { placesOf } from './handler-places.js';
import type { McpRequest, McpRules } from './mcp/endpoint-rules.js';
import { type ProtectedResource, ProtectedResources } from './resources/protected-resources.js';
import { PackageLogger } from './log/package-logger.js';
import { Refusals } from './refusals/refusals.js';
import {
  callerOf,
  httpRequest,
  inboundRequest,
  keepPrivate,
  publishCaller,
  publishUser,
  rawRequest,
  rawResponse,
  requestOf,
  requestState,
  sendAlong,
  urlsOf,
} from './http/request.js';
import { runListenersIn } from './http/request-context.js';
import { servesPath } from './http/routes.js';

/** Injection token of the guard that the module provides. */
export const ACTIVE_GUARD = Symbol('authplane-nestjs:guard');

interface Policy extends HandlerPolicy {
  readonly protectedBy: ProtectedResource;
  /** Including those that the resource asks of every request. */
  readonly allNeeds: ScopeNeeds;
}

/** What the body of a request to an MCP endpoint asks for, and the rules for it. */
interface McpPart {
  readonly rules: McpRules;
  readonly request: McpRequest;
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
  readonly #logger = new PackageLogger(AuthplaneGuard.name);
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
   * @throws HttpException with the public answer of every refusal, whose `cause` is an `AuthplaneError`;
   * `instanceof` finds the class of either.
   */
  async canActivate(context: ExecutionContext): Promise<boolean> {
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

  async #canActivateHttp(context: ExecutionContext): Promise<boolean> {
    try {
      return await this.#letIn(context);
    } catch (error) {
      throw error instanceof AuthplaneError ? this.refusals.ofGuard(error, context) : error;
    }
  }

  /** @throws AuthplaneError */
  async #letIn(context: ExecutionContext): Promise<boolean> {
    const policy = this.#policy(context);
    const { resource } = policy.protectedBy;
    const request = httpRequest(context);
    const state = requestState(request);
    state.resource = resource;
    const mcp = this.#mcpPart(context, policy);
    if (mcp?.request.isCertain === true) mcp.rules.requireOrigin(context);
    if (policy.isPublic) {
      state.isPublic = true;
      return true;
    }
    state.challengeScopes = () => announcedScopes(policy, mcp);
    const caller = await this.#callerOnce(request, resource);
    this.#authorize(context, policy, mcp, caller);
    this.#publish(context, caller);
    if (mcp !== undefined && this.resources.usesMcpNest) publishUser(request, caller);
    this.resources.streams.watch(context, caller);
    keepPrivate(context);
    sendAlong(context, caller.responseHeaders);
    return true;
  }

  #publish(context: ExecutionContext, caller: AdmittedCaller): void {
    const request = httpRequest(context);
    const state = requestState(request);
    if (state.current === undefined) {
      runListenersIn(state, rawRequest(request) as IncomingMessage); // HTTP context: the platform's
      runListenersIn(state, rawResponse(context));
    }
    state.current = caller;
    state.application = this.resources;
    publishCaller(request, caller);
  }

  /** `undefined` where there is nothing to check: nothing of MCP, or an earlier guard has done it. */
  #mcpPart(context: ExecutionContext, policy: Policy): McpPart | undefined {
    const { mcp: rules, resource } = policy.protectedBy;
    const request = httpRequest(context);
    if (requestState(request).inspectedFor === resource) return undefined;
    const isEndpoint = policy.isMcpEndpoint || urlsOf(request).some((url) => rules.isEndpoint(url));
    if (policy.isPublic && !isEndpoint) return undefined;
    const read = rules.read(context, { isEndpoint });
    return read === undefined ? undefined : { rules, request: read };
  }

  #authorize(
    context: ExecutionContext,
    { allNeeds, protectedBy }: Policy,
    mcp: McpPart | undefined,
    caller: AdmittedCaller,
  ): void {
    const { resource } = protectedBy;
    const { body } = httpRequest(context);
    requestState(httpRequest(context)).judgedBody ??= { body };
    if (mcp === undefined) return resource.requireScopes(caller.claims, allNeeds);
    const { rules, request } = mcp;
    if (request.isCertain) rules.requireOwnSession(context, caller);
    const verdict = rules.judge(request, caller);
    resource.requireScopes(caller.claims, addScopeNeeds(allNeeds, verdict.needs));
    rules.letPass(context, caller, request, verdict);
    const state = requestState(httpRequest(context));
    state.inspectedFor = resource;
    state.judgeAgain = () => {
      const again = rules.judge(request, caller);
      resource.requireScopes(caller.claims, addScopeNeeds(allNeeds, again.needs));
      rules.conceal(context, caller, request, again);
    };
  }

  /** The token was verified for the HTTP request that the message came in; nothing is verified twice. */
  #canActivateRpc(context: ExecutionContext): boolean {
    const { needs, isPublic } = this.#policy(context);
    const request = requestOf(context);
    if (request === undefined) return this.#refuseContext(context);
    const { resource, isPublic: isPublicRoute } = requestState(request);
    const current = callerOf(context);
    if (current === undefined || resource === undefined) {
      if (isPublic && isPublicRoute === true) return true;
      throw new TokenMissingError(
        `${nameOf(context)} runs for no HTTP request that AuthplaneGuard has let in: put the guard on ` +
          `the controller of the MCP endpoint, too`,
      );
    }
    resource.requireScopes(current.claims, needs);
    return true;
  }

  #callerOnce(request: object, resource: AuthplaneResource): Promise<AdmittedCaller> {
    const { callers } = requestState(request);
    let caller = callers.get(resource);
    if (caller === undefined) {
      caller = callerByRequest(request, resource);
      callers.set(resource, caller);
    }
    return caller;
  }

  #policy(context: ExecutionContext): Policy {
    const controller = context.getClass();
    const handler = context.getHandler();
    const ofController = this.#policies.get(controller) ?? new WeakMap<object, Policy>();
    this.#policies.set(controller, ofController);
    let policy = ofController.get(handler);
    if (policy === undefined) {
      policy = this.#createPolicy(controller, handler);
      ofController.set(handler, policy);
    }
    return policy;
  }

  #createPolicy(controller: object, handler: { readonly name: string }): Policy {
    const modules = this.moduleRef.get(ModulesContainer, { strict: false });
    const policy = policyOf(placesOf(modules, controller, handler));
    const protectedBy = this.resources.get(policy.resourceName);
    const { pathname } = new URL(protectedBy.resource.resource);
    return {
      ...policy,
      protectedBy,
      allNeeds: addScopeNeeds(protectedBy.baseNeeds, policy.needs),
      isMcpEndpoint:
        policy.isMcpEndpoint ||
        this.resources.hostControllers.has(controller) ||
        servesPath(controller, handler, pathname),
    };
  }

  #refuseContext(context: ExecutionContext): false {
    this.#logger.error(
      `refused ${nameOf(context)}: AuthplaneGuard protects HTTP handlers and the MCP handlers behind ` +
        `them, and this one runs in a "${context.getType()}" context`,
    );
    return false;
  }
}

async function verdictOf(guard: CanActivate, context: ExecutionContext): Promise<boolean> {
  const verdict = await guard.canActivate(context);
  return typeof verdict === 'boolean' ? verdict : lastValueFrom(verdict);
}

/** What a request without a token is told to ask for: all of it, so that the first token is right. */
function announcedScopes({ allNeeds }: Policy, mcp: McpPart | undefined): string[] {
  const ofOperations = mcp?.rules.announcedNeeds(mcp.request) ?? NO_SCOPES;
  return challengeScopes(addScopeNeeds(allNeeds, ofOperations));
}

async function callerByRequest(
  request: object,
  resource: AuthplaneResource,
): Promise<AdmittedCaller> {
  return new TokenCaller(await resource.authenticate(inboundRequest(request)), resource);
}

function nameOf(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}
