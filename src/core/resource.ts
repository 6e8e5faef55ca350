import { type Challenge, ChallengeMemory } from './challenge.js';
import type { ChallengeScheme } from './error-answers.js';
import type { Clock } from './lib/clock.js';
import type { ConsentPolicy } from './calls/consent-url.js';
import { type AdmittedCaller, type Authentication, LocalCaller } from './token/caller.js';
import { ConnectionMemory, type ShownCredentials } from './token/connection-memory.js';
import type { OtherCaller } from './token/other-caller.js';
import { type HeaderLines, headerLines, presentedScheme } from './token/credentials.js';
import type { Jwks } from './discovery/jwks.js';
import type { AuthplaneError } from './errors/authplane-error.js';
import { ConfigurationError } from './errors/configuration-error.js';
import { TokenMissingError, TokenRevokedError } from './errors/token-errors.js';
import { NO_PARAMS, type PathParams } from './names/path-template.js';
import type { ResolvedResourceOptions } from './options.js';
import { UNRESOLVED_RESOURCE } from './names/settings.js';
import { type RevocationCheck, revocationCheck } from './operations/revocation-check.js';
import type { TokenOperations } from './operations/token-operations.js';
import { protectedResourceMetadata, type ProtectedResourceMetadata } from './resource-metadata.js';
import { type Eventually, whenKnown } from './lib/deadline.js';
import {
  type CheckedBinding,
  DPoPConstraint,
  type DPoPRequest,
  noSenderConstraint,
  type SenderConstraint,
  type ShownToken,
} from './dpop/sender-constraint.js';
import {
  scopeCoverage,
  type ScopeNeeds,
  requireScopeNeeds,
  type ScopeCoverage,
} from './lib/scopes.js';
import { type Recalled, TokenVerifier } from './token/token-verifier.js';
import type { VerifiedClaims } from './token/verified-claims.js';

/** A request as the network delivered it. */
export interface InboundRequest {
  /** The HTTP method, as sent. */
  readonly method: string;
  /** Absolute URL or request target; only its path and query are read. */
  readonly url: string;
  /** Node's `rawHeaders`, which keep repeated lines apart, or a record. */
  readonly headers: HeaderLines;
  /**
   * @internal What the request came over, such as its socket: a line that it has sent before is not read again.
   * Never one object for connections of several clients that do not trust each other.
   */
  readonly connection?: object | undefined;
}

/** What a call of {@link AuthplaneResource.verify} knows of the request the token came with. */
export interface VerifyOptions {
  /** The request, for tokens that are bound to a key. Default: none; such a token is then refused. */
  readonly dpopRequest?: {
    /** The HTTP method, as sent. */
    readonly method: string;
    /** Absolute URL or request target; origin and public prefix come from configuration. */
    readonly url: string;
    /** The `DPoP` header, or all its lines. */
    readonly proof?: string | readonly string[] | undefined;
  };
}

/** For the challenge of one request. */
export interface ChallengeRequest {
  /** Those of the request: an error is answered in the scheme it came with. Default: none. */
  readonly headers?: HeaderLines;
  /** Scopes of the operation; default those of the resource. */
  readonly scopes?: readonly string[];
}

/** @internal What a resource needs of the client it belongs to. */
export interface ResourceDependencies {
  readonly issuer: string;
  readonly jwks: Jwks;
  readonly clock: Clock;
  readonly operations: Pick<TokenOperations, 'introspect' | 'onRevoked'>;
  /** Which consent pages an answer may name. */
  readonly consentPolicy: ConsentPolicy;
  /** See `ClientOptions.verboseErrors`. */
  readonly verboseErrors: boolean;
  /** Told of tokens that were accepted although nobody could tell whether they were revoked. */
  readonly onUnchecked: (error: AuthplaneError) => void;
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** How a resource belongs to others of the same configuration. */
interface FamilyMember {
  readonly family: AuthplaneResource;
  readonly params: PathParams;
}

/** One protected resource: which tokens are good for it, and how it says so. Made by `AuthplaneClient.resource`. */
export class AuthplaneResource {
  /** The resource URI, which is the audience of its tokens. */
  readonly resource: string;
  /** Scopes advertised in the metadata. */
  readonly scopes: readonly string[];
  /** URL of the protected resource metadata that challenges name (RFC 9728 §5.1). */
  readonly metadataUrl: string;
  /** @internal Which consent pages answers to its requests may name. */
  readonly consentPolicy: ConsentPolicy;
  /** @internal For what is kept beside it. */
  readonly clock: Clock;
  /** @internal What the parameters of its path stand for. */
  readonly params: PathParams;
  /** @internal The same for all resources that one entry of the configuration stands for. */
  readonly family: AuthplaneResource;
  readonly #dependencies: ResourceDependencies;
  readonly #options: ResolvedResourceOptions;
  readonly #metadata: ProtectedResourceMetadata;
  readonly #covers: ScopeCoverage;
  readonly #verifier: TokenVerifier;
  readonly #connections = new ConnectionMemory();
  readonly #senderConstraint: SenderConstraint;
  readonly #challenges: ChallengeMemory;
  readonly #requireNotRevoked: RevocationCheck | undefined;
  /** Held here only, so that it ends with this resource. */
  readonly #forget = (token: string): void => {
    this.#verifier.forget(token);
    this.#requireNotRevoked?.forget(token);
  };

