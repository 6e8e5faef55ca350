import {
  type ArgumentsHost,
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import { catchError, type Observable, throwError } from 'rxjs';
import { eventCaller, eventOperation, Events } from '../../core/events.js';
import { type Challenge, publicSentence } from '../../core/challenge.js';
import { AuthplaneError } from '../../core/errors/authplane-error.js';
import { InsufficientScopeError, type TokenMissingError } from '../../core/errors/token-errors.js';
import { challengeScopes, type ScopeNeeds } from '../../core/lib/scopes.js';
import { AuthplaneResource } from '../../core/resource.js';
import type { Caller } from '../../core/token/caller.js';
import { AuthplaneHttpException, httpRefusal } from './http-refusal.js';
import { filtersComeFirst } from './raw-errors.js';
import { refusalBody } from './refusal-body.js';
import {
  exchangeOf,
  type HttpExchange,
  nodeRequest,
  nodeResponse,
  OfferedHeaders,
  offerHeaders,
} from '../http/exchange.js';
import {
  httpRequest,
  inboundRequest,
  neededBy,
  requestState,
  scopesToAskFor,
} from '../http/request.js';

type Modules = Parameters<typeof filtersComeFirst>[0];
type HttpHost = Pick<ArgumentsHost, 'switchToHttp'>;

/**
 * Makes the answer to an error of this package, once for each error: headers go on Node's response, and
 * the exception has status and body, so that every filter of an application answers the same.
 */
@Injectable()
export class Refusals {
  /** @param resource the one of the module, for requests that no guard has seen. */
  readonly #toNobodies = new WeakMap<AuthplaneResource, WeakMap<ScopeNeeds, UsualAnswer>>();

  constructor(
    private readonly resource: AuthplaneResource,
    private readonly events: Events,
  ) {}

  /** In front of filters of the application that are asked before ours. */
  comeFirst(modules: Modules, config: ApplicationConfig, hasFilter: boolean): void {
    if (!filtersComeFirst(modules, config, hasFilter)) return;
    config.getGlobalInterceptors().unshift(new RefusalsInterceptor(this));
  }

  /** Of the guard: the error names the scopes itself. */
  ofGuard(error: AuthplaneError, exchange: HttpExchange): AuthplaneHttpException {
    const answer = this.#answer('guard', error, error, exchange);
    return httpRefusal(error, answer.sentence, answer);
  }

  /** The same of a request without any credential, which is what strangers send. */
  ofNobody(error: TokenMissingError, exchange: HttpExchange): AuthplaneHttpException {
    const state = requestState(exchange.request);
    const { resource = this.resource } = state;
    const answer = this.#toNobody(error, resource, neededBy(state));
    this.#tell('guard', error, resource, exchange.request);
    if (!nodeResponse(exchange).headersSent) answer.headersIfRefused.offer(exchange);
    return httpRefusal(error, answer.sentence, answerIn(exchange, answer));
  }

  /** The same in front of all guards, for an answer that is given at once: the headers are set. */
  answerNobody(
    error: TokenMissingError,
    exchange: HttpExchange,
    { resource, needs }: { readonly resource: AuthplaneResource; readonly needs: ScopeNeeds },
  ): Pick<Answer, 'status' | 'body'> {
    const answer = this.#toNobody(error, resource, needs);
    this.#tell('guard', error, resource, exchange.request);
    answer.headersIfRefused.set(exchange);
    return answerIn(exchange, answer);
  }

  /** The same for whoever stands in front of all guards: what is answered, with the headers set. */
  answerTo(error: AuthplaneError, exchange: HttpExchange): Pick<Answer, 'status' | 'body'> {
    return this.#answer('guard', error, error, exchange);
  }

  /** Of whatever else runs for a request; of other errors, and of what is an answer already, nothing. */
  ofHandler(error: unknown, host: HttpHost): unknown {
    if (error instanceof AuthplaneHttpException || !(error instanceof AuthplaneError)) return error;
    const needed = scopesToAskFor(requestState(httpRequest(host)));
    const announced = withScopes(error, needed);
    const answer = this.#answer('handler', error, announced, exchangeOf(host));
    return httpRefusal(error, answer.sentence, answer);
  }

  /** Written once for all who lack the same, but where a nonce goes along. */
  #toNobody(error: TokenMissingError, resource: AuthplaneResource, needs: ScopeNeeds): UsualAnswer {
    const ofResource = this.#toNobodies.get(resource) ?? new WeakMap<ScopeNeeds, UsualAnswer>();
    const known = ofResource.get(needs);
    if (known !== undefined) return known;
    const scopes = challengeScopes(needs);
    const challenge = resource.challenge(error, scopes.length === 0 ? {} : { scopes });
    const headersIfRefused = OfferedHeaders.of(challenge.headers, isError);
    const answer = { ...challenge, headersIfRefused, sentence: publicSentence(error) };
    if (!('DPoP-Nonce' in challenge.headers) && Object.isFrozen(needs)) {
      this.#toNobodies.set(resource, ofResource.set(needs, answer));
    }
    return answer;
  }

  #tell(
    by: 'guard' | 'handler',
    error: AuthplaneError,
    resource: AuthplaneResource,
    request: HttpExchange['request'],
    caller?: Caller,
  ): void {
    this.events.emit({ type: 'refused', by, error, ...askedBy(caller, resource, request) });
  }

  #answer(
    by: 'guard' | 'handler',
    error: AuthplaneError,
    announced: AuthplaneError,
    exchange: HttpExchange,
  ): Answer {
    const { request } = exchange;
    const state = requestState(request);
    const { resource = this.resource, current, known } = state;
    this.#tell(by, error, resource, request, current ?? known);
    const needed = scopesToAskFor(state);
    const challenge = resource.challenge(announced, {
      headers: inboundRequest(request).headers,
      ...(needed.length === 0 ? {} : { scopes: needed }),
    });
    if (!nodeResponse(exchange).headersSent) offerHeaders(exchange, challenge.headers, isError);
    return answerIn(exchange, { ...challenge, sentence: publicSentence(announced) });
  }
}

