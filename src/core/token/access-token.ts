import { withoutStack } from '../errors/without-stack.js';
import { isAllowedAlgorithm } from '../lib/algorithms.js';
import { brokenTextRule, brokenTimeRule, isClaimText, isNumericDate } from '../jws/claim-values.js';
import { type CompactJws, parseCompactJws } from '../jws/compact-jws.js';
import {
  InvalidClaimsError,
  InvalidSignatureError,
  TokenExpiredError,
} from '../errors/token-errors.js';
import type { VerificationKey } from '../discovery/key-set.js';
import { signatureVerdict, type SignatureVerdict } from '../jws/jws-signature.js';
import type { KnownHeaders } from '../jws/known-headers.js';
import { type Eventually, whenKnown } from '../lib/deadline.js';
import { quoted } from '../lib/text.js';
import type { ScopeCoverage } from '../lib/scopes.js';
import { isJsonObject, member } from '../lib/members.js';
import type { ResolvedToken } from './settings.js';
import type { SharedValues } from './shared-values.js';
import { type ActorClaim, VerifiedClaims } from './verified-claims.js';

/** What of the options of a resource the rules depend on. */
export interface TokenSettings extends Omit<ResolvedToken, 'scopeHierarchy'> {
  /** The resource URI, which is the audience. */
  readonly resource: string;
}

/** Everything the rules depend on besides the token. */
export interface AccessTokenRules {
  readonly issuer: string;
  readonly resource: TokenSettings;
  readonly covers: ScopeCoverage;
  readonly findKey: (kid: string, alg: string) => Eventually<VerificationKey | undefined>;
  /** Headers of tokens that were good. */
  readonly headers: KnownHeaders;
  /** What tokens have in common. */
  readonly values: SharedValues;
  /** Seconds since 1970. */
  readonly now: () => number;
}

export interface VerifiedAccessToken {
  readonly claims: VerifiedClaims;
  readonly key: VerificationKey;
}

const MAX_TEXT_LENGTH = 1024;
const MAX_AGENT_CHAIN = 64;

/**
 * The rules of RFC 9068 §4 in order: grammar, header, key, signature, claims, times. Does not look
 * at sender constraints (`cnf`), revocation or scopes.
 *
 * @throws InvalidSignatureError, InvalidClaimsError, TokenExpiredError
 * @throws AuthorizationServerUnavailableError when there is no usable key set.
 */
export function verifyAccessToken(
  token: string,
  rules: AccessTokenRules,
): Eventually<VerifiedAccessToken> {
  const { headers, resource } = rules;
  const jws = parseCompactJws(token, { maxLength: resource.maxTokenLength, headers });
  const kid = requireHeader(jws, resource);
  return whenKnown(rules.findKey(kid, jws.alg), (key) => {
    if (key === undefined) {
      throw new InvalidSignatureError(`no key of the authorization server fits this kid and alg`);
    }
    const claims = unverifiedClaims(jws);
    refuseIfEnded(claims, rules);
    const { alg } = jws;
    const verdict = signatureVerdict(token, key.key, { alg, form: resource.verification });
    return whenKnown(verdict, (known) => {
      requireSignature(known);
      headers.remember(jws);
      return { claims: acceptedClaims(claims, kid, rules), key };
    });
  });
}

/** What the token says, or why it says nothing. */
function unverifiedClaims(jws: CompactJws): Payload | InvalidClaimsError {
  try {
    return jws.claims();
  } catch (error) {
    if (error instanceof InvalidClaimsError) return error; // not for whoever cannot sign
    throw error;
  }
}

/**
 * The one claim that is judged before the signature: what has ended is good for nothing, whoever made it,
 * and clients come with such tokens all the time. @throws TokenExpiredError
 */
function refuseIfEnded(claims: Payload | InvalidClaimsError, rules: AccessTokenRules): void {
  if (claims instanceof InvalidClaimsError) return;
  const exp = member(claims, 'exp');
  if (isNumericDate(exp)) requireNotEnded(exp, rules.now(), rules);
}

function acceptedClaims(
  claims: Payload | InvalidClaimsError,
  kid: string,
  rules: AccessTokenRules,
): VerifiedClaims {
  if (claims instanceof InvalidClaimsError) throw claims;
  const read = readClaims(claims, kid, rules);
  requireIssuerAndAudience(read, rules);
  requireValidNow(read, rules);
  return read;
}

