import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  Logger,
} from '@nestjs/common';
import { AuthplaneError, InvalidClaimsError } from '../core/errors.js';
import type { ResolvedModuleOptions } from '../core/options.js';
import { type Authentication, AuthplaneResource } from '../core/resource.js';
import { addScopeNeeds, challengeScopes, NO_SCOPES } from '../core/scopes.js';
import { type HandlerPolicy, handlerPolicy } from './authplane.decorators.js';
import { MODULE_OPTIONS } from './module-options.js';
import { httpRequest, inboundRequest, publishCaller, requestState, sendAlong } from './request.js';

/** A refusal that points at a configuration mistake is worth a line, a flood of them is not. */
const WARNING_PAUSE_MS = 60_000;

/**
 * Lets a request pass when it carries an access token that is good for this resource and that grants
 * the scopes of the handler. Verifies once per request, however many guards are on its way.
 *
 * HTTP only. A handler of any other context is refused, because nothing here could tell its caller.
 */
@Injectable()
export class AuthplaneGuard implements CanActivate {
  readonly #logger = new Logger(AuthplaneGuard.name);
  readonly #policies = new WeakMap<object, WeakMap<object, HandlerPolicy>>();
  #warnedAt = -Infinity;

  constructor(
    private readonly resource: AuthplaneResource,
    @Inject(MODULE_OPTIONS) private readonly options: ResolvedModuleOptions,
  ) {}

  /** @throws AuthplaneError for every refusal; the exception filter answers it. */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http') return this.#refuseContext(context);
    const request = httpRequest(context);
    const state = requestState(request);
    const { isPublic, needs } = this.#policy(context);
    if (isPublic) {
      state.isPublic = true;
      return true;
    }
    const scopes = challengeScopes(needs);
    state.challengeScopes = scopes.length > 0 ? scopes : this.resource.scopes;
    try {
      const authentication = await this.#authenticateOnce(request);
      this.resource.requireScopes(authentication.claims, needs);
      state.current = authentication;
      publishCaller(request, authentication);
      sendAlong(context, authentication.responseHeaders);
      return true;
    } catch (error) {
      this.#logRefusal(error);
      throw error;
    }
  }

  #authenticateOnce(request: object): Promise<Authentication> {
    const { authentications } = requestState(request);
    let authentication = authentications.get(this.resource);
    if (authentication === undefined) {
      authentication = this.resource.authenticate(inboundRequest(request));
      authentications.set(this.resource, authentication);
    }
    return authentication;
  }

  #policy(context: ExecutionContext): HandlerPolicy {
    const controller = context.getClass();
    const handler = context.getHandler();
    const ofController = this.#policies.get(controller) ?? new WeakMap<object, HandlerPolicy>();
    this.#policies.set(controller, ofController);
    let policy = ofController.get(handler);
    if (policy === undefined) {
      policy = this.#withModuleScopes(handlerPolicy(controller, handler));
      ofController.set(handler, policy);
    }
    return policy;
  }

  #withModuleScopes({ isPublic, needs }: HandlerPolicy): HandlerPolicy {
    const ofModule = this.options.enforceScopesOnAllRequests
      ? { all: this.resource.scopes, anyOf: [] }
      : NO_SCOPES;
    return { isPublic, needs: addScopeNeeds(ofModule, needs) };
  }

  #refuseContext(context: ExecutionContext): false {
    this.#logger.error(
      `refused ${context.getClass().name}.${context.getHandler().name}: AuthplaneGuard protects HTTP ` +
        `handlers, and this one runs in a "${context.getType()}" context`,
    );
    return false;
  }

  #logRefusal(error: unknown): void {
    if (!(error instanceof AuthplaneError)) return;
    this.#logger.debug(`refused: ${error.code}: ${error.message}`);
    const now = performance.now();
    if (error instanceof InvalidClaimsError && now - this.#warnedAt > WARNING_PAUSE_MS) {
      this.#warnedAt = now;
      this.#logger.warn(`refused a token: ${error.message}`);
    }
  }
}
