import { isNumericDate, plainNumber } from '../jws/claim-values.js';
import type { Clock } from '../lib/clock.js';
import { within } from '../lib/deadline.js';
import { sha256 } from '../lib/digest.js';
import { AuthorizationServerUnavailableError } from '../errors/server-errors.js';
import { AuthplaneError } from '../errors/authplane-error.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { TokenRevokedError } from '../errors/token-errors.js';
import type { IntrospectionResponse } from './introspection.js';
import { signingInput } from '../jws/signing-input.js';
import { member } from '../lib/members.js';
import type { RevocationChecker } from './settings.js';
import { FlightCache } from './token-cache.js';
import type { VerifiedClaims } from '../token/verified-claims.js';

export interface RevocationCheckOptions {
  readonly clock: Clock;
  /** Needed for `'introspection'`: `TokenOperations.introspect`. */
  readonly introspect?: (token: string) => Promise<IntrospectionResponse>;
  /** Whether a token is refused when its state cannot be found out. Default `true`. */
  readonly failClosed?: boolean;
  /** Tolerance for the times in an introspection answer, in seconds. Default 60. */
  readonly clockSkewSeconds?: number;
  /** Told of each token that passed unchecked, with `failClosed: false`. */
  readonly onUnchecked?: (error: AuthorizationServerUnavailableError) => void;
}

/**
 * Refuses a verified token that was revoked since.
 *
 * @throws TokenRevokedError
 * @throws AuthorizationServerUnavailableError when that cannot be found out, unless `failClosed: false`.
 */
export interface RevocationCheck {
  (claims: VerifiedClaims, token: string): Promise<void>;
  /** Drops the verdict about this token, for example because it is being revoked. */
  forget(token: string): void;
}

/** How long an introspected yes is used; never past `exp`, of the token or of the answer. */
const VERDICT_SECONDS = 30;
/** A no may be that of a replica that has not heard of a new token yet. */
const REFUSAL_SECONDS = 1.5;
const MAX_VERDICTS = 10_000;
/** A function that takes longer has failed. */
const CHECKER_DEADLINE_MS = 5000;
/** So many different tokens, and never a live one, make a mistake in the set-up likely. */
const SUSPICIOUS_REFUSALS = 3;
const NOT_BOUND =
  'so it says of every token: the client of asCredentials may not be bound to this resource ' +
  '(policy.runtime.client_ids of the resource at the authorization server)';

/** Why a token is to be refused. */
interface Finding {
  readonly problem: string;
  readonly hint?: string;
}

/** What the authorization server said, and until when it holds by its own words. */
interface Verdict {
  readonly found: Finding | undefined;
  /** Seconds since 1970. */
  readonly until: number;
}

/** `undefined`: the token is good. */
type Judge = (claims: VerifiedClaims, token: string) => Promise<Finding | undefined>;

/**
 * The check for one resource. The verdict of a function is asked for every time; that of the
 * authorization server is shared by concurrent requests and used for up to 30 seconds.
 *
 * @throws ConfigurationError for a checker or options that cannot work.
 */
export function revocationCheck(
  checker: RevocationChecker,
  options: RevocationCheckOptions,
): RevocationCheck {
  const verdicts = new IntrospectedVerdicts(options);
  const judge = judgeOf(checker, options, verdicts);
  const check = async (claims: VerifiedClaims, token: string): Promise<void> => {
    const found = await judge(claims, token).catch((cause: unknown) => {
      const error = uncheckedError(cause);
      if (options.failClosed !== false) throw error;
      options.onUnchecked?.(error);
      return undefined;
    });
    if (found !== undefined) throw new TokenRevokedError(found.problem, found);
  };
  return Object.assign(check, { forget: (token: string) => verdicts.forget(token) });
}

function judgeOf(
  checker: RevocationChecker,
  { introspect }: RevocationCheckOptions,
  verdicts: IntrospectedVerdicts,
): Judge {
  if (typeof checker === 'function') return (claims, token) => ownVerdict(checker, claims, token);
  if (introspect === undefined) {
    throw new ConfigurationError("revocationChecker: 'introspection' needs asCredentials");
  }
  return (claims, token) => verdicts.find(claims, token, introspect);
}

async function ownVerdict(
  checker: Exclude<RevocationChecker, string>,
  claims: VerifiedClaims,
  token: string,
): Promise<Finding | undefined> {
  const revoked: unknown = await within(
    CHECKER_DEADLINE_MS,
    () => checker(claims, token),
    () =>
      new AuthorizationServerUnavailableError(
        `the revocation checker gave no answer within ${CHECKER_DEADLINE_MS} ms`,
      ),
  );
  // Anything else, such as the forgotten result of a lookup, must not read as "not revoked".
  if (typeof revoked !== 'boolean') throw new TypeError('revocationChecker answered no boolean');
  return revoked ? { problem: 'the revocation checker says the token is revoked' } : undefined;
}