  /** @internal */
  constructor(
    dependencies: ResourceDependencies,
    options: ResolvedResourceOptions,
    member?: FamilyMember,
  ) {
    const { issuer, clock } = dependencies;
    this.#dependencies = dependencies;
    this.#options = options;
    this.family = member?.family ?? this;
    this.params = member?.params ?? NO_PARAMS;
    this.resource = options.resource;
    this.scopes = options.scopes;
    this.metadataUrl = options.metadataUrl;
    this.consentPolicy = dependencies.consentPolicy;
    this.clock = clock;
    this.#metadata = protectedResourceMetadata(issuer, options);
    this.#covers = scopeCoverage(options.scopeHierarchy);
    const { inboundDPoP } = options;
    this.#senderConstraint = constraintOf(options, clock);
    if (member === undefined) {
      this.#verifier = TokenVerifier.of(dependencies, options, this.#covers);
      this.#requireNotRevoked = checkOf(options, dependencies);
      dependencies.operations.onRevoked(this.#forget);
    } else {
      this.#verifier = member.family.#verifier.at(options);
      this.#requireNotRevoked = member.family.#requireNotRevoked;
    }
    this.#challenges = new ChallengeMemory({
      consentPolicy: dependencies.consentPolicy,
      ...(options.resource === UNRESOLVED_RESOURCE
        ? {}
        : { realm: options.resource, resourceMetadataUrl: this.metadataUrl }),
      verboseErrors: dependencies.verboseErrors,
      schemes: acceptedSchemes(inboundDPoP),
      ...(inboundDPoP === undefined ? {} : { proofAlgorithms: inboundDPoP.allowedProofAlgorithms }),
    });
  }

  /**
   * @internal The same under another URI: its own audience, metadata, `htu` and nonces; shared keys,
   * verdicts on revocation, and room in the memory of verified tokens.
   */
  at(resource: string, params: PathParams): AuthplaneResource {
    const metadataUrl = this.#options.metadataUrlAt(resource);
    const options = { ...this.#options, resource, metadataUrl };
    return new AuthplaneResource(this.#dependencies, options, { family: this.family, params });
  }

  /** The protected resource metadata (RFC 9728 §2). */
  metadata(): ProtectedResourceMetadata {
    return this.#metadata;
  }

  /** The answer of this resource to an error: status, headers and body. */
  challenge(
    error: unknown,
    { headers = [], scopes = this.scopes }: ChallengeRequest = {},
  ): Challenge {
    const { nonce } = this.#senderConstraint;
    return this.#challenges.challenge(error, {
      scopes,
      presentedScheme: presentedScheme(headers),
      ...(nonce === undefined ? {} : { dpopNonce: nonce }),
    });
  }

  /**
   * Who sends this request: takes the token from the `Authorization` header, verifies it, and checks
   * the DPoP proof of a token that is bound to a key. Checks no scopes.
   *
   * @throws TokenMissingError, MalformedCredentialsError, and everything {@link verify} throws.
   */
  async authenticate(request: InboundRequest): Promise<Authentication> {
    return this.authenticateNow(request);
  }

  /**
   * @internal As {@link authenticate}, and at once where nothing has to be waited for: a token that is
   * remembered, is bound to no key and about which nobody is asked. Refuses at once, too, where it can.
   */
  authenticateNow(inbound: InboundRequest): Eventually<Authentication> {
    const { method, url, headers, connection } = inbound;
    const shown = this.#connections.credentials(headers, connection);
    const { scheme, token } = shown;
    const request = { method, url, proofs: headerLines(headers, 'dpop'), scheme };
    const claims = this.#verifyBound(token, request, shown);
    // Not `whenKnown`: a function for later costs those that wait for nothing a tenth of all.
    if (claims instanceof Promise) return claims.then((known) => this.#shownBy(shown, known));
    return this.#shownBy(shown, claims);
  }

  #shownBy({ scheme, token }: ShownCredentials, claims: VerifiedClaims): Authentication {
    return { claims, token, scheme, responseHeaders: this.#responseHeaders(claims) };
  }

  /**
   * The claims of an access token that is good for this resource (RFC 9068 §4): signature, `typ`,
   * issuer, audience, times; and for a token that is bound to a key, that the request proves
   * possession of it (RFC 9449 §7). Does not check scopes.
   *
   * @throws TokenTooLongError, InvalidSignatureError, InvalidClaimsError, TokenExpiredError,
   * TokenRevokedError, DPoPError
   * @throws AuthorizationServerUnavailableError when there is no usable key set, or nobody can tell
   * whether the token was revoked.
   * @throws ReplayStoreError when nobody can tell whether the proof is new.
   */
  async verify(token: string, { dpopRequest }: VerifyOptions = {}): Promise<VerifiedClaims> {
    const { method = '', url = '/', proof } = dpopRequest ?? {};
    const proofs = typeof proof === 'string' ? [proof] : (proof ?? []);
    return this.#verifyBound(token, { method, url, proofs });
  }

  /** Refuses unless the claims cover what is needed. @throws InsufficientScopeError naming every scope the operation needs. */
  requireScopes(claims: VerifiedClaims, needs: ScopeNeeds): void {
    requireScopeNeeds(claims.scopes, needs, this.#covers);
  }

  /** @internal Whoever has shown another credential than an access token, by the scopes of this resource. */
  callerWith(shown: OtherCaller): AdmittedCaller {
    const { resource } = this;
    return new LocalCaller(shown, { resource, covers: this.#covers, now: () => this.clock.now() });
  }

  /** How long a token with these claims is still accepted, the clock skew included. */
  secondsLeft({ expiresAt }: VerifiedClaims): number {
    return expiresAt + this.#options.clockSkewSeconds - this.clock.now();
  }

  /** Whether tokens are asked about after they were verified. */
  get checksRevocation(): boolean {
    return this.#requireNotRevoked !== undefined;
  }

  /** Whether a token with these claims is known to be revoked; `false` where nobody can tell. */
  async isRevoked(claims: VerifiedClaims, token: string): Promise<boolean> {
    try {
      await this.#requireNotRevoked?.(claims, token);
      return false;
    } catch (error) {
      return error instanceof TokenRevokedError;
    }
  }

  #verifyBound(
    token: string,
    request: DPoPRequest,
    recalled: Recalled = { remembered: undefined, hash: undefined },
  ): Eventually<VerifiedClaims> {
    if (typeof token !== 'string') throw new TokenMissingError('there is no token to verify');
    this.#senderConstraint.checkHeader(request);
    const claims = this.#verifier.verify(token, recalled);
    const { hash } = recalled;
    if (claims instanceof Promise) {
      return claims.then((known) => this.#bound({ token, claims: known, hash }, request));
    }
    return this.#bound({ token, claims, hash }, request);
  }

  #bound(shown: ShownToken, request: DPoPRequest): Eventually<VerifiedClaims> {
    const bound = this.#senderConstraint.check(shown, request);
    if (bound instanceof Promise) return bound.then((checked) => this.#admit(shown.token, checked));
    return this.#admit(shown.token, bound);
  }

  #admit(token: string, { claims, useProof }: CheckedBinding): Eventually<VerifiedClaims> {
    const isChecked = this.#requireNotRevoked?.(claims, token);
    if (isChecked === undefined && useProof === undefined) return claims;
    return whenKnown(isChecked, () => whenKnown(useProof?.(), () => claims));
  }

  #responseHeaders({ dpopProof }: VerifiedClaims): Readonly<Record<string, string>> {
    if (dpopProof === undefined) return NO_HEADERS;
    const { nonce } = this.#senderConstraint;
    if (nonce === undefined) return NO_HEADERS;
    return { 'DPoP-Nonce': nonce, 'Cache-Control': 'no-store' };
  }
}

function checkOf(
  { revocationChecker, failClosed, clockSkewSeconds }: ResolvedResourceOptions,
  { clock, operations, onUnchecked }: ResourceDependencies,
): RevocationCheck | undefined {
  if (revocationChecker === undefined) return undefined;
  const introspect = (token: string) => operations.introspect(token);
  return revocationCheck(revocationChecker, {
    ...{ clock, introspect, failClosed, onUnchecked, clockSkewSeconds },
  });
}

function constraintOf(
  { inboundDPoP, resource, verification }: ResolvedResourceOptions,
  clock: Clock,
): SenderConstraint {
  if (resource === UNRESOLVED_RESOURCE) return unresolved;
  return inboundDPoP === undefined
    ? noSenderConstraint
    : new DPoPConstraint({ ...inboundDPoP, verification }, resource, clock);
}

/** No token is for a resource that only a request tells. */
const unresolved: SenderConstraint = {
  ...noSenderConstraint,
  checkHeader: () => {
    throw new ConfigurationError(
      'this application has a resource for each of its names or paths, and which one is not known here: ' +
        'verify tokens where AuthplaneGuard does, in a request',
    );
  },
};

function acceptedSchemes(inboundDPoP: ResolvedResourceOptions['inboundDPoP']): ChallengeScheme[] {
  if (inboundDPoP === undefined) return ['Bearer'];
  return inboundDPoP.required ? ['DPoP'] : ['Bearer', 'DPoP'];
}
