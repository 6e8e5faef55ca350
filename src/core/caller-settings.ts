import type { IncomingHttpHeaders } from 'node:http';
import { functionProblem, orFalse } from './lib/option-checks.js';
import { checksOf, type Settings } from './lib/settings.js';
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
  /** What the parameters of its path stand for; none where it has none. */
  readonly params: Readonly<Record<string, string>>;
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

/** Who else may call than those with an access token, and who callers are in this application. */
export interface CallerOptions {
  /**
   * Credentials of the application's own beside OAuth. Their callers need the same scopes, and all rules
   * of tools, lists and sessions are the same for them. In `forFeature`, `false`: there are none. Default:
   * access tokens only.
   */
  readonly otherCredentials?: OtherCredentials | false;
}

export const CALLER_SETTINGS: Settings<CallerOptions> = {
  otherCredentials: { check: orFalse(functionProblem) },
};

export const callerChecks = checksOf(CALLER_SETTINGS);
