/** Which consent pages may be shown to a user. */
export interface ConsentPolicy {
  /** The issuer; consent pages are of its origin. */
  readonly issuer: string;
  /** Lets `http:` pages pass, for development only. Default `false`. */
  readonly devMode?: boolean | undefined;
  /**
   * Further origins of consent pages, such as `https://connect.example.com`. Default none. Not those of
   * web pages that may call, which are `mcp.allowedOrigins`.
   */
  readonly pageOrigins?: readonly string[] | undefined;
}

const MAX_URL_LENGTH = 2048;
/** RFC 3986 §2: what parsers disagree about, such as backslashes and line breaks, is not in it. */
const URI_CHARACTERS = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/;

/**
 * Why a `consent_url` must not be shown to a user, or `undefined` when it may. What a user is asked
 * to open has to be https, of the issuer's or an allowed origin, short and without user information:
 * clients have executed what servers sent them (CVE-2025-6514).
 */
export function consentUrlProblem(
  consentUrl: string,
  { issuer, devMode = false, pageOrigins = [] }: ConsentPolicy,
): string | undefined {
  if (consentUrl.length > MAX_URL_LENGTH) return `it is longer than ${MAX_URL_LENGTH} characters`;
  if (!URI_CHARACTERS.test(consentUrl)) return 'it has characters that no URI has';
  const url = parsed(consentUrl);
  if (url === undefined) return 'it is no absolute URL';
  if (url.protocol !== 'https:' && !(devMode && url.protocol === 'http:')) return 'it is not https';
  if (url.username !== '' || url.password !== '') return 'it has user information';
  const origins = [issuer, ...pageOrigins].map((allowed) => parsed(allowed)?.origin);
  return origins.includes(url.origin)
    ? undefined
    : 'it is of another origin than the issuer and the allowed ones';
}

/**
 * AuthPlane's second flavour of `consent_url`, `<issuer>/authorize?resource=…`, is no page: it has no
 * `client_id` and tells the client to run its own authorization again.
 */
export function asksForAuthorization(consentUrl: string, { issuer }: ConsentPolicy): boolean {
  const url = parsed(consentUrl);
  if (url === undefined || url.searchParams.has('client_id')) return false;
  const base = parsed(issuer)?.pathname.replace(/\/$/, '') ?? '';
  return url.pathname === `${base}/authorize` || url.pathname === `${base}/oauth/authorize`;
}

/**
 * The page a user may be asked to open, in the one form that all parsers read alike; `undefined`
 * when there is none. The one rule for all answers.
 */
export function consentPage(
  consentUrl: string | undefined,
  policy: ConsentPolicy,
): string | undefined {
  if (consentUrl === undefined || consentUrlProblem(consentUrl, policy) !== undefined) return;
  return asksForAuthorization(consentUrl, policy) ? undefined : new URL(consentUrl).href;
}

function parsed(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined;
}
