import { inspect } from 'node:util';
import { plainNumber, unlessEmpty } from '../token/claim-values.js';
import { consentPage, type ConsentPolicy } from './consent-url.js';
import {
  AccessDeniedError,
  ConsentRequiredError,
  InvalidClientError,
  InvalidGrantError,
  InvalidScopeError,
  InvalidTargetError,
  OAuthError,
  type OAuthErrorOptions,
  ServerError,
  UnauthorizedClientError,
  UnsupportedGrantTypeError,
} from '../errors/oauth-errors.js';
import type { AuthplaneError } from '../errors/authplane-error.js';
import { ProtocolError } from '../errors/server-errors.js';
import type { HttpAnswer } from '../http/answer.js';
import { deepFreeze, isJsonObject, member } from '../lib/strict-json.js';
import { unverifiedClaim } from '../token/unverified-claims.js';

/** What was asked for, as far as its answer and its errors depend on it. */
export interface AskedFor {
  /** For messages: `exchange`, `introspect`, … */
  readonly operation: string;
  /** RFC 8693 §2.2.1: an exchange says which type of token it issued. Default `false`. */
  readonly isExchange?: boolean;
  /** Scopes separated by blanks. */
  readonly scope?: string | undefined;
  /** The first `resource` or `audience` of the request. */
  readonly target?: string | undefined;
  /** Which consent pages a message may name; without it none. */
  readonly consentPolicy?: ConsentPolicy | undefined;
  /** Texts of the request that no message may repeat. */
  readonly secrets?: Iterable<string>;
}

interface TokenValues {
  readonly accessToken: string;
  readonly tokenType: 'Bearer' | 'DPoP';
  readonly expiresIn: number | undefined;
  readonly scope: string | undefined;
  readonly issuedTokenType: string | undefined;
  readonly refreshToken: string | undefined;
  readonly raw: Record<string, unknown>;
}

/**
 * A token that the authorization server issued (RFC 6749 §5.1). Frozen.
 *
 * Logging, inspecting or serialising it shows what kind of token it is and never the token. Holds
 * nothing that was verified: the token is for the service it was asked for.
 */
export class TokenResponse {
  /** How to present it (RFC 6750, RFC 9449); no other type is accepted. */
  readonly tokenType: 'Bearer' | 'DPoP';
  /** `expires_in`, seconds. `undefined`: not said. 0: as good as used up. */
  readonly expiresIn: number | undefined;
  /** `scope` as sent; absent means as requested (RFC 6749 §5.1). */
  readonly scope: string | undefined;
  /** `issued_token_type` as sent (RFC 8693 §2.2.1). */
  readonly issuedTokenType: string | undefined;
  readonly #accessToken: string;
  readonly #refreshToken: string | undefined;
  readonly #raw: Readonly<Record<string, unknown>>;

  /** @internal Made from answers of the authorization server. */
  constructor(values: TokenValues) {
    this.tokenType = values.tokenType;
    this.expiresIn = values.expiresIn;
    this.scope = values.scope;
    this.issuedTokenType = values.issuedTokenType;
    this.#accessToken = values.accessToken;
    this.#refreshToken = values.refreshToken;
    this.#raw = deepFreeze(values.raw);
    Object.freeze(this);
  }

  /** `access_token`. A secret. */
  get accessToken(): string {
    return this.#accessToken;
  }

  /** `refresh_token`, if there is one. A secret, and used by nothing here. */
  get refreshToken(): string | undefined {
    return this.#refreshToken;
  }

