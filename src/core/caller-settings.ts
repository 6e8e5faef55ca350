import type { IncomingHttpHeaders } from 'node:http';
import { functionProblem, nested, orFalse, seconds } from './lib/option-checks.js';
import { checksOf, type Settings } from './lib/settings.js';
import type { PathParams } from './names/path-template.js';
import type { VerifiedClaims } from './token/verified-claims.js';
import type { OtherCaller } from './token/other-caller.js';

/** What of a request may hold a credential of the application's own. */
export interface IncomingRequest {
  /** The HTTP method. */
  readonly method: string;
  /** The request target as sent: path and query. */
  readonly url: string;
  /** A copy, as Node has them. */
  readonly headers: IncomingHttpHeaders;
  /** The address of the client, by the platform's trust-proxy setting. */
  readonly ip?: string | undefined;
}

/** A protected resource of the application. */
export interface CalledResource {
  /** The audience of its tokens. */
  readonly uri: string;
  /** What the parameters of `mcpPath` stand for, by their names; none where it has none. */
  readonly params: PathParams;
}

/** Where something was asked. */
export interface CallerPlace {
  /** The one that the request is for. */
  readonly resource: CalledResource;
}

/**
 * Whom a request comes from by a credential that is no access token: an API key, a session. Asked before
 * OAuth for every guarded request; `undefined`: there is none of mine, and an access token is needed as
 * ever. It has 5 seconds.
 *
 * Throw `CredentialRefusedError` for a credential that is yours and not good: 401. Whatever else it
 * throws, or gives, is a 503 and a line in the log.
 */
export type OtherCredentials = (
  request: IncomingRequest,
  place: CallerPlace,
) => OtherCaller | undefined | Promise<OtherCaller | undefined>;

/**
 * The user of the application behind these claims; `null`, or else what is falsy: there is none, and the
 * request is refused with 403. It has 5 seconds; what it throws is a 503.
 */
export type UserLookup = (claims: VerifiedClaims, place: CallerPlace) => unknown;

/** A {@link UserLookup} whose answers are kept. */
export interface CachedUserLookup {
  /** Loads a user. Callers of the same key who ask meanwhile share the answer. */
  readonly load: UserLookup;
  /** How long a user is kept, 1 to 3600; that there is none at most 5 seconds, failures never. */
  readonly cacheSeconds: number;
  /**
   * What the user depends on besides resource, issuer, method, `sub` and `clientId`. Default: scopes and
   * all claims but `jti`, `iat`, `nbf` and `exp`.
   */
  readonly key?: (claims: VerifiedClaims) => string;
}

/** Who else may call than those with an access token, and who callers are in this application. */
export interface CallerOptions {
  /**
   * Credentials of the application's own beside OAuth. Their callers need the same scopes, and all rules
   * of tools, lists and sessions are the same for them. In `forFeature`, `false`: there are none. Default:
   * access tokens only.
   */
  readonly otherCredentials?: OtherCredentials | false;
  /**
   * Who callers are in this application: for `@CurrentUser()`, `AuthContext.user` and `request.user`. Asked
   * once for a request, after the scopes; whoever is gone is refused. In `forFeature`, `false`: nobody is
   * asked. Default: none, and `request.user` is left alone.
   */
  readonly user?: UserLookup | CachedUserLookup | false;
}

export const CALLER_SETTINGS: Settings<CallerOptions> = {
  otherCredentials: { check: orFalse(functionProblem) },
  user: { check: orFalse(userProblem) },
};

export const callerChecks = checksOf(CALLER_SETTINGS);

const cachedUserProblem = nested({
  load: functionProblem,
  cacheSeconds: seconds(1, 3600),
  key: functionProblem,
});

function userProblem(value: unknown, devMode: boolean): string | undefined {
  if (typeof value === 'function') return undefined;
  const problem = cachedUserProblem(value, devMode);
  if (problem !== undefined) return problem;
  const { load, cacheSeconds } = value as Partial<CachedUserLookup>; // a table, by the check
  return load === undefined || cacheSeconds === undefined
    ? 'must be a function, or have load and cacheSeconds'
    : undefined;
}
