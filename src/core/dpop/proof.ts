import type { KeyObject } from 'node:crypto';
import { isAllowedAlgorithm } from '../lib/algorithms.js';
import { brokenTextRule, brokenTimeRule, isClaimText, isNumericDate } from '../jws/claim-values.js';
import {
  type CompactJws,
  isCanonicalBase64url,
  MAX_PROOF_LENGTH,
  parseCompactJws,
} from '../jws/compact-jws.js';
import {
  signatureVerdict,
  type SignatureVerdict,
  type VerificationForm,
} from '../jws/jws-signature.js';
import { type Eventually, whenKnown } from '../lib/deadline.js';
import { tupleHash } from '../lib/digest.js';
import { importProofKey, type ProofKeys, readProofJwk } from './proof-key.js';
import {
  type ClaimErrorOptions,
  type ClaimRule,
  InvalidClaimsError,
  InvalidSignatureError,
  TokenTooLongError,
} from '../errors/token-errors.js';
import {
  DPoPKeyMismatchError,
  DPoPNonceRequiredError,
  InvalidDPoPProofError,
} from '../errors/dpop-errors.js';
import { canonicalHtu } from './htu.js';
import { member } from '../lib/members.js';
import { parseStrictJsonObject, StrictJsonError } from '../lib/strict-json.js';
import type { VerifiedDPoPProof } from '../token/verified-claims.js';

/** Everything the checks of a proof depend on besides the proof. */
export interface DPoPProofRules {
  /** Method of the request as received. */
  readonly method: string;
  /** Canonical URL of the request: configured origin and prefix, path as received (`requestUrl`). */
  readonly expectedHtu: string;
  /** SHA-256 of the access token the proof came with, in base64url. */
  readonly accessTokenHash: string;
  /** `cnf.jkt` of that token, already verified. Without one nothing can be bound and all is refused. */
  readonly expectedJkt: string | undefined;
  readonly allowedAlgorithms: readonly string[];
  /** How old a proof may be by its `iat`. */
  readonly maxProofAgeSeconds: number;
  /** Tolerance for `iat` and `exp`, in both directions. */
  readonly clockSkewSeconds: number;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** Refuse an `htu` with query or fragment instead of leaving it out. */
  readonly strictHtu: boolean;
  /** Whether this `nonce` is good; without the check the claim is ignored. */
  readonly nonce?: ((nonce: string | undefined) => boolean) | undefined;
  readonly verification: VerificationForm;
  /** What else tells replay entries apart: where proofs for several resources are remembered together. */
  readonly replayScope?: readonly string[] | undefined;
  /** Memory of proof keys, one per resource. */
  readonly keys: ProofKeys;
}

/** A proof that holds. It still has to be shown to be new: `checkReplay` with key and expiry. */
export interface CheckedDPoPProof {
  readonly proof: VerifiedDPoPProof;
  /** Hash over thumbprint, `jti`, method and URL: nobody can use up the `jti` of another key. */
  readonly replayKey: string;
  /** When the replay entry may be forgotten, in seconds since 1970; later than any acceptance. */
  readonly expiresAt: number;
}

const MAX_JTI_LENGTH = 256;

/**
 * How long a replay entry outlives the last instant at which its proof could be accepted. Covers the
 * clocks of several processes and steps of one, which shift that instant.
 */
const REPLAY_MARGIN_SECONDS = 60;

/**
 * The checks of RFC 9449 §4.3 on the one `DPoP` header value of a request, cheap ones first. Does
 * not count header lines (#1) and does not look for replay (§11.1): the caller does the one before
 * and the other after.
 *
 * @throws DPoPKeyMismatchError when the proof key is not the one the token is bound to.
 * @throws DPoPNonceRequiredError when a nonce is asked for and missing, old or not ours.
 * @throws InvalidDPoPProofError for everything else.
 */
export function verifyDPoPProof(
  proof: string,
  rules: DPoPProofRules,
): Eventually<CheckedDPoPProof> {
  const parsed = readProof(proof, rules);
  requireBinding(parsed.jkt, rules.expectedJkt);
  requireMethod(parsed.claims, rules);
  requireUrl(parsed.claims, rules);
  const iat = requireFresh(parsed.claims, rules);
  requireNotExpired(parsed.claims, rules);
  const jti = requireJti(parsed.claims);
  requireAccessTokenHash(parsed.claims, rules);
  requireNonce(parsed.claims, rules);
  const { alg, jkt } = parsed;
  const { replayScope = [] } = rules;
  const key = parsed.key();
  return whenKnown(signatureVerdict(proof, key, { alg, form: rules.verification }), (verdict) => {
    requireSignature(verdict);
    rules.keys.remember(parsed.header, { alg, jkt, key });
    return {
      proof: Object.freeze({ jkt, jti, iat, htm: rules.method, htu: rules.expectedHtu }),
      replayKey: tupleHash([jkt, jti, rules.method, rules.expectedHtu, ...replayScope]),
      expiresAt: replayExpiry(iat, rules),
    };
  });
}

