import { CircuitBreaker } from './circuit-breaker.js';
import { applyAuthentication, type AuthProvider } from './client-authentication.js';
import type { Clock } from '../lib/clock.js';
import type { ConsentPolicy } from './consent-url.js';
import type { ProofSigner } from '../dpop/signer.js';
import { AuthorizationServerUnavailableError, ProtocolError } from '../errors/server-errors.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { InvalidGrantError } from '../errors/oauth-errors.js';
import { TokenExpiredError } from '../errors/token-errors.js';
import type { HttpAnswer } from '../http/answer.js';
import type { OutboundHttp } from '../http/client.js';
import {
  type AskedFor,
  errorCodeOf,
  type IntrospectionResponse,
  isSuccess,
  readIntrospectionResponse,
  readTokenResponse,
  refusalError,
  type TokenResponse,
} from './oauth-response.js';
import {
  type Check,
  problemsOf,
  scopeListProblem,
  textListProblem,
  textProblem,
} from '../lib/option-checks.js';
import { OutboundHttpError } from '../http/errors.js';
import { isJsonObject, member } from '../lib/strict-json.js';
import { expiryOf, TokenCache } from './token-cache.js';
import { unverifiedClaim } from '../token/unverified-claims.js';

/** A token exchange (RFC 8693 §2.1). Blank texts and lists without entries are left out. */
export interface ExchangeRequest {
  /** The token to exchange, for example the inbound one. */
  readonly subjectToken: string;
  /** Default `urn:ietf:params:oauth:token-type:access_token`. */
  readonly subjectTokenType?: string;
  /** Token of the party that acts for the subject. */
  readonly actorToken?: string;
  /** Default `urn:ietf:params:oauth:token-type:access_token`; sent with an `actorToken` only. */
  readonly actorTokenType?: string;
  /** Where the new token will be used (RFC 8707). AuthPlane: URI or slug, and reads the first only. */
  readonly resources?: readonly string[];
  /** Names of services instead of URIs. AuthPlane ignores them. */
  readonly audiences?: readonly string[];
  /**
   * Scopes separated by blanks. Say which ones: what is granted without differs by server version. An
   * answer that grants more than was asked for is refused (`ProtocolError`).
   */
  readonly scope?: string;
  /** Gives up waiting. The request goes on for others who wait for the same token. */
  readonly signal?: AbortSignal;
}

/** A token for this server itself (RFC 6749 §4.4). */
export interface ClientCredentialsRequest {
  /** Scopes to ask for. Default: those the server gives by itself. */
  readonly scopes?: readonly string[];
  /** Where the token will be used (RFC 8707). */
  readonly resources?: readonly string[];
  /** Gives up waiting. The request goes on for others who wait for the same token. */
  readonly signal?: AbortSignal;
}

export interface TokenOperationsOptions {
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
  readonly cacheTtlBufferSeconds: number;
  readonly defaultTtlSeconds: number;
  readonly cacheMaxEntries: number;
  readonly circuitBreakerThreshold: number;
  readonly circuitBreakerCooldownSeconds: number;
}

/** Must not throw. */
type RevocationListener = (token: string) => void;
type Parameter = [name: string, value: string];
type EndpointName = 'token_endpoint' | 'introspection_endpoint' | 'revocation_endpoint';

interface Operation extends AskedFor {
  readonly endpoint: EndpointName;
  readonly parameters: readonly Parameter[];
}

interface TokenRequest extends Operation {
  /** Whether a token that is not bound to the key of the proof is of any use. */
  readonly acceptsUnbound: boolean;
  readonly derivedFrom: readonly string[];
}

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** Parameters whose values no message may repeat. */
const SECRET_PARAMETERS = ['subject_token', 'actor_token', 'token'];
/** A service that refuses a token and its successor gets no third one within this time. */
const REFUSED_PAUSE_SECONDS = 5;
/** RFC 9449 §8.1; two header lines joined by a comma are none. */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/;

/**
 * What this server asks of the authorization server on its own behalf: tokens, introspection and
 * revocation. Issued tokens are cached, equal requests share one flight, and each endpoint has a
 * circuit breaker of its own.
 *
 * All of them throw, besides what is named there: `MetadataFetchError`,
 * `MissingMetadataEndpointError`, `CircuitOpenError` and, when no answer came,
 * `AuthorizationServerUnavailableError`; for refusals `OAuthError` and its subclasses, with
 * `ServerError` for status 5xx; `ProtocolError` for answers that are none.
 */
