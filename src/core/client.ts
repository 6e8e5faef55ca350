import { AuthorizationServer } from './discovery/authorization-server.js';
import type { AuthplaneError } from './errors/authplane-error.js';
import { AuthorizationServerUnavailableError } from './errors/server-errors.js';
import { OutboundHttp } from './http/client.js';
import { Jwks } from './discovery/jwks.js';
import {
  type ClientOptions,
  resolveClientOptions,
  type ResolvedClientOptions,
  type ResolvedResourceOptions,
  resolveResourceOptions,
  type ResourceOptions,
} from './options.js';
import { resourceWarnings, serverWarnings } from './option-warnings.js';
import type { IntrospectionResponse } from './operations/introspection.js';
import type { TokenResponse } from './operations/token-response.js';
import { fetchAs, type FetchAsRequest } from './operations/fetch-as.js';
import { AuthplaneResource } from './resource.js';
import { addScopeNeeds, NO_SCOPES, scopeCoverage } from './lib/scopes.js';
import type { ClientCredentialsRequest } from './operations/client-credentials.js';
import type { ExchangeRequest } from './operations/exchange.js';
import { TokenOperations } from './operations/token-operations.js';
import { unmetSettings } from './discovery/unmet-settings.js';

/** A lazy start waits this long for the authorization server before it goes on without. */
const LAZY_START_SECONDS = 3;

/**
 * The connection to the authorization server: discovery and keys, kept fresh in the background, and
 * what this server asks of it on its own behalf. Close it when you are done.
 *
 * Tokens are cached and equal requests share one flight. Each endpoint has its own circuit breaker,
 * so trouble with one does not touch another, nor the verification of tokens.
 */
export class AuthplaneClient {
  /** The authorization server. */
  readonly issuer: string;
  /** Development mode, see `ClientOptions.devMode`. */
  readonly devMode: boolean;
  /** See `ConsentPageOptions`; these three are what `withConsent` asks of a client. */
  readonly pageOrigins: readonly string[] | undefined;
  /** Pauses in milliseconds before an operation is tried again after consent. */
  readonly retryDelaysMs: readonly number[] | undefined;
  readonly #options: ResolvedClientOptions;
  readonly #http: OutboundHttp;
  readonly #authorizationServer: AuthorizationServer;
  readonly #jwks: Jwks;
  readonly #operations: TokenOperations;
  readonly #warned = new Set<string>();