/** Time rules alone, for a token that was verified before. @throws TokenExpiredError, InvalidClaimsError */
export function requireValidNow(
  claims: VerifiedClaims,
  { now, resource }: Pick<AccessTokenRules, 'now' | 'resource'>,
): void {
  const skew = resource.clockSkewSeconds;
  const time = now();
  requireNotEnded(claims.expiresAt, time, { resource });
  const { maxTokenLifetimeSeconds } = resource;
  if (claims.expiresAt > time + maxTokenLifetimeSeconds + skew) {
    throw new InvalidClaimsError(
      `exp ${claims.expiresAt} is more than ${maxTokenLifetimeSeconds} seconds ahead, now is ` +
        `${Math.floor(time)}; issue shorter tokens or raise maxTokenLifetimeSeconds`,
      { claim: 'exp', rule: 'too_long' },
    );
  }
  if (claims.issuedAt > time + skew) {
    throw new InvalidClaimsError(
      `iat ${claims.issuedAt} is in the future, now is ${Math.floor(time)}; compare the clocks`,
      { claim: 'iat', rule: 'not_yet' },
    );
  }
  if (claims.notBefore > time + skew) {
    throw new InvalidClaimsError(
      `nbf ${claims.notBefore} is not reached, now is ${Math.floor(time)}; compare the clocks`,
      { claim: 'nbf', rule: 'not_yet' },
    );
  }
}

function requireNotEnded(
  expiresAt: number,
  time: number,
  { resource }: Pick<AccessTokenRules, 'resource'>,
): void {
  if (time < expiresAt + resource.clockSkewSeconds) return;
  const problem = `the token expired at ${expiresAt}, now is ${Math.floor(time)}`;
  throw withoutStack(() => new TokenExpiredError(problem));
}

/** RFC 9068 §4: `typ` of an access token, an algorithm of our list, and a key by name. */
function requireHeader(jws: CompactJws, { allowedAlgorithms }: TokenSettings): string {
  if (!isAllowedAlgorithm(jws.alg, allowedAlgorithms)) {
    throw new InvalidClaimsError('the token is signed with an alg that is not allowed', {
      claim: 'alg',
      rule: 'mismatch',
    });
  }
  const typ = jws.typ?.toLowerCase();
  if (typ !== 'at+jwt' && typ !== 'application/at+jwt') {
    throw new InvalidClaimsError(
      'typ is not at+jwt: the token is not an access token (RFC 9068 §4)',
      { claim: 'typ', rule: typ === undefined ? 'missing' : 'mismatch' },
    );
  }
  if (jws.kid === undefined) throw missingClaimError('kid', 'the token header has no kid');
  return jws.kid;
}

function requireSignature(verdict: SignatureVerdict): void {
  if (verdict === 'holds') return;
  const why = verdict === 'unfit key' ? ' (unfit key)' : '';
  throw new InvalidSignatureError(`the signature does not verify${why}`);
}

function requireIssuerAndAudience(
  { issuer, audience }: VerifiedClaims,
  rules: AccessTokenRules,
): void {
  if (issuer !== rules.issuer) {
    throw new InvalidClaimsError(
      `iss ${quoted(issuer)} is not the configured issuer ${quoted(rules.issuer)}; they must be equal byte for byte`,
      { claim: 'iss', rule: 'mismatch' },
    );
  }
  const expected = rules.resource.resource;
  if (!audience.includes(expected)) {
    const hint = audience.includes(rules.issuer)
      ? '; the client asked for no resource, so the authorization server put itself'
      : '';
    const named = audience.slice(0, 3).map((entry) => quoted(entry));
    throw new InvalidClaimsError(
      `aud ${named.join(', ')} does not contain the resource ${quoted(expected)}; ` +
        `register exactly that URI at the authorization server${hint}`,
      { claim: 'aud', rule: 'mismatch' },
    );
  }
}

// ---- claims --------------------------------------------------------------------------------------

type Payload = Record<string, unknown>;

function readClaims(
  payload: Payload,
  kid: string,
  { covers, values }: AccessTokenRules,
): VerifiedClaims {
  values.shareIn(payload);
  return new VerifiedClaims(
    {
      issuer: requiredText(payload, 'iss'),
      sub: requiredText(payload, 'sub'),
      clientId: requiredText(payload, 'client_id'),
      audience: readAudience(payload, values),
      expiresAt: requiredTime(payload, 'exp'),
      issuedAt: requiredTime(payload, 'iat'),
      notBefore: optionalTime(payload, 'nbf') ?? 0,
      jti: requiredText(payload, 'jti'),
      kid,
      scopes: readScopes(payload, values),
      agentId: optionalText(payload, 'agent_id') ?? '',
      agentChain: values.list(readAgentChain(payload)),
      act: readActor(payload),
      raw: payload,
    },
    covers,
  );
}

