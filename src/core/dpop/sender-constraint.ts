import { brokenTextRule } from '../jws/claim-values.js';
import type { Credentials } from '../token/credentials.js';
import { ProofKeys } from './proof-key.js';
import type { DPoPNonces } from './nonce.js';
import { type DPoPProofRules, verifyDPoPProof } from './proof.js';
import {
  DPoPBindingMismatchError,
  DPoPMultipleProofsError,
  DPoPNotSupportedError,
  DPoPProofMissingError,
} from '../errors/dpop-errors.js';
import { InvalidClaimsError } from '../errors/token-errors.js';
import { htuOrigin, htuPathPrefix, requestUrl } from './htu.js';
import type { Clock } from '../lib/clock.js';
import { type Eventually, whenKnown } from '../lib/deadline.js';
import type { ResolvedInboundDPoP } from './settings.js';
import { checkReplay, type DPoPReplayStore, processReplayMemory } from './replay-store.js';
import type { VerificationForm } from '../jws/jws-signature.js';
import { sha256 } from '../lib/digest.js';
import { isJsonObject, member } from '../lib/members.js';
import type { VerifiedClaims } from '../token/verified-claims.js';

/** What a request shows besides its token. */
export interface DPoPRequest {
  readonly method: string;
  /** Request target or absolute URL; only the path counts. */
  readonly url: string;
  /** The values of the `DPoP` header lines. */
  readonly proofs: readonly string[];
  /** Scheme of the `Authorization` header, where there was one. */
  readonly scheme?: Credentials['scheme'];
}

/** A token that was found good. */
export interface ShownToken {
  readonly token: string;
  readonly claims: VerifiedClaims;
  /** SHA-256 of the token, where somebody has made it already. */
  readonly hash?: string | undefined;
}

/**
 * Whether token, scheme, proof and the mode of this resource belong together (RFC 9449 §7). Whatever
 * does not fit is refused in every mode: a bound token is never taken for a bearer token.
 */
export interface SenderConstraint {
  /** Before anything costly. @throws DPoPMultipleProofsError */
  checkHeader(request: DPoPRequest): void;
  /** @throws DPoPError, InvalidClaimsError */
  check(shown: ShownToken, request: DPoPRequest): Eventually<CheckedBinding>;
  /** The nonce to send along, if this resource uses nonces. */
  readonly nonce: string | undefined;
}

/** A token that came as it has to. */
export interface CheckedBinding {
  /** With `dpopProof` when the request proved possession of the key. */
  readonly claims: VerifiedClaims;
  /**
   * Takes the proof for used, if there is one. Comes last of all checks: the same request again must
   * not be refused because something else failed for a moment.
   *
   * @throws DPoPReplayDetectedError, ReplayStoreError
   */
  readonly useProof?: () => Eventually<void>;
}

/** DPoP is switched off: what uses it is refused. */
export const noSenderConstraint: SenderConstraint = {
  nonce: undefined,
  checkHeader: () => undefined,
  check: ({ claims }, request) => {
    // A `cnf` of any shape was meant as a constraint; it is never taken for an unbound token.
    if (Object.hasOwn(claims.raw, 'cnf')) {
      throw new DPoPNotSupportedError(
        'the token is sender-constrained (cnf), and DPoP is switched off: set inboundDPoP',
      );
    }
    if (request.proofs.length > 0) {
      throw new DPoPBindingMismatchError(
        'a DPoP proof came with a token that is not bound to a key',
      );
    }
    if (request.scheme === 'DPoP') {
      throw new DPoPNotSupportedError('the request uses the scheme DPoP, which is switched off');
    }
    return { claims };
  },
};

interface DPoPConstraintOptions extends ResolvedInboundDPoP {
  readonly verification: VerificationForm;
}

/** DPoP is supported or required. */
export class DPoPConstraint implements SenderConstraint {
  readonly #options: DPoPConstraintOptions;
  readonly #clock: Clock;
  readonly #origin: string;
  readonly #pathPrefix: string;
  readonly #keys = new ProofKeys();
  readonly #nonces: DPoPNonces | undefined;
  readonly #store: DPoPReplayStore;
  readonly #replayScope: readonly string[];
  /** What requests came for last, as good as always the same, and what that is as `htu`. */
  #last: { readonly target: string; readonly htu: string } | undefined;