export class TokenOperations {
  readonly #options: TokenOperationsOptions;
  readonly #tokens: TokenCache;
  readonly #breakers: Readonly<Record<EndpointName, CircuitBreaker>>;
  readonly #onRevoked = new Set<WeakRef<RevocationListener>>();
  readonly #collected = new FinalizationRegistry<WeakRef<RevocationListener>>((listener) =>
    this.#onRevoked.delete(listener),
  );

  constructor(options: TokenOperationsOptions) {
    this.#options = options;
    this.#tokens = new TokenCache({
      clock: options.clock,
      maxEntries: options.cacheMaxEntries,
      ttlBufferSeconds: options.cacheTtlBufferSeconds,
      defaultTtlSeconds: options.defaultTtlSeconds,
    });
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

  /**
   * A token for another service in exchange for the caller's (RFC 8693). Does not verify it: it is
   * for that service, and may be a foreign one from the vault.
   *
   * @throws ConfigurationError without a subject token, and for members of another kind.
   * @throws TokenExpiredError when the subject token is a JWT that has ended: nothing is sent then. Also
   * when it ended on the way, and the server calls it invalid (`invalid_grant`).
   * @throws ConsentRequiredError when the user has to connect the service first.
   */
  async exchange(request: ExchangeRequest): Promise<TokenResponse> {
    requireRequest('exchange', request, exchangeChecks);
    const target = [...(request.resources ?? []), ...(request.audiences ?? [])].find(isPresent);
    const issue: TokenRequest = {
      operation: 'exchange',
      endpoint: 'token_endpoint',
      parameters: exchangeParameters(request),
      isExchange: true,
      scope: request.scope,
      target,
      // What the vault hands out is the token of a foreign service, which knows no DPoP.
      acceptsUnbound: target !== undefined,
      derivedFrom: [request.subjectToken, request.actorToken ?? ''].filter(isPresent),
    };
    this.#requireNotEnded(request.subjectToken);
    return this.#token(issue, request.signal).catch((error: unknown) => {
      if (error instanceof InvalidGrantError) this.#requireNotEnded(request.subjectToken, error);
      throw error;
    });
  }

  /**
   * A token for this server itself (RFC 6749 §4.4).
   *
   * @throws ConfigurationError for members of another kind, and without credentials of this server.
   */
  async clientCredentials(request: ClientCredentialsRequest = {}): Promise<TokenResponse> {
    requireRequest('clientCredentials', request, clientCredentialsChecks);
    if (this.#options.authentication === undefined) {
      throw new ConfigurationError(
        'clientCredentials: the grant needs a client that authenticates (RFC 6749 §4.4): set ' +
          'asCredentials (auth of AuthplaneClient.create)',
      );
    }
    const issue: TokenRequest = {
      operation: 'clientCredentials',
      endpoint: 'token_endpoint',
      parameters: clientCredentialsParameters(request),
      scope: request.scopes?.join(' '),
      target: request.resources?.find(isPresent),
      acceptsUnbound: false,
      derivedFrom: [],
    };
    return this.#token(issue, request.signal);
  }

  /**
   * What the authorization server says about a token (RFC 7662). Never cached. AuthPlane answers
   * `active: false` also to a client that may not ask about this token.
   *
   * @throws ConfigurationError without a token.
   */
  async introspect(token: string): Promise<IntrospectionResponse> {
    requireToken(token, 'token');
    const asked: Operation = {
      operation: 'introspect',
      endpoint: 'introspection_endpoint',
      parameters: [
        ['token', token],
        ['token_type_hint', 'access_token'],
      ],
    };
    return readIntrospectionResponse(await this.#post(asked), asked);
  }

  /**
   * Revokes a token (RFC 7009) and forgets what was cached of it or derived from it, also when the
   * authorization server does not do its part.
   *
   * @throws ConfigurationError without a token.
   */
  async revoke(token: string, tokenTypeHint = 'access_token'): Promise<void> {
    requireToken(token, 'token');
    if (typeof tokenTypeHint !== 'string') {
      throw new ConfigurationError('tokenTypeHint: must be a string');
    }
    this.#forget(token);
    try {
      await this.#post({
        operation: 'revoke',
        endpoint: 'revocation_endpoint',
        parameters: present([
          ['token', token],
          ['token_type_hint', tokenTypeHint],
        ]),
      });
    } finally {
      this.#forget(token); // what came in meanwhile
    }
  }

  /** Forgets cached tokens that are this one or were derived from it, such as one refused with 401. */
  evict(token: string): void {
    requireToken(token, 'token');
    this.#tokens.evict(token);
  }

  /**
   * The same for a token that a service has refused, unless the one before it was refused a moment ago:
   * a service that refuses every token must not cost a request for each call.
   */
  evictRefused(token: string): void {
    this.#tokens.evictRefused(token, REFUSED_PAUSE_SECONDS);
  }

  /** Tells of tokens given to {@link revoke}, for as long as somebody else holds the listener. */
  onRevoked(listener: RevocationListener): void {
    const held = new WeakRef(listener);
    this.#onRevoked.add(held);
    this.#collected.register(listener, held);
  }

  #forget(token: string): void {
    this.evict(token);
    for (const listener of this.#onRevoked) listener.deref()?.(token);
  }

  /** By our own clock: what has ended tells its bearer to get a new one. */
  #requireNotEnded(token: string, cause?: unknown): void {
    const exp = expiryOf(token);
    if (exp === undefined || this.#options.clock.now() < exp) return;
    throw new TokenExpiredError(`the token to exchange expired at ${exp}`, { cause });
  }

  #token(issue: TokenRequest, signal: AbortSignal | undefined): Promise<TokenResponse> {
    const { authentication, dpop } = this.#options;
    const caller = [authentication?.clientId ?? '', dpop?.thumbprint ?? ''];
    return this.#tokens.get(
      {
        parts: [...caller, ...issue.parameters.flatMap(comparable)],
        derivedFrom: issue.derivedFrom,
        load: () => this.#issue(issue),
      },
      signal,
    );
  }

  async #issue(issue: TokenRequest): Promise<TokenResponse> {
    const answer = await this.#post(issue);
    const token = readTokenResponse(answer, issue);
    const problem = this.#bindingProblem(token, issue);
    if (problem === undefined) return token;
    throw new ProtocolError(`${issue.operation}: ${problem}`, { statusCode: answer.status });
  }

  /** RFC 9449 §5, §6.1: a token that is bound to the key of the proof, as far as can be seen. */
  #bindingProblem({ tokenType, accessToken }: TokenResponse, issue: TokenRequest) {
    const { dpop } = this.#options;
    if (dpop === undefined) return undefined;
    if (tokenType !== 'DPoP') {
      if (issue.acceptsUnbound) return undefined;
      return (
        'a DPoP proof was sent and token_type is Bearer (RFC 9449 §5); switch DPoP on at the ' +
        'authorization server or off here'
      );
    }
    const cnf = unverifiedClaim(accessToken, 'cnf');
    const jkt = isJsonObject(cnf) ? member(cnf, 'jkt') : undefined;
    return jkt === undefined || jkt === dpop.thumbprint
      ? undefined
      : 'the token is bound to another key than that of the DPoP proof (RFC 9449 §6.1)';
  }

  /** The 2xx answer. The endpoint is looked up first: trouble with the metadata is not its fault. */
  async #post(operation: Operation): Promise<HttpAnswer> {
    const url = await this.#options.endpoint(operation.endpoint);
    const secrets = new Set(secretsOf(operation));
    const answer = await this.#breakers[operation.endpoint]
      .run(() => this.#send(url, operation, secrets))
      .catch((error: unknown) => {
        throw unavailable(error, operation);
      });
    if (isSuccess(answer)) return answer;
    const { consentPolicy } = this.#options;
    throw refusalError(answer, { ...operation, secrets, consentPolicy });
  }

  /** RFC 9449 §8: a demand for a nonce is met once, with a new proof. */
  async #send(url: string, operation: Operation, secrets: Set<string>): Promise<HttpAnswer> {
    const { dpop } = this.#options;
    const answer = await this.#answer(url, operation, secrets);
    const nonce = nonceOf(answer);
    const isAsked = !isSuccess(answer) && errorCodeOf(answer) === 'use_dpop_nonce';
    if (dpop === undefined || nonce === undefined || !isAsked) return answer;
    return this.#attempt(url, operation, secrets, { nonce });
  }

  /**
   * Once more, when the server closed a kept connection as the request came. It may have acted on the
   * first, but nothing asked here is used up by asking (RFC 9110 §9.2.2), and the second has a proof
   * and an assertion of its own.
   */
  async #answer(url: string, operation: Operation, secrets: Set<string>): Promise<HttpAnswer> {
    try {
      return await this.#attempt(url, operation, secrets);
    } catch (error) {
      if (!(error instanceof OutboundHttpError) || !error.stale) throw error;
      return this.#attempt(url, operation, secrets, { ownConnection: true });
    }
  }

  async #attempt(
    url: string,
    { parameters }: Operation,
    secrets: Set<string>,
    { nonce, ownConnection = false }: { nonce?: string; ownConnection?: boolean } = {},
  ): Promise<HttpAnswer> {
    const { authentication, dpop, http, issuer } = this.#options;
    const form = new URLSearchParams([...parameters]);
    const applied = await applyAuthentication(authentication, { url, issuer, form });
    for (const secret of applied.secrets) secrets.add(secret);
    const proof = await dpop?.proof({
      method: 'POST',
      url,
      ...(nonce === undefined ? {} : { nonce }),
    });
    const headers = proof === undefined ? applied.headers : { ...applied.headers, dpop: proof };
    const answer = await http.postForm(url, applied.form, headers, ownConnection);
    const offered = nonceOf(answer);
    if (offered !== undefined) dpop?.noteNonce(url, offered);
    return answer;
  }
}