/** Verdicts of the authorization server, keyed by token, whatever its signature is spelt like. */
class IntrospectedVerdicts {
  readonly #verdicts: FlightCache<Verdict>;
  readonly #clock: Clock;
  readonly #clockSkewSeconds: number;
  readonly #refused = new Set<string>();
  #sawActive = false;

  constructor({ clock, clockSkewSeconds = 60 }: RevocationCheckOptions) {
    this.#verdicts = new FlightCache({ clock, maxEntries: MAX_VERDICTS });
    this.#clock = clock;
    this.#clockSkewSeconds = clockSkewSeconds;
  }

  async find(
    claims: VerifiedClaims,
    token: string,
    introspect: (token: string) => Promise<IntrospectionResponse>,
  ): Promise<Finding | undefined> {
    const key = sha256(signingInput(token));
    const { found } = await this.#verdicts.get({
      key,
      derivedFrom: [token],
      load: async () => this.#verdictIn(await introspect(token), claims, key),
      keep: ({ found: no, until }) =>
        no === undefined
          ? { seconds: VERDICT_SECONDS, renewAfterSeconds: renewalAge(), until }
          : { seconds: REFUSAL_SECONDS },
    });
    return found;
  }

  forget(token: string): void {
    this.#verdicts.evict(token);
  }

  #verdictIn(answer: IntrospectionResponse, claims: VerifiedClaims, key: string): Verdict {
    const until = Math.min(claims.expiresAt, dateIn(answer.raw, 'exp') ?? Infinity);
    return { found: this.#findingIn(answer, claims, key), until };
  }

  #findingIn(
    answer: IntrospectionResponse,
    claims: VerifiedClaims,
    key: string,
  ): Finding | undefined {
    if (!answer.active) {
      const problem = 'the authorization server says the token is inactive';
      return this.#isSuspicious(key) ? { problem, hint: NOT_BOUND } : { problem };
    }
    this.#sawActive = true;
    this.#refused.clear();
    if (!this.#isCurrent(answer.raw)) {
      return {
        problem: "by the times in the authorization server's answer the token is not valid",
      };
    }
    const claim = contradiction(answer.raw, claims);
    if (claim === undefined) return undefined;
    return {
      problem: `the authorization server's answer contradicts the claim ${claim} of the token`,
    };
  }

  /** RFC 7662 §4: an answer may call a token active and say itself that it is over, or not yet good. */
  #isCurrent(answer: Readonly<Record<string, unknown>>): boolean {
    const now = this.#clock.now();
    const skew = this.#clockSkewSeconds;
    return (
      now < (dateIn(answer, 'exp') ?? Infinity) + skew && now >= (dateIn(answer, 'nbf') ?? 0) - skew
    );
  }

  /** AuthPlane answers `inactive` to every question of a client that may not ask. */
  #isSuspicious(key: string): boolean {
    if (this.#sawActive) return false;
    if (this.#refused.size < SUSPICIOUS_REFUSALS) this.#refused.add(key);
    return this.#refused.size >= SUSPICIOUS_REFUSALS;
  }
}

/**
 * Verdicts that were asked for together, after a start for example, must not end together: the herd
 * would come back every {@link VERDICT_SECONDS}, as big as it was. Early enough to wait for a turn.
 */
function renewalAge(): number {
  return VERDICT_SECONDS * (0.5 + Math.random() * 0.3);
}

/** The first claim whose value in the answer cannot be that of the token. Absent members are not. */
function contradiction(
  answer: Readonly<Record<string, unknown>>,
  claims: VerifiedClaims,
): string | undefined {
  const texts = {
    iss: claims.issuer,
    sub: claims.sub,
    client_id: claims.clientId,
    jti: claims.jti,
  };
  for (const [name, expected] of Object.entries(texts)) {
    const value = member(answer, name);
    if (value !== undefined && value !== expected) return name;
  }
  const aud = member(answer, 'aud');
  const audience: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  const isOurs = (value: unknown): boolean => claims.audience.includes(value as string); // any type compares
  return aud === undefined || (audience.length > 0 && audience.every(isOurs)) ? undefined : 'aud';
}

/** A date of an introspection answer; `undefined` where there is none. */
function dateIn(answer: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = plainNumber(member(answer, name));
  return isNumericDate(value) ? value : undefined;
}

function uncheckedError(cause: unknown): AuthorizationServerUnavailableError {
  if (cause instanceof AuthorizationServerUnavailableError) return cause;
  const why = cause instanceof AuthplaneError ? ` (${cause.code})` : '';
  return new AuthorizationServerUnavailableError(
    `whether the token is revoked cannot be found out right now${why}`,
    { cause },
  );
}
