import { CallbackError } from '../errors/request-errors.js';
import { isTable } from '../lib/option-checks.js';
import { isScopeToken } from '../lib/scopes.js';
import { isClaimText, isNumericDate } from '../jws/claim-values.js';
import { ACCESS_TOKEN } from './verified-claims.js';

/**
 * Where a credential was found, which decides about two of them in one request:
 *
 * - `authorization`: in the `Authorization` header, `Bearer rf_…` for example
 * - `other`: in another header that a program has set on purpose; beside an access token it is refused
 * - `ambient`: a cookie, which browsers send by themselves; beside an access token it does not count
 */
export type CredentialPlace = 'authorization' | 'other' | 'ambient';

/** Whom a credential of the application's own stands for; what `otherCredentials` gives. */
export interface OtherCaller {
  /** What was shown, such as `api_key`: `/^[a-z][a-z0-9_-]{0,31}$/`, and not `access_token`. */
  readonly method: string;
  /** The user, or whatever the credential belongs to: 1 to 255 characters. */
  readonly sub: string;
  /** Which program it is, where the credential tells: 1 to 255 characters. Default `''`. */
  readonly clientId?: string | undefined;
  /** What it may do: scopes, as a token would have them. */
  readonly scopes: readonly string[];
  /** When it ends, seconds since 1970: refused from then on, and streams end. Default never. */
  readonly expiresAt?: number | undefined;
  /** Default `other`. A cookie has to be `ambient`. */
  readonly from?: CredentialPlace | undefined;
  /** Whatever else handlers and rules may read, in `claims.raw`; copied as JSON. Default none. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

const PLACES: readonly unknown[] = [undefined, 'authorization', 'other', 'ambient'];

/** A member that is misspelt would be an end, or a place, that silently is not there. */
const MEMBERS: Readonly<Record<keyof OtherCaller, (value: unknown) => boolean>> = {
  method: (value) =>
    typeof value === 'string' && /^[a-z][a-z0-9_-]{0,31}$/.test(value) && value !== ACCESS_TOKEN,
  sub: (value) => isClaimText(value, 255),
  clientId: (value) => value === undefined || isClaimText(value, 255),
  scopes: (value) => Array.isArray(value) && Array.from(value).every(isScopeToken),
  expiresAt: (value) => value === undefined || isNumericDate(value),
  from: (value) => PLACES.includes(value),
  claims: (value) => value === undefined || (isTable(value) && isJson(value)),
};

/** @throws CallbackError for whatever says not for certain who it is. Names no value. */
export function checkedOtherCaller(given: unknown): OtherCaller {
  if (!isTable(given)) {
    throw new CallbackError(
      'otherCredentials must give a caller, or undefined where it knows none',
    );
  }
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(MEMBERS, name));
  const bad = Object.entries(MEMBERS).filter(([name, isGood]) => !isGood(given[name]));
  const problems = [
    ...unknown.map((name) => `has an unknown member ${name}`),
    ...bad.map(([name]) => `has no good ${name}`),
  ];
  if (problems.length === 0) return given as unknown as OtherCaller; // each member was checked
  throw new CallbackError(`the caller that otherCredentials gave ${problems.join(', ')}`);
}

function isJson(value: object): boolean {
  try {
    return typeof JSON.stringify(value) === 'string';
  } catch {
    return false; // a circle, or a number that JSON does not have
  }
}