/** By what is used of it: `instanceof` knows no signal of another realm. */
const signalProblem: Check = (value) => {
  const signal = value as Partial<AbortSignal> | null; // any type compares
  const used = [signal?.throwIfAborted, signal?.addEventListener, signal?.removeEventListener];
  return used.every((method) => typeof method === 'function')
    ? undefined
    : 'must be an AbortSignal';
};

const scopeProblem: Check = (value) => {
  if (typeof value !== 'string') return 'must be a string of scopes separated by blanks';
  return scopeListProblem(value.split(' ').filter(isPresent));
};

const scopesProblem: Check = (value) =>
  textListProblem(value) ?? scopeListProblem((value as string[]).filter(isPresent));

/** RFC 8707 §2: a resource has no fragment. AuthPlane takes slugs, so it need not be a URI. */
const resourcesProblem: Check = (value) => {
  const problem = textListProblem(value);
  if (problem !== undefined) return problem;
  return (value as string[]).some((resource) => resource.includes('#'))
    ? 'a resource must have no fragment (RFC 8707 §2)'
    : undefined;
};

const exchangeChecks: Record<keyof ExchangeRequest, Check> = {
  subjectToken: () => undefined, // required, see below
  subjectTokenType: textProblem,
  actorToken: textProblem,
  actorTokenType: textProblem,
  resources: resourcesProblem,
  audiences: textListProblem,
  scope: scopeProblem,
  signal: signalProblem,
};

