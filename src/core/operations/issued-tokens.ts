import type { AuthorizationServerCalls, CallOptions, Operation, Parameter } from '../calls/call.js';
import { ProtocolError } from '../errors/server-errors.js';
import { tupleText } from '../lib/digest.js';
import { thumbprintIn } from '../token/confirmation.js';
import { unverifiedClaim } from '../jws/unverified-claims.js';
import { TokenCache } from './token-cache.js';
import { readTokenResponse, type TokenResponse } from './token-response.js';

/** A request for a token, whatever the grant. */
export interface TokenGrant extends Operation {
  /** Whether a token that is not bound to the key of the proof is of any use. */
  readonly acceptsUnbound: boolean;
  /** What else tells it apart from other requests, in one text: see {@link comparable}. */
  readonly comparable: string;
  /** Tokens that the new one stands and falls with. */
  readonly derivedFrom: readonly string[];
  /** When the first of them ends, where that was looked up already. Seconds since 1970. */
  readonly until?: number;
}

/** What the tokens depend on besides the request. */
export interface IssuedTokensOptions extends Pick<
  CallOptions,
  'clock' | 'authentication' | 'dpop'
> {
  readonly cacheTtlBufferSeconds: number;
  readonly defaultTtlSeconds: number;
  readonly cacheMaxEntries: number;
}

/** A service that refuses a token and its successor gets no third one within this time. */
const REFUSED_PAUSE_SECONDS = 5;

/** Tokens of this client: cached, and one flight for equal requests. */
export class IssuedTokens {
  readonly #options: IssuedTokensOptions;
  readonly #calls: Pick<AuthorizationServerCalls, 'post'>;
  readonly #tokens: TokenCache;

  constructor(options: IssuedTokensOptions, calls: Pick<AuthorizationServerCalls, 'post'>) {
    this.#options = options;
    this.#calls = calls;
    this.#tokens = new TokenCache({
      clock: options.clock,
      maxEntries: options.cacheMaxEntries,
      ttlBufferSeconds: options.cacheTtlBufferSeconds,
      defaultTtlSeconds: options.defaultTtlSeconds,
    });
  }

  /** @throws the reason of `signal`, and what a call throws. */
  get(grant: TokenGrant, signal: AbortSignal | undefined): Promise<TokenResponse> {
    const { authentication, dpop } = this.#options;
    const { comparable: asked, derivedFrom } = grant;
    return this.#tokens.get(
      {
        parts: [authentication?.clientId ?? '', dpop?.thumbprint ?? '', asked, ...derivedFrom],
        derivedFrom,
        until: grant.until,
        load: () => this.#issued(grant),
      },
      signal,
    );
  }

  /** Forgets cached tokens that are this one or were derived from it, such as one refused with 401. */
  evict(token: string): void {
    this.#tokens.evict(token);
  }

  /**
   * The same for a token that a service has refused, unless the one before it was refused a moment ago:
   * a service that refuses every token must not cost a request for each call.
   */
  evictRefused(token: string): void {
    this.#tokens.evictRefused(token, REFUSED_PAUSE_SECONDS);
  }

  async #issued(grant: TokenGrant): Promise<TokenResponse> {
    const answer = await this.#calls.post(grant);
    const token = readTokenResponse(answer, grant);
    const problem = this.#bindingProblem(token, grant);
    if (problem === undefined) return token;
    throw new ProtocolError(`${grant.operation}: ${problem}`, { statusCode: answer.status });
  }

  /** RFC 9449 §5, §6.1: a token that is bound to the key of the proof, as far as can be seen. */
  #bindingProblem({ tokenType, accessToken }: TokenResponse, grant: TokenGrant) {
    const { dpop } = this.#options;
    if (dpop === undefined) return undefined;
    if (tokenType !== 'DPoP') {
      if (grant.acceptsUnbound) return undefined;
      return (
        'a DPoP proof was sent and token_type is Bearer (RFC 9449 §5); switch DPoP on at the ' +
        'authorization server or off here'
      );
    }
    const jkt = thumbprintIn(unverifiedClaim(accessToken, 'cnf'));
    return jkt === undefined || jkt === dpop.thumbprint
      ? undefined
      : 'the token is bound to another key than that of the DPoP proof (RFC 9449 §6.1)';
  }
}

/** Equal for requests that are: the order of scopes means nothing (RFC 6749 §3.3), all other order may. */
export function comparable(parameters: readonly Parameter[]): string {
  return tupleText(
    parameters.flatMap(([name, value]) => [name, name === 'scope' ? sortedScopes(value) : value]),
  );
}

function sortedScopes(scope: string): string {
  return [...new Set(scope.split(' '))].sort().join(' ');
}