  /**
   * `cnf.jkt`: thumbprint of the key the token is bound to (RFC 9449 §6.1), as the answer or else the
   * token itself says. Nobody has verified it.
   */
  get cnfJkt(): string | undefined {
    return jktOf(member(this.#raw, 'cnf')) ?? jktOf(unverifiedClaim(this.#accessToken, 'cnf'));
  }

  /** All members as sent, the tokens included. Never log it. */
  get raw(): Readonly<Record<string, unknown>> {
    return this.#raw;
  }

  /** For logs: the kind of token, and no token. */
  toJSON(): Record<string, unknown> {
    const { tokenType, expiresIn, scope, issuedTokenType } = this;
    return { tokenType, expiresIn, scope, issuedTokenType };
  }

  /** Without it `showHidden` would call the getters. */
  [inspect.custom](): string {
    return `TokenResponse ${inspect(this.toJSON(), { breakLength: Infinity })}`;
  }
}

/** An answer of the introspection endpoint (RFC 7662 §2.2). Frozen. */
export interface IntrospectionResponse {
  /** `true` only for the JSON value `true`; a missing `active` is `false`. */
  readonly active: boolean;
  /** Scopes separated by blanks. */
  readonly scope: string | undefined;
  /** `client_id`: whom the token was issued to. */
  readonly clientId: string | undefined;
  /** `sub`: on whose behalf. */
  readonly sub: string | undefined;
  /** `token_type`, as sent. */
  readonly tokenType: string | undefined;
  /** `iss`: who issued it. */
  readonly iss: string | undefined;
  /** As sent: one string or a list. */
  readonly aud: string | readonly string[] | undefined;
  /** Seconds since 1970. */
  readonly exp: number | undefined;
  /** Seconds since 1970. */
  readonly iat: number | undefined;
  /** `jti` of the token. */
  readonly jti: string | undefined;
  /** `cnf.jkt`: thumbprint of the key the token is bound to. */
  readonly cnfJkt: string | undefined;
  /** `agent_id`; `''` when the client is not a registered agent. */
  readonly agentId: string;
  /** `agent_chain`, root first; empty without delegation, and when it is no list of texts. */
  readonly agentChain: readonly string[];
  /** All members as sent. A member of the wrong type is `undefined` above and found here. */
  readonly raw: Readonly<Record<string, unknown>>;
}

export function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

/**
 * The token of a 2xx answer (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 9449 §5). Its scope is no wider than
 * the one that was asked for, if any was; it may be narrower.
 *
 * @throws ProtocolError
 */
export function readTokenResponse(answer: HttpAnswer, asked: AskedFor): TokenResponse {
  const refuse = (problem: string): never => {
    throw protocolError(answer, asked, `: ${problem}`);
  };
  const raw = objectOf(answer) ?? refuse(`no JSON object (${answer.notJson ?? 'other JSON'})`);
  const accessToken = member(raw, 'access_token');
  // RFC 6749 appendix A.12 without the blank, which cannot stand in an Authorization header.
  if (typeof accessToken !== 'string' || !/^[\x21-\x7e]+$/.test(accessToken)) {
    return refuse('access_token is missing or no token text');
  }
  const tokenType = tokenTypeOf(member(raw, 'token_type')) ?? refuse('unsupported token_type');
  const expiresIn = plainNumber(optional(raw, 'expires_in'));
  if (expiresIn !== undefined && !isDuration(expiresIn)) {
    return refuse('expires_in is not a number of seconds');
  }
  const scope = optional(raw, 'scope');
  if (!isOptionalText(scope)) return refuse('scope is not a string');
  if (grantsMore(scope, asked)) {
    return refuse('scope is wider than asked for; leave scope out to take whatever is granted');
  }
  const refreshToken = optional(raw, 'refresh_token');
  if (!isOptionalText(refreshToken)) return refuse('refresh_token is not a string');
  const issuedTokenType = optional(raw, 'issued_token_type');
  if (!isOptionalText(issuedTokenType)) return refuse('issued_token_type is not a string');
  if (asked.isExchange === true && (issuedTokenType ?? '').trim() === '') {
    return refuse('issued_token_type is missing (RFC 8693 §2.2.1)');
  }
  const values = { accessToken, tokenType, expiresIn, scope, issuedTokenType, refreshToken, raw };
  return new TokenResponse(values);
}

/**
 * The verdict of a 2xx answer (RFC 7662 §2.2). `active` alone says whether the token is live.
 *
 * @throws ProtocolError when the answer is no JSON object.
 */
export function readIntrospectionResponse(
  answer: HttpAnswer,
  asked: AskedFor,
): IntrospectionResponse {
  const raw = objectOf(answer);
  if (raw === undefined) {
    const problem = `no JSON object (${answer.notJson ?? 'other JSON'})`;
    throw protocolError(answer, asked, `: ${problem}`);
  }
  const text = (name: string): string | undefined => textOf(member(raw, name));
  const number = (name: string): number | undefined => numberOf(member(raw, name));
  return deepFreeze({
    active: member(raw, 'active') === true,
    scope: text('scope'),
    clientId: text('client_id'),
    sub: text('sub'),
    tokenType: text('token_type'),
    iss: text('iss'),
    aud: audienceOf(member(raw, 'aud')),
    exp: number('exp'),
    iat: number('iat'),
    jti: text('jti'),
    cnfJkt: jktOf(member(raw, 'cnf')),
    agentId: text('agent_id') ?? '',
    agentChain: textsOf(member(raw, 'agent_chain')),
    raw,
  });
}

/**
 * `error` of a refusal (RFC 6749 §5.2), also of a body in the form of RFC 9457; else the one of the
 * challenge (RFC 9449 §8). `undefined` when there is none of its grammar.
 */
export function errorCodeOf({ json, headers }: HttpAnswer): string | undefined {
  const code = isJsonObject(json) ? member(json, 'error') : undefined;
  return codeText(code ?? /\berror="([^"]*)"/.exec(headers['www-authenticate'] ?? '')?.[1]);
}

/**
 * The error for an answer that is no success. Its message holds status, code and a bounded,
 * printable `error_description`, never a text of `secrets` nor the query of a URL.
 */
export function refusalError(answer: HttpAnswer, asked: AskedFor): AuthplaneError {
  const code = unlessSecret(errorCodeOf(answer), asked);
  if (answer.status >= 500 || code === 'server_error') {
    return refusedAs(ServerError, code ?? 'server_error', answer, asked);
  }
  if (code === 'consent_required' || code === 'interaction_required') {
    return consentRequiredError(code, answer, asked);
  }
  if (code !== undefined) return refusedAs(KINDS.get(code) ?? OAuthError, code, answer, asked);
  // A rate limiter in front of the server speaks no OAuth.
  if (answer.status === 429) return refusedAs(OAuthError, 'slow_down', answer, asked);
  return protocolError(answer, asked, ` and no OAuth error (${answer.notJson ?? 'other JSON'})`);
}

/** Letters, digits and what codes in use are made of; narrower than RFC 6749 §5.2 allows. */
const ERROR_CODE = /^[A-Za-z0-9_.:/-]{1,100}$/;
const MAX_DESCRIPTION = 200;
const MAX_READ = 4096;
const MAX_URL = 4096;
/** The form that is sent (RFC 9110 §5.6.7); `Date.parse` alone takes much else for a date. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

type OAuthErrorClass = new (message: string, options: OAuthErrorOptions) => OAuthError;

const KINDS: ReadonlyMap<string, OAuthErrorClass> = new Map<string, OAuthErrorClass>([
  ['invalid_client', InvalidClientError],
  ['invalid_grant', InvalidGrantError],
  ['unauthorized_client', UnauthorizedClientError],
  ['unsupported_grant_type', UnsupportedGrantTypeError],
  ['invalid_scope', InvalidScopeError],
  ['invalid_target', InvalidTargetError],
  ['access_denied', AccessDeniedError],
]);

function refusedAs(
  kind: OAuthErrorClass,
  error: string,
  answer: HttpAnswer,
  asked: AskedFor,
): OAuthError {
  return new kind(...refusedWith(error, answer, asked));
}

/**
 * AuthPlane: `consent_url` may be absent, `cause` is absent on old servers. The message ends with the
 * page, because hosts that map no errors show users nothing but messages.
 */
function consentRequiredError(error: string, answer: HttpAnswer, asked: AskedFor): AuthplaneError {
  const [message, options] = refusedWith(error, answer, asked);
  const body = objectOf(answer) ?? {};
  const consentUrl = unlessSecret(webUrl(member(body, 'consent_url')), asked);
  const cause = unlessSecret(codeText(member(body, 'cause')), asked);
  const serviceId = serviceOf(body, asked) ?? readableName(asked.target);
  const page = asked.consentPolicy && consentPage(consentUrl, asked.consentPolicy);
  const advice = page === undefined ? '' : `; open ${page} in a browser to give consent`;
  return new ConsentRequiredError(`${message}${advice}`, {
    ...options,
    causeDetail: cause ?? 'consent_missing',
    ...(consentUrl === undefined ? {} : { consentUrl }),
    ...(serviceId === undefined ? {} : { serviceId }),
  });
}

function jktOf(cnf: unknown): string | undefined {
  return isJsonObject(cnf) ? textOf(member(cnf, 'jkt')) : undefined;
}

function textsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.every((item) => typeof item === 'string') ? [...value] : [];
}

