import { formEncoded, oneLine } from '../lib/text.js';
import { consentPage } from './consent-url.js';
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
import type { HttpAnswer } from '../http/answer.js';
import { isJsonObject, member, textOf } from '../lib/members.js';
import { type AskedFor, protocolError, objectOf, answered } from './oauth-answer.js';

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

/** As the authorization server names it. */
function serviceOf(body: Readonly<Record<string, unknown>>, asked: AskedFor): string | undefined {
  return ['service_id', 'service']
    .map((name) => unlessSecret(textOf(member(body, name)), asked))
    .map((text) => described(text ?? ''))
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
  return described(
    safe
      .slice(0, MAX_READ)
      .replace(/\beyJ[\w-]*\.[\w.-]+/g, '[redacted]') // any JWT
      .replace(RANDOM_WORD, '[redacted]')
      .replace(/\b(https?:\/\/[^\s?#"']*)[?#][^\s"']*/gi, '$1'),
  );
}

function described(text: string): string {
  return oneLine(text, MAX_DESCRIPTION);
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
  return [...secrets].flatMap((secret) => [secret, formEncoded(secret)]);
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
  return described(name) || undefined;
}