function requiredText(payload: Payload, name: string): string {
  const value = optionalText(payload, name);
  if (value === undefined) throw missingClaimError(name);
  return value;
}

function optionalText(payload: Payload, name: string): string | undefined {
  const value = member(payload, name);
  if (value === undefined) return undefined;
  if (isText(value)) return value;
  throw new InvalidClaimsError(
    `the claim ${name} must be a well-formed string of 1 to ${MAX_TEXT_LENGTH} characters`,
    { claim: name, rule: brokenTextRule(value, MAX_TEXT_LENGTH) },
  );
}

function requiredTexts(
  list: readonly unknown[],
  claim: string,
  problem: string,
): readonly string[] {
  if (list.every(isText)) return list;
  const broken = list.find((entry) => !isText(entry));
  throw new InvalidClaimsError(problem, { claim, rule: brokenTextRule(broken, MAX_TEXT_LENGTH) });
}

function missingClaimError(
  claim: string,
  problem = `the claim ${claim} is missing (RFC 9068 §2.2)`,
): InvalidClaimsError {
  return new InvalidClaimsError(problem, { claim, rule: 'missing' });
}

function wrongTypeError(claim: string, problem: string): InvalidClaimsError {
  return new InvalidClaimsError(problem, { claim, rule: 'type' });
}

function isText(value: unknown): value is string {
  return isClaimText(value, MAX_TEXT_LENGTH);
}

function requiredTime(payload: Payload, name: string): number {
  const value = optionalTime(payload, name);
  if (value === undefined) throw missingClaimError(name);
  return value;
}

function optionalTime(payload: Payload, name: string): number | undefined {
  const value = member(payload, name);
  if (value === undefined) return undefined;
  if (isNumericDate(value)) return value;
  throw new InvalidClaimsError(`the claim ${name} must be a number of seconds since 1970`, {
    claim: name,
    rule: brokenTimeRule(value),
  });
}

/** RFC 7519 §4.1.3: one string or a list of strings. */
function readAudience(payload: Payload, values: SharedValues): readonly string[] {
  const value = member(payload, 'aud');
  if (isText(value)) return values.only(value);
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (value === undefined || list.length === 0) {
    throw missingClaimError('aud', 'the claim aud is missing');
  }
  const problem = 'the claim aud must be a string or a list of strings';
  return values.list(requiredTexts(list, 'aud', problem));
}

/** Split on U+0020 only (RFC 6749 §3.3): any other blank is part of a name that nothing equals. */
function readScopes(payload: Payload, values: SharedValues): readonly string[] {
  const value = member(payload, 'scope');
  if (value === undefined) return [];
  if (typeof value !== 'string') throw wrongTypeError('scope', 'the claim scope must be a string');
  return values.words(value);
}

function readAgentChain(payload: Payload): readonly string[] {
  const value = member(payload, 'agent_chain');
  if (value === undefined) return [];
  const problem = 'the claim agent_chain must be a list of strings';
  if (!Array.isArray(value)) throw wrongTypeError('agent_chain', problem);
  if (value.length > MAX_AGENT_CHAIN) {
    throw new InvalidClaimsError(`the claim agent_chain has more than ${MAX_AGENT_CHAIN} entries`, {
      claim: 'agent_chain',
      rule: 'too_long',
    });
  }
  return requiredTexts(value, 'agent_chain', problem);
}

/** The whole chain has to be of the right shape; its depth is bounded by the parser. */
function readActor(payload: Payload): ActorClaim | undefined {
  const value = member(payload, 'act');
  if (value === undefined) return undefined;
  if (isActor(value)) return value;
  throw wrongTypeError('act', 'the claim act must be an object with a string sub (RFC 8693 §4.1)');
}

function isActor(value: unknown): value is ActorClaim {
  if (!isJsonObject(value)) return false;
  const texts = ['sub', 'actor_type'].map((name) => member(value, name));
  const inner = member(value, 'act');
  return (
    texts.every((text) => text === undefined || isText(text)) &&
    (inner === undefined || isActor(inner))
  );
}