interface ParsedProof {
  readonly header: string;
  readonly alg: string;
  readonly jkt: string;
  readonly key: () => KeyObject;
  /** Not yet trusted. */
  readonly claims: Record<string, unknown>;
}

/** RFC 9449 §4.3 #2 to #6 without the signature. */
function readProof(proof: string, rules: DPoPProofRules): ParsedProof {
  const header = proof.slice(0, Math.max(0, proof.indexOf('.')));
  const known = rules.keys.get(header);
  if (known !== undefined) {
    requireAlgorithm(known.alg, rules);
    const { alg, jkt, key } = known;
    return { header, alg, jkt, key: () => key, claims: claimsBehindKnownHeader(proof) };
  }
  const jws = asProof(() => parseCompactJws(proof, { expectedHeaders: ['jwk'] }));
  requireType(jws);
  requireAlgorithm(jws.alg, rules);
  const jwk = readProofJwk(member(jws.header, 'jwk'), jws.alg);
  const { alg, jkt } = jwk;
  return { header, alg, jkt, key: () => importProofKey(jwk), claims: asProof(jws.claims) };
}

/** The grammar of `parseCompactJws` for the two segments that are new in this proof. */
function claimsBehindKnownHeader(proof: string): Record<string, unknown> {
  const segments = proof.length > MAX_PROOF_LENGTH ? [] : proof.split('.', 4);
  const [, claims = '', signature = ''] = segments;
  if (segments.length !== 3 || !isCanonicalBase64url(claims) || !isCanonicalBase64url(signature)) {
    throw new InvalidDPoPProofError('the proof is not a signed JWT of three segments', {
      rule: proof.length > MAX_PROOF_LENGTH ? 'too_long' : 'malformed',
    });
  }
  return asProof(() => parseStrictJsonObject(Buffer.from(claims, 'base64url')));
}

/** The shared parsers speak of tokens; here it is the proof that breaks the grammar. */
function asProof<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (
      cause instanceof InvalidSignatureError ||
      cause instanceof InvalidClaimsError ||
      cause instanceof TokenTooLongError ||
      cause instanceof StrictJsonError
    ) {
      throw new InvalidDPoPProofError(`the proof is malformed: ${cause.message}`, {
        ...brokenBy(cause),
        cause,
      });
    }
    throw cause;
  }
}

function brokenBy(cause: Error): ClaimErrorOptions {
  if (cause instanceof InvalidClaimsError) return { claim: cause.claim, rule: cause.rule };
  return { rule: cause instanceof TokenTooLongError ? 'too_long' : 'malformed' };
}

/** RFC 9449 §4.3 #4. Media type names ignore case. */
function requireType({ typ }: CompactJws): void {
  if (typ?.toLowerCase() !== 'dpop+jwt') {
    throw new InvalidDPoPProofError('typ of the proof is not dpop+jwt (RFC 9449 §4.3 #4)', {
      claim: 'typ',
      rule: mismatchOf(typ),
    });
  }
}

/** RFC 9449 §4.3 #5. */
function requireAlgorithm(alg: string, { allowedAlgorithms }: DPoPProofRules): void {
  if (!isAllowedAlgorithm(alg, allowedAlgorithms)) {
    throw new InvalidDPoPProofError('the signature algorithm of the proof is not allowed', {
      claim: 'alg',
      rule: 'mismatch',
    });
  }
}

/** RFC 9449 §4.3 #12, second half. */
function requireBinding(jkt: string, expectedJkt: string | undefined): void {
  if (jkt !== expectedJkt) {
    throw new DPoPKeyMismatchError(
      'the key of the proof is not the one the access token is bound to (cnf.jkt)',
    );
  }
}

/** RFC 9449 §4.3 #8. Methods are case-sensitive (RFC 9110 §9.1). */
function requireMethod(claims: Record<string, unknown>, { method }: DPoPProofRules): void {
  const htm = member(claims, 'htm');
  if (htm !== method) {
    throw new InvalidDPoPProofError('method mismatch: htm is not the method of the request', {
      claim: 'htm',
      rule: mismatchOf(htm),
    });
  }
}