  /** @internal Use {@link create}; the Nest module makes its own. */
  constructor(options: ResolvedClientOptions) {
    this.issuer = options.issuer;
    this.devMode = options.devMode;
    this.pageOrigins = options.consent.pageOrigins;
    this.retryDelaysMs = options.consent.retryDelaysMs;
    this.#options = options;
    this.#http = new OutboundHttp({
      devMode: options.devMode,
      timeoutMs: Math.round(options.requestTimeoutSeconds * 1000),
      maxSockets: options.maxSockets,
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    });
    this.#authorizationServer = new AuthorizationServer(options, this.#http, (hasMoved) =>
      this.#jwks.metadataLoaded(hasMoved),
    );
    this.#jwks = new Jwks(options, this.#http, this.#authorizationServer);
    this.#operations = new TokenOperations({
      ...options,
      http: this.#http,
      endpoint: (name) => this.#authorizationServer.endpoint(name),
      consentPolicy: this,
    });
  }

  /**
   * A client that is ready: metadata (RFC 8414) and key set have been read. With `startup: 'lazy'`
   * it may not be ready yet and goes on trying in the background.
   *
   * Options that are legal and probably not meant are process warnings (`AuthplaneWarning`), as those
   * of {@link resource} are.
   *
   * @throws ConfigurationError for wrong options.
   * @throws MetadataFetchError, JWKSFetchError, MissingMetadataEndpointError
   */
  static async create(options: ClientOptions): Promise<AuthplaneClient> {
    const resolved = resolveClientOptions(options);
    const client = new AuthplaneClient(resolved);
    client.#warn(serverWarnings(resolved));
    try {
      await client.start();
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** A protected resource whose tokens this authorization server issues. @throws ConfigurationError */
  resource(options: ResourceOptions): AuthplaneResource {
    const resolved = resolveResourceOptions(options, this.#options.devMode);
    this.#warn(resourceWarnings(this.#options, resolved));
    void this.unmetSettings(resolved).then((unmet) => this.#warn(unmet));
    return this.resolvedResource(resolved);
  }

  /**
   * @internal What the options want and the authorization server does not offer. Comes when its
   * documents are there, which may be long after the start, and never rejects.
   *
   * @param needs scopes besides those of the options.
   */
  async unmetSettings(resource: ResolvedResourceOptions, needs = NO_SCOPES): Promise<string[]> {
    await this.#jwks.loaded;
    const { offer } = this.#authorizationServer;
    if (offer === undefined) return [];
    const { authentication, dpop } = this.#options;
    const covers = scopeCoverage(resource.scopeHierarchy);
    return unmetSettings(
      { ...offer, hasKeyFor: (alg) => this.#jwks.hasKeyFor(alg) },
      {
        getsTokens: authentication !== undefined && resource.revocationChecker !== 'introspection',
        signsProofs: dpop !== undefined,
        allowedAlgorithms: resource.allowedAlgorithms,
        inboundDPoP: resource.inboundDPoP,
        scopes: addScopeNeeds({ all: resource.scopes, anyOf: [] }, needs),
        covers: (offered, scope) => {
          try {
            return covers(offered, scope);
          } catch {
            return true; // a hierarchy of the application that throws is no finding about the server
          }
        },
      },
    );
  }

  /** @internal For options that have been checked. */
  resolvedResource(options: ResolvedResourceOptions): AuthplaneResource {
    const { clock, verboseErrors, onBackgroundFailure } = this.#options;
    return new AuthplaneResource(
      {
        issuer: this.issuer,
        jwks: this.#jwks,
        clock,
        operations: this.#operations,
        consentPolicy: this,
        verboseErrors,
        onUnchecked: onBackgroundFailure,
      },
      options,
    );
  }

  /**
   * A token for another service in exchange for the caller's (RFC 8693).
   *
   * @throws ConsentRequiredError when the user has to connect that service first.
   * @throws OAuthError, ProtocolError, AuthorizationServerUnavailableError
   */
  exchange(request: ExchangeRequest): Promise<TokenResponse> {
    return this.#operations.exchange(request);
  }

  /**
   * A token for this server itself (RFC 6749 §4.4).
   *
   * @throws OAuthError, ProtocolError, AuthorizationServerUnavailableError
   */
  clientCredentials(request?: ClientCredentialsRequest): Promise<TokenResponse> {
    return this.#operations.clientCredentials(request);
  }

  /**
   * What the authorization server knows of a token (RFC 7662). Not cached. AuthPlane calls every token
   * inactive when this client is not bound to its resource.
   *
   * @throws OAuthError, ProtocolError, AuthorizationServerUnavailableError
   */
  introspect(token: string): Promise<IntrospectionResponse> {
    return this.#operations.introspect(token);
  }

  /**
   * Revokes a token (RFC 7009), and forgets it here at once: cached tokens that came from it, and
   * that it was verified.
   *
   * @throws OAuthError, AuthorizationServerUnavailableError
   */
  revoke(token: string, tokenTypeHint?: string): Promise<void> {
    return this.#operations.revoke(token, tokenTypeHint);
  }

  /** Forgets a cached token that a service has refused; the next call gets a new one. */
  evict(token: string): void {
    this.#operations.evict(token);
  }

  /** @internal As {@link evict}, at most once in a while for a service that refuses every token. */
  evictRefused(token: string): void {
    this.#operations.evictRefused(token);
  }

  /**
   * Calls a service on the user's behalf: exchanges the caller's token or reuses an earlier one, sends
   * it with a proof where it is bound, and after a 401 tries once more with a fresh one. The caller's
   * own token never leaves.
   *
   * @throws ConsentRequiredError when the user has to connect that service first.
   * @throws ConfigurationError when the request would carry the caller's token.
   */
  fetchAs(request: FetchAsRequest): Promise<Response> {
    const { dpop, devMode } = this.#options;
    return fetchAs(request, {
      tokens: this.#operations,
      devMode,
      ...(dpop === undefined ? {} : { dpop }),
    });
  }

  /** Keys are in hand and fresh enough to verify tokens with. */
  get isReady(): boolean {
    return this.#jwks.isReady;
  }

  /** @internal First load; see `startup`. Nothing needs it before a token can be verified. */
  async start(): Promise<void> {
    try {
      await (this.#options.startup === 'lazy' ? this.#readyOrLater() : this.#jwks.ready());
    } catch (error) {
      const unreachable =
        error instanceof AuthorizationServerUnavailableError && !error.wrongServer;
      if (this.#options.startup === 'eager' || !unreachable) throw error;
      this.#options.onBackgroundFailure(error);
    }
  }

  /** Stops all background work and closes idle connections. Verification goes on with the keys in hand. */
  close(): void {
    this.#authorizationServer.close();
    this.#jwks.close();
    this.#http.close();
  }

  /** Where nobody has a logger. Once each, however many resources there are. */
  #warn(warnings: readonly string[]): void {
    for (const warning of warnings) {
      if (this.#warned.has(warning)) continue;
      this.#warned.add(warning);
      process.emitWarning(`authplane-nestjs: ${warning}`, 'AuthplaneWarning');
    }
  }

  async #readyOrLater(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<'later'>((resolve) => {
      timer = setTimeout(() => resolve('later'), LAZY_START_SECONDS * 1000);
    });
    const ready = this.#jwks.ready();
    try {
      if ((await Promise.race([ready, waited])) !== 'later') return;
    } finally {
      clearTimeout(timer);
    }
    ready.catch((error: AuthplaneError) => this.#options.onBackgroundFailure(error));
  }
}
