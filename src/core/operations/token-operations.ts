import { AuthorizationServerCalls, type CallOptions } from '../calls/call.js';
import { clientCredentialsGrant, type ClientCredentialsRequest } from './client-credentials.js';
import { exchangeGrant, type ExchangeRequest, requireNotEnded } from './exchange.js';
import { introspect, type IntrospectionResponse } from './introspection.js';
import { IssuedTokens, type IssuedTokensOptions } from './issued-tokens.js';
import { requireToken } from './request-members.js';
import { type RevocationListener, Revocations } from './revocations.js';
import type { TokenResponse } from './token-response.js';

export interface TokenOperationsOptions extends CallOptions, IssuedTokensOptions {}

/**
 * What this server asks of the authorization server on its own behalf: tokens, introspection and
 * revocation. Issued tokens are cached, equal requests share one flight, and each endpoint has a
 * circuit breaker of its own.
 *
 * All of them throw, besides what is named there, what {@link AuthorizationServerCalls} throw.
 */
export class TokenOperations {
  readonly #options: TokenOperationsOptions;
  readonly #calls: AuthorizationServerCalls;
  readonly #tokens: IssuedTokens;
  readonly #revocations: Revocations;
  /** Held here, as listeners are only for as long as somebody does. */
  readonly #forget = (token: string): void => this.#tokens.evict(token);

  constructor(options: TokenOperationsOptions) {
    this.#options = options;
    this.#calls = new AuthorizationServerCalls(options);
    this.#tokens = new IssuedTokens(options, this.#calls);
    this.#revocations = new Revocations(this.#calls);
    this.#revocations.onRevoked(this.#forget);
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
    const grant = exchangeGrant(request);
    const { clock } = this.#options;
    requireNotEnded(grant, clock.now());
    try {
      return await this.#tokens.get(grant, request.signal);
    } catch (error) {
      requireNotEnded(grant, clock.now(), error);
      throw error;
    }
  }

  /**
   * A token for this server itself (RFC 6749 §4.4).
   *
   * @throws ConfigurationError for members of another kind, and without credentials of this server.
   */
  async clientCredentials(request: ClientCredentialsRequest = {}): Promise<TokenResponse> {
    const hasCredentials = this.#options.authentication !== undefined;
    return this.#tokens.get(clientCredentialsGrant(request, hasCredentials), request.signal);
  }

  /** See {@link introspect}. @throws ConfigurationError without a token. */
  async introspect(token: string): Promise<IntrospectionResponse> {
    return introspect(token, this.#calls);
  }

  /**
   * Revokes a token (RFC 7009) and forgets what was cached of it or derived from it, also when the
   * authorization server does not do its part.
   *
   * @throws ConfigurationError without a token.
   */
  async revoke(token: string, tokenTypeHint?: string): Promise<void> {
    return this.#revocations.revoke(token, tokenTypeHint);
  }

  /** See {@link IssuedTokens.evict}. @throws ConfigurationError without a token. */
  evict(token: string): void {
    requireToken(token, 'token');
    this.#tokens.evict(token);
  }

  /** See {@link IssuedTokens.evictRefused}. */
  evictRefused(token: string): void {
    this.#tokens.evictRefused(token);
  }

  /** See {@link Revocations.onRevoked}. */
  onRevoked(listener: RevocationListener): void {
    this.#revocations.onRevoked(listener);
  }
}
