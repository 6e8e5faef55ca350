import { node } from '../platform/node.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { InvalidDPoPProofError } from '../errors/dpop-errors.js';

/**
 * Comparison of `htu` with the URL of the request (RFC 9449 §4.3 #9) by the syntax of RFC 3986 alone.
 *
 * The URL parser of browsers is of no use here: it reads a dozen spellings of other URLs (backslash,
 * tab, full-width host, missing slashes, octal addresses) as one and the same.
 */

/** Visible ASCII without the backslash, which some parsers take for a slash. */
const URL_TEXT = /^[\x21-\x5b\x5d-\x7e]+$/;
const MALFORMED_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const UNRESERVED = /[A-Za-z0-9._~-]/;
const HTTP_URL = /^(https?):\/\/([^/?#]*)([^?#]*)([?#].*)?$/is;
/** A user name, an escape that stands for a reserved character, and a zone do not fit in. */
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(?::([1-9][0-9]{0,4})?)?$/;
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

export interface HtuRules {
  /** Refuse a query or a fragment instead of leaving it out. Default `false`. */
  readonly strict?: boolean;
}

/**
 * The URL without query and fragment, in the one spelling that all its equivalents share
 * (RFC 3986 §6.2.2, §6.2.3): case of scheme, host and escapes, escapes of unreserved characters, dot
 * segments, default or empty port, empty path. Nothing else is equal: a trailing dot of the host, a
 * trailing or a double slash of the path and `;parameters` tell URLs apart.
 *
 * @throws InvalidDPoPProofError for what is no `http` or `https` URL, carries a user name, or holds
 * controls, blanks, backslashes or anything outside of ASCII.
 */
export function canonicalHtu(text: string, { strict = false }: HtuRules = {}): string {
  requireUrlText(text);
  const [, scheme, authority, path, rest] = HTTP_URL.exec(text) ?? [];
  if (scheme === undefined || authority === undefined || path === undefined) {
    throw mismatchError('it is not an absolute http or https URL');
  }
  if (strict && rest !== undefined) throw mismatchError('it has a query or a fragment');
  return `${canonicalOrigin(scheme.toLowerCase(), authority)}${canonicalPath(path)}`;
}

/**
 * Scheme, host and port of a configured URL, for {@link requestUrl}.
 *
 * @throws ConfigurationError
 */
export function htuOrigin(url: string): string {
  const canonical = configured('the resource is no http or https URL for DPoP to compare', () =>
    canonicalHtu(url),
  );
  return canonical.slice(0, canonical.indexOf('/', 'https://'.length));
}

/**
 * The path a proxy takes off before it passes a request on, for {@link requestUrl}: `''` or `/api`.
 *
 * @throws ConfigurationError
 */
export function htuPathPrefix(prefix: string): string {
  if (prefix === '' || prefix === '/') return '';
  const canonical = configured('publicPathPrefix must be a plain path such as /api', () => {
    requireUrlText(prefix);
    if (!prefix.startsWith('/') || /[?#]/.test(prefix)) throw mismatchError('it is not a path');
    return canonicalPath(prefix);
  });
  return canonical.endsWith('/') ? canonical.slice(0, -1) : canonical;
}

/**
 * The canonical URL a client used for this request. Origin and prefix come from configuration; of
 * the request only the path counts, never `Host`, a forwarded header or the authority of an
 * absolute-form target (RFC 9112 §3.2.2).
 *
 * @param origin from {@link htuOrigin}
 * @param pathPrefix from {@link htuPathPrefix}
 * @param target the request target as received, or an absolute URL
 * @throws InvalidDPoPProofError for a target without a path, such as `*`.
 */
export function requestUrl(origin: string, pathPrefix: string, target: string): string {
  requireUrlText(target);
  const start = target.startsWith('/') ? 0 : ABSOLUTE_FORM.exec(target)?.[0].length;
  if (start === undefined) throw mismatchError('the request target has no path');
  const end = target.slice(start).search(/[?#]/);
  const path = end === -1 ? target.slice(start) : target.slice(start, start + end);
  return `${origin}${pathPrefix}${canonicalPath(path)}`;
}

function requireUrlText(text: string): void {
  if (!URL_TEXT.test(text)) {
    throw mismatchError('it is empty, or has a character that does not belong into a URL');
  }
  if (MALFORMED_ESCAPE.test(text)) throw mismatchError('it has a malformed percent escape');
}

function canonicalOrigin(scheme: string, authority: string): string {
  const unescaped = authority.replace(ESCAPE, canonicalEscape);
  const [, host, port = ''] = AUTHORITY.exec(unescaped) ?? [];
  if (host === undefined) throw mismatchError('its authority is not of the form host or host:port');
  if (host.startsWith('[') && !node.net.isIPv6(host.slice(1, -1))) {
    throw mismatchError('its host is not an IPv6 address');
  }
  if (Number(port) > 65_535) throw mismatchError('its port is out of range');
  const isDefault = port === '' || port === (scheme === 'https' ? '443' : '80');
  return `${scheme}://${host.toLowerCase()}${isDefault ? '' : `:${port}`}`;
}

function canonicalPath(path: string): string {
  if (path === '') return '/'; // RFC 3986 §6.2.3
  if (!path.includes('%') && !path.includes('/.')) return path;
  return withoutDotSegments(path.replace(ESCAPE, canonicalEscape));
}

function canonicalEscape(escape: string): string {
  const char = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
  return UNRESERVED.test(char) ? char : escape.toUpperCase();
}

/** RFC 3986 §5.2.4 for a path that starts with a slash. */
function withoutDotSegments(path: string): string {
  const segments = path.slice(1).split('/');
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  const last = segments.at(-1);
  if (last === '.' || last === '..') kept.push('');
  return `/${kept.join('/')}`;
}

function mismatchError(why: string): InvalidDPoPProofError {
  return new InvalidDPoPProofError(
    `URL mismatch: this URL cannot be compared, ${why} (RFC 9449 §4.3 #9)`,
    { claim: 'htu', rule: 'malformed' },
  );
}

function configured(problem: string, read: () => string): string {
  try {
    return read();
  } catch (cause) {
    throw new ConfigurationError(problem, { cause });
  }
}
