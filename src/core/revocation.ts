import type { Clock } from './clock.js';
import {
  AuthorizationServerUnavailableError,
  AuthplaneError,
  ConfigurationError,
  TokenRevokedError,
} from './errors.js';
import type { IntrospectionResponse } from './oauth-response.js';
import { member } from './strict-json.js';
import { cacheKey, FlightCache } from './token-cache.js';
import type { VerifiedClaims } from './verified-claims.js';

/**
 * Who knows of revoked tokens: the authorization server (RFC 7662), or a function of yours that
 * answers `true` for a revoked one.
 */
export type RevocationChecker =
  'introspection' | ((claims: VerifiedClaims, token: string) => boolean | Promise<boolean>);

export interface RevocationCheckOptions {
  readonly clock: Clock;
  /** Needed for `'introspection'`: `TokenOperations.introspect`. */
  readonly introspect?: (token: string) => Promise<IntrospectionResponse>;
  /** Whether a token is refused when its state cannot be found out. Default `true`. */
  readonly failClosed?: boolean;
  /** How long an introspected verdict is used, in seconds, 0 to 30. Default 30; never past `exp`. */
  readonly cacheSeconds?: number;
  /** Most verdicts in memory. Default 10,000. */
  readonly maxEntries?: number;
  /** Told of each token that passed unchecked, with `failClosed: false`. Must not throw. */
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

/** A verdict is at most this old. */
const LONGEST_CACHE_SECONDS = 30;
/** So many different tokens, and never a live one, make a mistake in the set-up likely. */
const SUSPICIOUS_REFUSALS = 3;

/** Why a token is to be refused; `undefined` when it is good. */
type Verdict = (claims: VerifiedClaims, token: string) => Promise<string | undefined>;

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
  const verdict = verdictOf(checker, options, verdicts);
  const check = async (claims: VerifiedClaims, token: string): Promise<void> => {
    const problem = await verdict(claims, token).catch((cause: unknown) => {
      const error = unchecked(cause);
      if (options.failClosed !== false) throw error;
      options.onUnchecked?.(error);
      return undefined;
    });
    if (problem !== undefined) throw new TokenRevokedError(problem);
  };
  return Object.assign(check, { forget: (token: string) => verdicts.forget(token) });
}

function verdictOf(
  checker: RevocationChecker,
  { introspect }: RevocationCheckOptions,
  verdicts: IntrospectedVerdicts,
): Verdict {
  if (typeof checker === 'function') return (claims, token) => ownVerdict(checker, claims, token);
  if (checker !== 'introspection') {
    throw new ConfigurationError("revocationChecker: must be 'introspection' or a function");
  }
  if (introspect === undefined) {
    throw new ConfigurationError("revocationChecker: 'introspection' needs asCredentials");
  }
  return (claims, token) => verdicts.find(claims, token, introspect);
}

async function ownVerdict(
  checker: Exclude<RevocationChecker, string>,
  claims: VerifiedClaims,
  token: string,
): Promise<string | undefined> {
  const revoked: unknown = await checker(claims, token);
  // Anything else, such as the forgotten result of a lookup, must not read as "not revoked".
  if (typeof revoked !== 'boolean') throw new TypeError('revocationChecker answered no boolean');
  return revoked ? 'the revocation checker says the token is revoked' : undefined;
}

/** Verdicts of the authorization server, keyed by token. */
class IntrospectedVerdicts {
  readonly #verdicts: FlightCache<string | undefined>;
  readonly #seconds: number;
  readonly #refused = new Set<string>();
  #sawActive = false;

  constructor({ clock, cacheSeconds, maxEntries }: RevocationCheckOptions) {
    this.#verdicts = new FlightCache({ clock, maxEntries: maxEntries ?? 10_000 });
    this.#seconds = Math.min(cacheSeconds ?? LONGEST_CACHE_SECONDS, LONGEST_CACHE_SECONDS);
  }

  find(
    claims: VerifiedClaims,
    token: string,
    introspect: (token: string) => Promise<IntrospectionResponse>,
  ): Promise<string | undefined> {
    const key = cacheKey([token]);
    return this.#verdicts.get({
      key,
      derivedFrom: [token],
      load: async () => this.#judge(await introspect(token), claims, key),
      keep: () => ({ seconds: this.#seconds, until: claims.expiresAt }),
    });
  }

  forget(token: string): void {
    this.#verdicts.evict(token);
  }

  #judge(answer: IntrospectionResponse, claims: VerifiedClaims, key: string): string | undefined {
    if (!answer.active)
      return `the authorization server says the token is inactive${this.#hint(key)}`;
    this.#sawActive = true;
    this.#refused.clear();
    const claim = contradiction(answer.raw, claims);
    return claim && `the authorization server's answer contradicts the claim ${claim} of the token`;
  }

  /** AuthPlane answers `inactive` to every question of a client that may not ask. */
  #hint(key: string): string {
    if (this.#sawActive) return '';
    if (this.#refused.size < SUSPICIOUS_REFUSALS) this.#refused.add(key);
    if (this.#refused.size < SUSPICIOUS_REFUSALS) return '';
    return (
      '; so it says of every token: the client of asCredentials may not be bound to this resource ' +
      '(policy.runtime.client_ids of the resource at the authorization server)'
    );
  }
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

function unchecked(cause: unknown): AuthorizationServerUnavailableError {
  if (cause instanceof AuthorizationServerUnavailableError) return cause;
  const why = cause instanceof AuthplaneError ? ` (${cause.code})` : '';
  return new AuthorizationServerUnavailableError(
    `whether the token is revoked cannot be found out right now${why}`,
    { cause },
  );
}