/** What goes over the wire, and in words what its body says. */
interface Answer extends Challenge {
  readonly sentence: string;
}

/** The same for many requests. */
interface UsualAnswer extends Answer {
  readonly headersIfRefused: OfferedHeaders;
}

/** With the body that this client reads. */
function answerIn(exchange: HttpExchange, { status, headers, body, sentence }: Answer): Answer {
  const asked = { headers: nodeRequest(exchange).headers, body: exchange.request.body };
  const shown = refusalBody({ status, headers, body }, sentence, asked);
  return { status, headers, body: shown, sentence };
}

/** Errors of this package leave handlers as their public answer, before any filter reads them. */
class RefusalsInterceptor implements NestInterceptor {
  constructor(private readonly refusals: Refusals) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    return next
      .handle()
      .pipe(catchError((error) => throwError(() => this.refusals.ofHandler(error, context))));
  }
}

/** Of whom, and for what; as far as it is known. */
function askedBy(
  caller: Caller | undefined,
  { resource }: AuthplaneResource,
  { body }: { readonly body?: unknown },
) {
  const operation = eventOperation(body);
  return {
    resource,
    ...(caller === undefined || caller.isAnonymous === true ? {} : { caller: eventCaller(caller) }),
    ...(operation === undefined ? {} : { operation }),
  };
}

/** A client that asks for just what is missing would get a token without what it had (RFC 6750 §3.1). */
function withScopes(error: AuthplaneError, needed: readonly string[]): AuthplaneError {
  if (!(error instanceof InsufficientScopeError)) return error;
  return new InsufficientScopeError([...new Set([...needed, ...error.requiredScopes])]);
}

/** Taken back where somebody lets the request pass after all, such as a guard that tries two ways. */
function isError(status: number): boolean {
  return status >= 400;
}