/** As the authorization server names it. */
function serviceOf(body: Readonly<Record<string, unknown>>, asked: AskedFor): string | undefined {
  return ['service_id', 'service']
    .map((name) => unlessSecret(textOf(member(body, name)), asked))
    .map((text) => printable(text ?? ''))
    .find((text) => text !== '');
}

function refusedWith(
  error: string,
  answer: HttpAnswer,
  asked: AskedFor,
): [message: string, options: OAuthErrorOptions] {
  const { status: statusCode, headers } = answer;
  const description = descriptionOf(answer, asked);
  const message = `${answered(answer, asked)} and ${error}${description === '' ? '' : `: ${description}`}`;
  const retryAfterSeconds = secondsUntilRetry(headers);
  return [
    message,
    {
      statusCode,
      error,
      ...(description === '' ? {} : { description }),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    },
  ];
}

/** RFC 9110 §10.2.3: seconds, or a date, which is by the clock of the server that sent it. */
function secondsUntilRetry(headers: HttpAnswer['headers']): number | undefined {
  const text = headers['retry-after']?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  if (!HTTP_DATE.test(text)) return undefined;
  const sent = Date.parse(headers['date'] ?? '');
  const seconds = (Date.parse(text) - (Number.isNaN(sent) ? Date.now() : sent)) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.ceil(seconds));
}

