import { AuthplaneError, type AuthplaneErrorCode } from './authplane-error.js';
import type { ClaimRule, ClaimErrorOptions } from './token-errors.js';

/** A sender-constraint failure. Its subclasses name the rule. */
export class DPoPError extends AuthplaneError {
  readonly code: AuthplaneErrorCode = 'dpop_error';
}

/** A bound token arrived without a proof (RFC 9449 §7.1). */
export class DPoPProofMissingError extends DPoPError {
  override readonly code = 'dpop_proof_missing';
}

/** The proof fails a check of RFC 9449 §4.3. */
export class InvalidDPoPProofError extends DPoPError {
  override readonly code = 'invalid_dpop_proof';
  /** The claim, the member of the header or of its `jwk`: `htu`, `jwk`, `kty`; `undefined` for the whole. */
  readonly claim: string | undefined;
  /** How it is broken. */
  readonly rule: ClaimRule;

  /** Without `options.rule` the rule is `malformed`. */
  constructor(message: string, options?: ClaimErrorOptions) {
    super(message, options);
    this.claim = options?.claim;
    this.rule = options?.rule ?? 'malformed';
  }
}

/** More than one `DPoP` header line (RFC 9449 §4.3 #1). */
export class DPoPMultipleProofsError extends DPoPError {
  override readonly code = 'dpop_multiple_proofs';
}

/** The proof was used before (RFC 9449 §11.1). */
export class DPoPReplayDetectedError extends DPoPError {
  override readonly code = 'dpop_replay_detected';
}

/** Scheme, token binding and proof key do not belong together (RFC 9449 §7.1, §7.2). */
export class DPoPBindingMismatchError extends DPoPError {
  override readonly code = 'dpop_binding_mismatch';
}

/** The proof is signed by another key than the one the token is bound to (RFC 9449 §4.3 #12). */
export class DPoPKeyMismatchError extends DPoPBindingMismatchError {}

/** A bound token or a proof at a resource that has DPoP switched off. */
export class DPoPNotSupportedError extends DPoPError {
  override readonly code = 'dpop_not_supported';
}

/** The resource wants a fresh nonce in the proof (RFC 9449 §9). */
export class DPoPNonceRequiredError extends DPoPError {
  override readonly code = 'dpop_nonce_required';
}
