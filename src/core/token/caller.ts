import { areNeedsMet, type ScopeCoverage, type ScopeNeeds } from '../lib/scopes.js';
import type { Credentials } from './credentials.js';
import type { OtherCaller } from './other-caller.js';
import { ACCESS_TOKEN, type ClaimValues, VerifiedClaims } from './verified-claims.js';

/** A request whose caller is known. */
export interface Authentication {
  /** What the token says, verified. */
  readonly claims: VerifiedClaims;
  /**
   * The inbound access token, for token exchange. Never pass it on to another service. `''` where the
   * caller has shown another credential.
   */
  readonly token: string;
  /** The scheme the token came with; `Bearer` where there is none. */
  readonly scheme: Credentials['scheme'];
  /**
   * Headers for the answer, whatever it is: where nonces are used `DPoP-Nonce`, and `Cache-Control:
   * no-store`, which a handler may replace (RFC 9449 §8.2).
   */
  readonly responseHeaders: Readonly<Record<string, string>>;
}

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
  /** Nobody: no credential was shown. Never seen by what runs for the request. */
  readonly isAnonymous?: true;
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

/** What a resource knows that callers without an access token ask for. */
interface LocalRules {
  readonly resource: string;
  readonly covers: ScopeCoverage;
  /** Seconds since 1970. */
  readonly now: () => number;
}

/** A caller for whom the application itself answers: an API key, a session. */
export class LocalCaller implements AdmittedCaller {
  readonly claims: VerifiedClaims;
  readonly method: string;
  readonly resource: string;
  readonly responseHeaders = {};
  readonly #now: () => number;

  constructor(shown: OtherCaller, { resource, covers, now }: LocalRules) {
    this.claims = new VerifiedClaims(valuesOf(shown, resource), covers);
    this.method = shown.method;
    this.resource = resource;
    this.#now = now;
  }

  /** By our own clock, which has also set the end: there is no skew. */
  secondsLeft(): number {
    return this.claims.expiresAt - this.#now();
  }
}

/** Whoever has shown no credential, where that is enough for some things: without scopes, and the same for all. */
export class AnonymousCaller implements AdmittedCaller {
  readonly isAnonymous = true;
  readonly method = 'anonymous';
  readonly responseHeaders = {};
  readonly claims: VerifiedClaims;

  constructor(readonly resource: string) {
    const { method } = this;
    this.claims = new VerifiedClaims(
      valuesOf({ method, sub: '', scopes: [] }, resource),
      () => false,
    );
  }

  secondsLeft(): number {
    return Infinity;
  }
}

/** The issuer is no URL, so it is never that of an authorization server. */
function valuesOf(shown: OtherCaller, resource: string): ClaimValues {
  const { method, sub, clientId = '', scopes, expiresAt = Infinity, claims = {} } = shown;
  return {
    ...{ method, sub, clientId, scopes, expiresAt },
    issuer: `local:${method}`,
    audience: [resource],
    issuedAt: 0,
    notBefore: 0,
    jti: '',
    kid: '',
    agentId: '',
    agentChain: [],
    act: undefined,
    raw: JSON.parse(JSON.stringify(claims)) as Record<string, unknown>, // it is frozen, and not ours
  };
}

/** Where there is no request that was judged: the caller by what their claims say. */
export function callerByToken(authentication: Authentication): Caller {
  const { claims, token } = authentication;
  return {
    claims,
    method: claims.method,
    ...(token === '' ? {} : { authentication }),
    get resource() {
      return claims.audience[0] ?? '';
    },
  };
}

export function meetsNeeds({ claims }: Pick<Caller, 'claims'>, needs: ScopeNeeds): boolean {
  return areNeedsMet(needs, (scope) => claims.hasScope(scope));
}