const clientCredentialsChecks: Record<keyof ClientCredentialsRequest, Check> = {
  scopes: scopesProblem,
  resources: resourcesProblem,
  signal: signalProblem,
};

/** Callers without types. What is misspelt would otherwise silently not be asked for. */
function requireRequest(name: string, request: object, checks: Record<string, Check>): void {
  const problems = problemsOf(request, checks, false);
  if (problems.length === 0) return;
  throw new ConfigurationError(problems.map((problem) => `${name}: ${problem}`));
}

/** RFC 8693 §2.1. @throws ConfigurationError */
function exchangeParameters(request: ExchangeRequest): readonly Parameter[] {
  requireToken(request.subjectToken, 'subject_token');
  const { actorToken = '', resources = [], audiences = [] } = request;
  const actor: Parameter[] = [
    ['actor_token', actorToken],
    ['actor_token_type', typeOrDefault(request.actorTokenType)],
  ];
  return present([
    ['grant_type', TOKEN_EXCHANGE],
    ['subject_token', request.subjectToken],
    ['subject_token_type', typeOrDefault(request.subjectTokenType)],
    ...(isPresent(actorToken) ? actor : []),
    ['scope', request.scope ?? ''],
    ...resources.map((value): Parameter => ['resource', value]),
    ...audiences.map((value): Parameter => ['audience', value]),
  ]);
}

/** RFC 6749 §4.4.2, RFC 8707 §2. */
function clientCredentialsParameters(request: ClientCredentialsRequest): readonly Parameter[] {
  const { scopes = [], resources = [] } = request;
  return present([
    ['grant_type', 'client_credentials'],
    ['scope', scopes.filter(isPresent).join(' ')],
    ...resources.map((value): Parameter => ['resource', value]),
  ]);
}

function present(parameters: readonly Parameter[]): readonly Parameter[] {
  return parameters.filter(([, value]) => isPresent(value));
}

function isPresent(text: string): boolean {
  return text.trim() !== '';
}

function typeOrDefault(type = ''): string {
  return isPresent(type) ? type : ACCESS_TOKEN;
}

function requireToken(token: unknown, name: string): void {
  if (typeof token === 'string' && isPresent(token)) return;
  throw new ConfigurationError(`${name} is required`);
}

/** For the key: the order of scopes means nothing (RFC 6749 §3.3), all other order may. */
function comparable([name, value]: Parameter): [string, string] {
  return [name, name === 'scope' ? [...new Set(value.split(' '))].sort().join(' ') : value];
}

function secretsOf({ parameters }: Operation): string[] {
  return parameters.flatMap(([name, value]) => (SECRET_PARAMETERS.includes(name) ? value : []));
}

function nonceOf({ headers }: HttpAnswer): string | undefined {
  const nonce = headers['dpop-nonce'];
  return nonce !== undefined && NONCE.test(nonce) ? nonce : undefined;
}

function unavailable(error: unknown, { operation, endpoint }: Operation): unknown {
  if (!(error instanceof OutboundHttpError)) return error;
  return new AuthorizationServerUnavailableError(`${operation}: ${endpoint}: ${error.message}`, {
    cause: error,
  });
}
