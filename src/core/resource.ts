import { requireValidNow, verifyAccessToken, type AccessTokenRules } from './access-token.js';
import type { ChallengeOptions } from './challenge.js';
import type { Clock } from './clock.js';
import {
  type Credentials,
  type HeaderLines,
  headerLines,
  parseCredentials,
} from './credentials.js';
import { DPoPNotSupportedError } from './errors.js';
import type { Jwks } from './jwks.js';
import type { ResolvedResourceOptions } from './options.js';
import {
  protectedResourceMetadata,
  type ProtectedResourceMetadata,
  resourceMetadataUrl,
} from './resource-metadata.js';
import { scopeCoverage, type ScopeNeeds, requireScopeNeeds, type ScopeCoverage } from './scopes.js';
import type { VerifiedClaims } from './verified-claims.js';
import { VerifiedTokens } from './verified-tokens.js';

/** A request as the network delivered it. */
export interface InboundRequest {
  readonly method: string;
  /** Absolute URL or request target; only its path and query are read. */
  readonly url: string;
  /** Node's `rawHeaders`, which keep repeated lines apart, or a record. */
  readonly headers: HeaderLines;
}

/** A request whose caller is known. */
export interface Authentication {
  readonly claims: VerifiedClaims;
  /** The inbound access token, for token exchange. Never pass it on to another service. */
  readonly token: string;
  readonly scheme: Credentials['scheme'];
}

/** @internal What a resource needs of the client it belongs to. */
export interface ResourceDependencies {
  readonly issuer: string;
  readonly jwks: Jwks;
  readonly clock: Clock;
}

/** One protected resource: which tokens are good for it, and how it says so. Made by `AuthplaneClient.resource`. */
export class AuthplaneResource {
  /** The resource URI, which is the audience of its tokens. */
  readonly resource: string;
  /** Scopes advertised in the metadata. */
  readonly scopes: readonly string[];
  /** URL of the protected resource metadata (RFC 9728 §3). */
  readonly metadataUrl: string;
  readonly #metadata: ProtectedResourceMetadata;
  readonly #rules: AccessTokenRules;
  readonly #jwks: Jwks;
  readonly #covers: ScopeCoverage;
  readonly #verified = new VerifiedTokens();

  /** @internal */
  constructor({ issuer, jwks, clock }: ResourceDependencies, options: ResolvedResourceOptions) {
    this.resource = options.resource;
    this.scopes = options.scopes;
    this.metadataUrl = resourceMetadataUrl(options.resource);
    this.#metadata = protectedResourceMetadata(issuer, options);
    this.#jwks = jwks;
    this.#covers = scopeCoverage(options.scopeHierarchy);
    this.#rules = {
      issuer,
      resource: options,
      covers: this.#covers,
      findKey: (kid, alg) => jwks.find(kid, alg),
      now: () => clock.now(),
    };
  }

  /** The protected resource metadata (RFC 9728 §2). */
  metadata(): ProtectedResourceMetadata {
    return this.#metadata;
  }

  /** What every challenge of this resource says about it. */
  get challengeOptions(): ChallengeOptions {
    return { realm: this.resource, resourceMetadataUrl: this.metadataUrl, schemes: ['Bearer'] };
  }

  /**
   * Who sends this request: takes the token from the `Authorization` header and verifies it.
   * Checks no scopes.
   *
   * @throws TokenMissingError, MalformedCredentialsError, and everything {@link verify} throws.
   */
  async authenticate(request: InboundRequest): Promise<Authentication> {
    const { scheme, token } = parseCredentials(request.headers);
    if (scheme === 'DPoP' || headerLines(request.headers, 'dpop').length > 0) {
      throw new DPoPNotSupportedError('the request uses DPoP, which is switched off here');
    }
    return { claims: await this.verify(token), token, scheme };
  }

  /**
   * The claims of an access token that is good for this resource (RFC 9068 §4): signature, `typ`,
   * issuer, audience, times. Does not check scopes.
   *
   * @throws InvalidSignatureError, InvalidClaimsError, TokenExpiredError
   * @throws DPoPNotSupportedError for a sender-constrained token.
   * @throws AuthorizationServerUnavailableError when there is no usable key set.
   */
  async verify(token: string): Promise<VerifiedClaims> {
    const claims = this.#remembered(token) ?? (await this.#verifyNew(token));
    // A `cnf` of any shape was meant as a constraint; it is never taken for an unbound token.
    if (Object.hasOwn(claims.raw, 'cnf')) {
      throw new DPoPNotSupportedError(
        'the token is sender-constrained (cnf), and DPoP is switched off',
      );
    }
    return claims;
  }

  /** @throws InsufficientScopeError naming every scope the operation needs. */
  requireScopes(claims: VerifiedClaims, needs: ScopeNeeds): void {
    requireScopeNeeds(claims.scopes, needs, this.#covers);
  }

  #remembered(token: string): VerifiedClaims | undefined {
    const known = this.#verified.get(token);
    if (known === undefined) return undefined;
    if (!this.#jwks.holds(known.key)) {
      this.#verified.delete(token); // its key was withdrawn, or the key set is too old to be used
      return undefined;
    }
    requireValidNow(known.claims, this.#rules);
    return known.claims;
  }

  async #verifyNew(token: string): Promise<VerifiedClaims> {
    const verified = await verifyAccessToken(token, this.#rules);
    this.#verified.set(token, verified);
    return verified.claims;
  }
}