  constructor(options: DPoPConstraintOptions, resource: string, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#origin = htuOrigin(resource);
    this.#pathPrefix = htuPathPrefix(options.publicPathPrefix);
    this.#nonces = options.nonce?.(clock, resource);
    this.#store = options.replayStore ?? processReplayMemory(clock);
    this.#replayScope = options.replayStore === undefined ? [resource] : [];
  }

  get nonce(): string | undefined {
    return this.#nonces?.current();
  }

  checkHeader({ proofs }: DPoPRequest): void {
    if (proofs.length > 1) {
      throw new DPoPMultipleProofsError('more than one DPoP header line (RFC 9449 §4.3 #1)');
    }
  }

  check(shown: ShownToken, request: DPoPRequest): Eventually<CheckedBinding> {
    const { claims } = shown;
    const jkt = confirmedKey(claims);
    const [proof] = request.proofs;
    if (jkt === undefined) {
      this.#requireUnbound(request);
      return { claims };
    }
    if (proof === undefined) {
      throw new DPoPProofMissingError(
        'the token is bound to a key, and no DPoP proof came with it',
      );
    }
    if (request.scheme === 'Bearer') {
      throw new DPoPBindingMismatchError('a token bound to a key came under the scheme Bearer');
    }
    const checked = verifyDPoPProof(proof, this.#rules(shown, jkt, request));
    return whenKnown(checked, ({ proof: holds, replayKey, expiresAt }) => ({
      claims: claims.boundBy(holds),
      useProof: () => checkReplay(this.#store, replayKey, expiresAt, { proofKey: jkt }),
    }));
  }

  /** An unbound token is a bearer token, and has to come as one. */
  #requireUnbound({ proofs, scheme }: DPoPRequest): void {
    if (this.#options.required) {
      throw new DPoPBindingMismatchError('this resource takes only tokens that are bound to a key');
    }
    if (scheme === 'DPoP') {
      throw new DPoPBindingMismatchError('a token without binding came under the scheme DPoP');
    }
    if (proofs.length > 0) {
      throw new DPoPBindingMismatchError(
        'a DPoP proof came with a token that is not bound to a key',
      );
    }
  }

  #htuOf(target: string): string {
    if (target === this.#last?.target) return this.#last.htu;
    const htu = requestUrl(this.#origin, this.#pathPrefix, target);
    this.#last = { target, htu };
    return htu;
  }

  #rules({ token, hash }: ShownToken, jkt: string, request: DPoPRequest): DPoPProofRules {
    const { allowedProofAlgorithms, maxProofAgeSeconds, clockSkewSeconds, verification } =
      this.#options;
    const nonces = this.#nonces;
    return {
      method: request.method,
      expectedHtu: this.#htuOf(request.url),
      accessTokenHash: hash ?? sha256(token),
      expectedJkt: jkt,
      allowedAlgorithms: allowedProofAlgorithms,
      maxProofAgeSeconds,
      clockSkewSeconds,
      now: () => this.#clock.now(),
      strictHtu: this.#options.strictHtu,
      verification,
      replayScope: this.#replayScope,
      keys: this.#keys,
      nonce: nonces === undefined ? undefined : (nonce) => nonces.check(nonce),
    };
  }
}

/**
 * The thumbprint the token is bound to; `undefined` for a token without `cnf`. Other confirmation
 * methods beside `jkt` are not looked at.
 *
 * @throws InvalidClaimsError when there is a `cnf` that names no usable key.
 */
function confirmedKey({ raw }: VerifiedClaims): string | undefined {
  const cnf = member(raw, 'cnf');
  if (!Object.hasOwn(raw, 'cnf')) return undefined;
  const jkt = isJsonObject(cnf) ? member(cnf, 'jkt') : undefined;
  if (typeof jkt === 'string' && /^[A-Za-z0-9_-]{43}$/.test(jkt)) return jkt;
  throw new InvalidClaimsError('the claim cnf of the token names no key by thumbprint (jkt)', {
    claim: 'cnf',
    rule: isJsonObject(cnf) ? brokenTextRule(jkt, 43) : 'type',
  });
}