/** RFC 9449 §4.3 #9. */
function requireUrl(
  claims: Record<string, unknown>,
  { expectedHtu, strictHtu }: DPoPProofRules,
): void {
  const htu = member(claims, 'htu');
  if (htu === expectedHtu) return;
  if (typeof htu !== 'string') {
    throw new InvalidDPoPProofError('URL mismatch: htu is no string', {
      claim: 'htu',
      rule: mismatchOf(htu),
    });
  }
  if (canonicalHtu(htu, { strict: strictHtu }) !== expectedHtu) {
    throw new InvalidDPoPProofError(
      `URL mismatch: htu is not the URL of the request, ${expectedHtu.slice(0, 200)}; ` +
        'behind a proxy that shortens the path, set publicPathPrefix',
      { claim: 'htu', rule: 'mismatch' },
    );
  }
}

/** RFC 9449 §4.3 #11. */
function requireFresh(claims: Record<string, unknown>, rules: DPoPProofRules): number {
  const iat = timeClaim(claims, 'iat');
  if (iat === undefined) {
    throw new InvalidDPoPProofError('the claim iat of the proof is missing', {
      claim: 'iat',
      rule: 'missing',
    });
  }
  const time = rules.now();
  if (iat > time + rules.clockSkewSeconds) {
    throw new InvalidDPoPProofError(
      `iat ${iat} of the proof is in the future, now is ${Math.floor(time)}; compare the clocks`,
      { claim: 'iat', rule: 'not_yet' },
    );
  }
  if (time > lastAcceptance(iat, rules)) {
    throw new InvalidDPoPProofError(
      `the proof is too old: iat ${iat}, now is ${Math.floor(time)}; compare the clocks`,
      { claim: 'iat', rule: 'expired' },
    );
  }
  return iat;
}

/** RFC 7519 §4.1.4. A proof needs no `exp`; one that it has is meant. */
function requireNotExpired(claims: Record<string, unknown>, rules: DPoPProofRules): void {
  const exp = timeClaim(claims, 'exp');
  if (exp !== undefined && rules.now() >= exp + rules.clockSkewSeconds) {
    throw new InvalidDPoPProofError(`the proof expired at ${exp}`, {
      claim: 'exp',
      rule: 'expired',
    });
  }
}

/** RFC 9449 §4.2: unique, and of a length that a replay store can be asked to bear. */
function requireJti(claims: Record<string, unknown>): string {
  const jti = member(claims, 'jti');
  if (isClaimText(jti, MAX_JTI_LENGTH)) return jti;
  throw new InvalidDPoPProofError(
    `the claim jti of the proof must be a well-formed string of 1 to ${MAX_JTI_LENGTH} characters`,
    { claim: 'jti', rule: brokenTextRule(jti, MAX_JTI_LENGTH) },
  );
}

/** RFC 9449 §4.3 #12, first half; mandatory with an access token (§7). */
function requireAccessTokenHash(
  claims: Record<string, unknown>,
  { accessTokenHash }: DPoPProofRules,
): void {
  const ath = member(claims, 'ath');
  if (ath !== accessTokenHash) {
    throw new InvalidDPoPProofError('ath of the proof is not the hash of the access token', {
      claim: 'ath',
      rule: mismatchOf(ath),
    });
  }
}

/** RFC 9449 §4.3 #10, §9. */
function requireNonce(claims: Record<string, unknown>, { nonce: isGood }: DPoPProofRules): void {
  if (isGood === undefined) return;
  const nonce = member(claims, 'nonce');
  if (!isGood(typeof nonce === 'string' ? nonce : undefined)) {
    throw new DPoPNonceRequiredError('the proof carries no nonce of this resource, or an old one');
  }
}

/** RFC 9449 §4.3 #7. */
function requireSignature(verdict: SignatureVerdict): void {
  if (verdict === 'holds') return;
  const why = verdict === 'unfit key' ? ' (unfit key)' : '';
  const problem = `the signature of the proof does not verify${why}`;
  throw new InvalidDPoPProofError(problem, { rule: 'mismatch' });
}

/** Which rule a member breaks that is not the text it should be. */
function mismatchOf(value: unknown): ClaimRule {
  if (value === undefined) return 'missing';
  return typeof value === 'string' ? 'mismatch' : 'type';
}

function timeClaim(claims: Record<string, unknown>, name: string): number | undefined {
  const value = member(claims, name);
  if (value === undefined || isNumericDate(value)) return value;
  throw new InvalidDPoPProofError(
    `the claim ${name} of the proof must be a number of seconds since 1970`,
    { claim: name, rule: brokenTimeRule(value) },
  );
}

function lastAcceptance(iat: number, rules: DPoPProofRules): number {
  return iat + rules.maxProofAgeSeconds + rules.clockSkewSeconds;
}

function replayExpiry(iat: number, rules: DPoPProofRules): number {
  // `now` too, because the clock may have stepped while the signature was verified.
  return Math.ceil(Math.max(lastAcceptance(iat, rules), rules.now()) + REPLAY_MARGIN_SECONDS);
}