function protocolError(answer: HttpAnswer, asked: AskedFor, what: string): ProtocolError {
  return new ProtocolError(`${answered(answer, asked)}${what}`, { statusCode: answer.status });
}

function answered({ status }: HttpAnswer, { operation }: AskedFor): string {
  return `${operation}: the authorization server answered with status ${status}`;
}

function objectOf({ json }: HttpAnswer): Record<string, unknown> | undefined {
  return isJsonObject(json) ? json : undefined;
}

// ---- text of the other side ------------------------------------------------------------------------

/** No word of a language: an opaque token, or a secret in some encoding that we did not send it in. */
const RANDOM_WORD = /(?<![\w+-])(?=[\w+-]*[a-z])(?=[\w+-]*[A-Z])(?=[\w+-]*\d)[\w+-]{16,}={0,2}/g;

/** RFC 6749 §5.2; RFC 9457 §3.1.4 where a server sends nothing else. */
function descriptionOf(answer: HttpAnswer, asked: AskedFor): string {
  const body = objectOf(answer) ?? {};
  let safe = textOf(member(body, 'error_description')) ?? textOf(member(body, 'detail')) ?? '';
  // Before anything is cut off, or the cut could leave a part of a secret that no longer matches.
  for (const secret of spellings(asked)) {
    if (secret.length >= 4) safe = safe.replaceAll(secret, '[redacted]');
  }
  return printable(
    safe
      .slice(0, MAX_READ)
      .replace(/\beyJ[\w-]*\.[\w.-]+/g, '[redacted]') // any JWT
      .replace(RANDOM_WORD, '[redacted]')
      .replace(/\b(https?:\/\/[^\s?#"']*)[?#][^\s"']*/gi, '$1'),
  );
}

/** One line of bounded length; runs of anything else than printable ASCII become a blank. */
function printable(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, MAX_DESCRIPTION);
}

/** A server that answers with what it was sent, or a good part of it, must not put it into `code`. */
function unlessSecret(text: string | undefined, asked: AskedFor): string | undefined {
  if (text === undefined) return undefined;
  const repeats = (secret: string): boolean =>
    text === secret ||
    (secret.length >= 16 && text.includes(secret)) ||
    (text.length >= 16 && secret.includes(text));
  return spellings(asked).some(repeats) ? undefined : text;
}

/** The secrets as they are, and as a form spells them. */
function spellings({ secrets = [] }: AskedFor): string[] {
  return [...secrets].flatMap((secret) => [
    secret,
    new URLSearchParams([['', secret]]).toString().slice(1),
  ]);
}

function codeText(value: unknown): string | undefined {
  return typeof value === 'string' && ERROR_CODE.test(value) ? value : undefined;
}

/** Where it may lead is decided by whoever shows it; here only that it leads to a web page. */
function webUrl(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > MAX_URL || !URL.canParse(value)) return undefined;
  return ['https:', 'http:'].includes(new URL(value).protocol) ? value : undefined;
}

/** A slug as it is; of a URL host and path. */
function readableName(target: string | undefined): string | undefined {
  if (target === undefined) return undefined;
  const url = URL.canParse(target) ? new URL(target) : undefined;
  const name =
    url === undefined || url.host === ''
      ? target
      : `${url.host}${url.pathname.replace(/\/+$/, '')}`;
  return printable(name) || undefined;
}

/** RFC 6749 §5.1: the value is case insensitive. */
function tokenTypeOf(value: unknown): 'Bearer' | 'DPoP' | undefined {
  switch (typeof value === 'string' ? value.toLowerCase() : undefined) {
    case 'bearer':
      return 'Bearer';
    case 'dpop':
      return 'DPoP';
    default:
      return undefined;
  }
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

/** A member that may be missing, and that some servers then send as `null` or `""`. */
function optional(raw: Record<string, unknown>, name: string): unknown {
  return unlessEmpty(member(raw, name));
}

/** AuthPlane echoes the scope that was asked for. A token that can do more than meant must not get about. */
function grantsMore(granted: string | undefined, { scope = '' }: AskedFor): boolean {
  const wanted = scopesIn(scope);
  return wanted.length > 0 && scopesIn(granted ?? '').some((one) => !wanted.includes(one));
}

function scopesIn(text: string): string[] {
  return text.split(' ').filter((scope) => scope !== '');
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  const number = plainNumber(value);
  return typeof number === 'number' ? number : undefined;
}

function audienceOf(value: unknown): string | readonly string[] | undefined {
  if (typeof value === 'string') return value;
  const isList = Array.isArray(value) && value.every((entry) => typeof entry === 'string');
  return isList ? value : undefined;
}
