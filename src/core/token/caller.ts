import { areNeedsMet, type ScopeNeeds } from '../lib/scopes.js';
import type { Credentials } from './credentials.js';
import type { VerifiedClaims } from './verified-claims.js';

/** A request whose caller is known. */
export interface Authentication {
  /** What the token says, verified. */
  readonly claims: VerifiedClaims;
  /** The inbound access token, for token exchange. Never pass it on to another service. */
  readonly token: string;
  /** The scheme the token came with. */
  readonly scheme: Credentials['scheme'];
  /**
   * Headers for the answer, whatever it is: where nonces are used `DPoP-Nonce`, and `Cache-Control:
   * no-store`, which a handler may replace (RFC 9449 §8.2).
   */
  readonly responseHeaders: Readonly<Record<string, string>>;
}

/** How callers show who they are who have an access token; any other credential has another name. */
export const ACCESS_TOKEN = 'access_token';

/**
 * Who asks, in one shape, whatever they have shown. Scopes, lists, sessions, streams and marked methods
 * ask this, and none of them knows of a token.
 */
export interface Caller {
  /** Identity (`issuer`, `sub`, `clientId`), scopes, and all else that is known of them. */
  readonly claims: VerifiedClaims;
  /** What they have shown. */
  readonly method: string;
  /** URI of the protected resource that they have shown it for. */
  readonly resource: string;
  /** The token, for whoever exchanges it; none where something else was shown. */
  readonly authentication?: Authentication | undefined;
}

/** A caller whose credential a resource has just accepted, and can be asked about again. */
export interface AdmittedCaller extends Caller {
  /** For the answer to this request, whatever it is. */
  readonly responseHeaders: Readonly<Record<string, string>>;
  /** Until the credential is refused, from now. */
  secondsLeft(): number;
  /** Whether it is known to have been taken back; left out where nobody is asked. */
  readonly isRevoked?: (() => Promise<boolean>) | undefined;
}

/** What a resource knows about the tokens that it has accepted. */
interface AcceptedTokens {
  readonly resource: string;
  readonly checksRevocation: boolean;
  secondsLeft(claims: VerifiedClaims): number;
  isRevoked(claims: VerifiedClaims, token: string): Promise<boolean>;
}

/** The caller behind an access token. */
export class TokenCaller implements AdmittedCaller {
  readonly method = ACCESS_TOKEN;
  readonly isRevoked: AdmittedCaller['isRevoked'];
  readonly #tokens: AcceptedTokens;

  constructor(
    readonly authentication: Authentication,
    tokens: AcceptedTokens,
  ) {
    const { claims, token } = authentication;
    this.#tokens = tokens;
    this.isRevoked = tokens.checksRevocation ? () => tokens.isRevoked(claims, token) : undefined;
  }

  get claims(): VerifiedClaims {
    return this.authentication.claims;
  }

  get resource(): string {
    return this.#tokens.resource;
  }

  get responseHeaders(): Authentication['responseHeaders'] {
    return this.authentication.responseHeaders;
  }

  secondsLeft(): number {
    return this.#tokens.secondsLeft(this.claims);
  }
}

/** Where there is no request that was judged: the caller by what their verified token says. */
export function callerByToken(authentication: Authentication): Caller {
  const { claims } = authentication;
  return {
    claims,
    method: ACCESS_TOKEN,
    authentication,
    get resource() {
      return claims.audience[0] ?? '';
    },
  };
}

export function meetsNeeds({ claims }: Pick<Caller, 'claims'>, needs: ScopeNeeds): boolean {
  return areNeedsMet(needs, (scope) => claims.hasScope(scope));
}
