import type { ProofSigner } from '../dpop/signer.js';
import { sentWithNonce } from '../dpop/nonce-retry.js';
import { AuthorizationServerUnavailableError } from '../errors/server-errors.js';
import type { HttpAnswer } from '../http/answer.js';
import type { OutboundHttp } from '../http/client.js';
import { OutboundHttpError } from '../http/errors.js';
import type { Clock } from '../lib/clock.js';
import { type Eventually, whenKnown } from '../lib/deadline.js';
import { formOf } from '../lib/text.js';
import { type AppliedAuthentication, applyAuthentication } from './applied-authentication.js';
import { CircuitBreaker } from './circuit-breaker.js';
import type { AuthProvider } from './client-authentication.js';
import type { ConsentPolicy } from './consent-url.js';
import { type AskedFor, isSuccess } from './oauth-answer.js';
import { errorCodeOf, refusalError } from './refusal.js';

/** What a call depends on besides what is asked. */
export interface CallOptions {
  readonly issuer: string;
  /** The URL of an endpoint by its metadata name (RFC 8414 §2). */
  readonly endpoint: (name: string) => Promise<string>;
  readonly http: Pick<OutboundHttp, 'postForm'>;
  readonly clock: Clock;
  /** Which consent pages the message of an error may name; without it none. */
  readonly consentPolicy?: ConsentPolicy;
  /** How this client authenticates. Without it requests carry no credentials. */
  readonly authentication?: AuthProvider | undefined;
  /** Binds issued tokens to its key (RFC 9449 §5). */
  readonly dpop?: ProofSigner | undefined;
  readonly circuitBreakerThreshold: number;
  readonly circuitBreakerCooldownSeconds: number;
}

export type Parameter = readonly [name: string, value: string];
export type EndpointName = 'token_endpoint' | 'introspection_endpoint' | 'revocation_endpoint';

/** One question to the authorization server. */
export interface Operation extends AskedFor {
  readonly endpoint: EndpointName;
  readonly parameters: readonly Parameter[];
  /** The same as they are sent, where somebody knows a shorter way. */
  readonly form?: (() => string) | undefined;
}

/** Parameters whose values no message may repeat. */
const SECRET_PARAMETERS = ['subject_token', 'actor_token', 'token'];

/**
 * Calls to the authorization server as a client: endpoint from checked metadata, client
 * authentication, a proof with one nonce retry, and a circuit breaker for each endpoint.
 *
 * All of them throw `MetadataFetchError`, `MissingMetadataEndpointError`, `CircuitOpenError` and, when
 * no answer came, `AuthorizationServerUnavailableError`; for refusals `OAuthError` and its subclasses,
 * with `ServerError` for status 5xx; `ProtocolError` for answers that are none.
 */
export class AuthorizationServerCalls {
  readonly #options: CallOptions;
  readonly #breakers: Readonly<Record<EndpointName, CircuitBreaker>>;

  constructor(options: CallOptions) {
    this.#options = options;
    const breaker = (name: EndpointName): CircuitBreaker =>
      new CircuitBreaker({
        name,
        clock: options.clock,
        threshold: options.circuitBreakerThreshold,
        cooldownSeconds: options.circuitBreakerCooldownSeconds,
      });
    this.#breakers = {
      token_endpoint: breaker('token_endpoint'),
      introspection_endpoint: breaker('introspection_endpoint'),
      revocation_endpoint: breaker('revocation_endpoint'),
    };
  }

  /** The 2xx answer. The endpoint is looked up first: trouble with the metadata is not its fault. */
  async post(operation: Operation): Promise<HttpAnswer> {
    const url = await this.#options.endpoint(operation.endpoint);
    const sent: AppliedAuthentication[] = [];
    let answer: HttpAnswer;
    try {
      const breaker = this.#breakers[operation.endpoint];
      answer = await breaker.run(() => this.#send(url, operation, sent));
    } catch (error) {
      throw reported(error, operation);
    }
    if (isSuccess(answer)) return answer;
    const { consentPolicy } = this.#options;
    const secrets = [...secretsOf(operation), ...sent.flatMap((one) => one.secrets())];
    throw refusalError(answer, { ...operation, secrets: new Set(secrets), consentPolicy });
  }

  #send(url: string, operation: Operation, sent: AppliedAuthentication[]): Promise<HttpAnswer> {
    const { dpop: signer } = this.#options;
    if (signer === undefined) return this.#sendTwiceIfStale(url, operation, sent);
    return sentWithNonce<HttpAnswer>({
      url,
      signer,
      send: async (nonce) =>
        nonce === undefined
          ? this.#sendTwiceIfStale(url, operation, sent)
          : this.#attempt(url, operation, sent, { nonce }),
      nonceHeader: ({ headers }) => headers['dpop-nonce'],
      isDemand: (answer) => !isSuccess(answer) && errorCodeOf(answer) === 'use_dpop_nonce',
    });
  }

  /**
   * Once more, when the server closed a kept connection as the request came. It may have acted on the
   * first, but nothing asked here is used up by asking (RFC 9110 §9.2.2), and the second has a proof
   * and an assertion of its own.
   */
  async #sendTwiceIfStale(
    url: string,
    operation: Operation,
    sent: AppliedAuthentication[],
  ): Promise<HttpAnswer> {
    try {
      return await this.#attempt(url, operation, sent);
    } catch (error) {
      if (!(error instanceof OutboundHttpError) || !error.stale) throw error;
      return this.#attempt(url, operation, sent, { ownConnection: true });
    }
  }

  #attempt(
    url: string,
    operation: Operation,
    sent: AppliedAuthentication[],
    { nonce, ownConnection = false }: { nonce?: string; ownConnection?: boolean } = {},
  ): Eventually<HttpAnswer> {
    const { authentication, dpop, http, issuer } = this.#options;
    const { parameters } = operation;
    const authenticated = applyAuthentication(authentication, { url, issuer, parameters });
    return whenKnown(authenticated, (applied) => {
      sent.push(applied);
      const post = (proof?: string): Promise<HttpAnswer> => {
        const { headers, added } = applied;
        const proven = proof === undefined ? headers : { ...headers, dpop: proof };
        return http.postForm(url, bodyOf(operation, added), proven, ownConnection);
      };
      if (dpop === undefined) return post();
      return dpop
        .proof({ method: 'POST', url, ...(nonce === undefined ? {} : { nonce }) })
        .then(post);
    });
  }
}

function bodyOf(
  { parameters, form = () => formOf(parameters) }: Operation,
  added: AppliedAuthentication['added'],
): string {
  return added.length === 0 ? form() : `${form()}&${formOf(added)}`;
}

function secretsOf({ parameters }: Operation): string[] {
  return parameters.flatMap(([name, value]) => (SECRET_PARAMETERS.includes(name) ? value : []));
}

/** As its caller hears of it: no answer means that the server is away. */
function reported(error: unknown, { operation, endpoint }: Operation): unknown {
  if (!(error instanceof OutboundHttpError)) return error;
  return new AuthorizationServerUnavailableError(`${operation}: ${endpoint}: ${error.message}`, {
    cause: error,
  });
}
