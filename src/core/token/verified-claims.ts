import { InsufficientScopeError } from '../errors/token-errors.js';
import type { ScopeCoverage } from '../lib/scopes.js';
import { deepFreeze } from '../lib/strict-json.js';

/** How callers show who they are who have an access token; any other credential has another name. */
export const ACCESS_TOKEN = 'access_token';

/**
 * Who acts for the subject (RFC 8693 §4.1). Only the outermost actor may drive a decision; inner
 * ones are history.
 */
export interface ActorClaim {
  /** `sub` of the actor. */
  readonly sub?: string;
  /** AuthPlane: `agent` or `service`. */
  readonly actor_type?: string;
  /** Who acted before; history, and no ground for a decision. */
  readonly act?: ActorClaim;
  readonly [claim: string]: unknown;
}

/** What the proof of a sender-constrained request showed (RFC 9449). */
export interface VerifiedDPoPProof {
  /** Thumbprint of the key that signed the proof; equal to `cnf.jkt` of the token. */
  readonly jkt: string;
  /** `jti` of the proof; never seen before within its lifetime. */
  readonly jti: string;
  /** `iat` of the proof, seconds since 1970. */
  readonly iat: number;
  /** `htm`: the method of the request. */
  readonly htm: string;
  /** `htu`: the URL of the request without its query, in normal form. */
  readonly htu: string;
}

export interface ClaimValues {
  /** Default: an access token. */
  readonly method?: string | undefined;
  readonly issuer: string;
  readonly sub: string;
  readonly clientId: string;
  readonly audience: readonly string[];
  readonly expiresAt: number;
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly jti: string;
  readonly kid: string;
  readonly scopes: readonly string[];
  readonly agentId: string;
  readonly agentChain: readonly string[];
  readonly act: ActorClaim | undefined;
  readonly dpopProof?: VerifiedDPoPProof | undefined;
  readonly raw: Readonly<Record<string, unknown>>;
}

/**
 * The claims of an access token that has passed every check, or what `otherCredentials` has said of a
 * caller: `method` tells. Deeply frozen, because one object serves all requests with the same token.
 *
 * Holds no token. Trusting a claim beyond the checked ones is up to you: `agentId` for example is
 * what a client says of itself, good for audit and not for access.
 */
export class VerifiedClaims {
  /** What the caller has shown: `'access_token'`, or what `otherCredentials` has named it. */
  readonly method: string;
  /** `sub`: the user, or the client itself for a machine token (`sub === clientId`). */
  readonly sub: string;
  /** `client_id` (RFC 9068 §2.2); `''` for another credential without one. */
  readonly clientId: string;
  /** `scope`, split; empty when the token has none. */
  readonly scopes: readonly string[];
  /** `iss`; `local:` and the method for another credential, which no authorization server can be. */
  readonly issuer: string;
  /** `aud` as a list; contains the resource. */
  readonly audience: readonly string[];
  /** `exp`, seconds since 1970; `Infinity` for another credential without an end. */
  readonly expiresAt: number;
  /** `iat`, seconds since 1970; 0 for another credential. */
  readonly issuedAt: number;
  /** `nbf`, seconds since 1970; 0 when the token has none. */
  readonly notBefore: number;
  /** `jti`, for audit and for correlation with the authorization server. */
  readonly jti: string;
  /** `kid` of the token's header. */
  readonly kid: string;
  /** `agent_id`; `''` when the client is not a registered agent. */
  readonly agentId: string;
  /** `agent_chain`, root first; empty without delegation. */
  readonly agentChain: readonly string[];
  /** `act`: the party that acts for the subject, if any. */
  readonly act: ActorClaim | undefined;
  /** Set when the request proved possession of the token's key. */
  readonly dpopProof: VerifiedDPoPProof | undefined;
  /** All claims as signed, or the `claims` of another credential. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #covers: ScopeCoverage;

  /** @internal Only the verifier makes verified claims. */
  constructor(values: ClaimValues, covers: ScopeCoverage, dpopProof = values.dpopProof) {
    this.method = values.method ?? ACCESS_TOKEN;
    this.sub = values.sub;
    this.clientId = values.clientId;
    this.scopes = frozen(values.scopes);
    this.issuer = values.issuer;
    this.audience = frozen(values.audience);
    this.expiresAt = values.expiresAt;
    this.issuedAt = values.issuedAt;
    this.notBefore = values.notBefore;
    this.jti = values.jti;
    this.kid = values.kid;
    this.agentId = values.agentId;
    this.agentChain = frozen(values.agentChain);
    this.act = values.act;
    this.dpopProof = dpopProof === undefined ? undefined : Object.freeze(dpopProof);
    this.raw = deepFreeze(values.raw);
    this.#covers = covers;
    Object.freeze(this);
  }

  /** @internal The same claims for a request that proved possession of the key. */
  boundBy(dpopProof: VerifiedDPoPProof): VerifiedClaims {
    return new VerifiedClaims(this, this.#covers, dpopProof);
  }

  /** Whether the token grants this scope, directly or through the configured hierarchy. */
  hasScope(scope: string): boolean {
    return this.#covers(this.scopes, scope);
  }

  /**
   * Whether the token has this claim, as signed; with `value`, whether it is that value or a list that
   * has it. Compares by `===`, so no objects; `has('scope', 'a')` knows no list in a text.
   *
   * @example
   * if (!claims.has('groups', 'staff')) throw new ForbiddenException();
   */
  has(claim: string, value?: string | number | boolean): boolean {
    if (!Object.hasOwn(this.raw, claim)) return false;
    if (value === undefined) return true;
    const found = this.raw[claim];
    return Array.isArray(found) ? found.includes(value) : found === value;
  }

  /** This one, directly or through the hierarchy. @throws InsufficientScopeError */
  requireScope(scope: string): void {
    this.requireScopes([scope]);
  }

  /** Every one of them; an empty list asks for nothing. @throws InsufficientScopeError */
  requireScopes(scopes: readonly string[]): void {
    if (scopes.every((scope) => this.hasScope(scope))) return;
    throw new InsufficientScopeError(scopes, { grantedScopes: this.scopes });
  }
}

/** Lists of the verifier are frozen already, and shared. */
function frozen(list: readonly string[]): readonly string[] {
  return Object.isFrozen(list) ? list : Object.freeze([...list]);
}
