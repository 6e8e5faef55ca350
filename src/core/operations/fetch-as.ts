import { ConfigurationError, NoAccessTokenError } from '../errors/configuration-error.js';
import type { TokenResponse } from './token-response.js';
import { isNonceDemand, sentWithNonce } from '../dpop/nonce-retry.js';
import type { ProofSigner } from '../dpop/signer.js';
import type { ExchangeRequest } from './exchange.js';
import type { TokenOperations } from './token-operations.js';

/** A request to another service on behalf of the caller. */
export interface FetchAsRequest {
  /** The caller's token. It is exchanged and never sent to the service. */
  readonly subjectToken: string;
  /** Absolute https URL; http with `devMode` only. */
  readonly url: string | URL;
  /** As for `fetch`, without `Authorization` and `DPoP`. `redirect` is `manual` or `error`. */
  readonly init?: RequestInit;
  /** What to ask of the authorization server; name at least the resource. */
  readonly exchange: Omit<ExchangeRequest, 'subjectToken' | 'signal'>;
  /**
   * Headers of the inbound request to pass on. Credentials, cookies, forwarding, session and
   * hop-by-hop headers, everything about the body, and values that are or hold a token stay behind;
   * parameters of a tool (`Mcp-Param-*`) go along, whatever they are named. `init.headers` win.
   */
  readonly inboundHeaders?:
    Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface FetchAsDependencies {
  readonly tokens: Pick<TokenOperations, 'exchange' | 'evictRefused'>;
  /** Needed for tokens that are bound to its key. */
  readonly dpop?: ProofSigner | undefined;
  /** Default `globalThis.fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Allows `http:` URLs. Default `false`. */
  readonly devMode?: boolean | undefined;
}

interface Prepared {
  readonly url: URL;
  readonly method: string;
  readonly init: RequestInit;
  readonly headers: Headers;
  /** The body can be sent a second time. */
  readonly isRepeatable: boolean;
}

/**
 * Calls another service for the caller: exchanges the caller's token (or takes the exchanged one
 * from the cache), sends the request with it, and hands the answer back as it is.
 *
 * - A 401 drops the token and is tried once more with a new one, unless the body is a stream. A service
 *   that refuses the new one, too, gets no other within five seconds: the 401 is handed back.
 * - A bound token goes with a proof for this method and URL; a demand for a nonce is met once per token.
 * - Redirects are not followed: the token is for this service only.
 * - The address is yours to trust: unlike the calls to the authorization server, it is not judged.
 *
 * @throws ConfigurationError for a URL that is not https, for `Authorization` or `DPoP` headers,
 * when the exchange gave back the caller's token, and when the request holds that token in its URL,
 * a header or the body. Bodies of text, form fields or bytes are looked through for it as it is
 * spelt; a `Blob`, a file and a stream are **not**.
 * @throws what `TokenOperations.exchange` throws, and what `fetch` throws.
 */
export async function fetchAs(
  request: FetchAsRequest,
  dependencies: FetchAsDependencies,
): Promise<Response> {
  const prepared = prepare(request, dependencies.devMode === true);
  const token = await exchanged(request, dependencies);
  const response = await sendWith(token, prepared, dependencies);
  if (response.status !== 401 || !prepared.isRepeatable) return response;
  dependencies.tokens.evictRefused(token.accessToken);
  const next = await exchanged(request, dependencies).catch(async (error: unknown) => {
    await discard(response);
    throw error;
  });
  if (next.accessToken === token.accessToken) return response;
  await discard(response);
  return sendWith(next, prepared, dependencies);
}

async function exchanged(
  { subjectToken, exchange, init }: FetchAsRequest,
  { tokens }: FetchAsDependencies,
): Promise<TokenResponse> {
  const signal = init?.signal ?? undefined;
  const token = await tokens.exchange({
    ...exchange,
    subjectToken,
    ...(signal === undefined ? {} : { signal }),
  });
  if (token.accessToken !== subjectToken) return token;
  throw new ConfigurationError(
    'fetchAs: the exchange gave back the inbound token, which must not be passed on; name the ' +
      'resource of the other service',
  );
}

function sendWith(
  token: TokenResponse,
  prepared: Prepared,
  dependencies: FetchAsDependencies,
): Promise<Response> {
  return sentWithNonce<Response>({
    url: prepared.url.href,
    signer: dependencies.dpop,
    send: (nonce) => send(token, prepared, dependencies, nonce),
    nonceHeader: ({ headers }) => headers.get('dpop-nonce'),
    isDemand: ({ status, headers }) =>
      isNonceDemand(status, headers.get('www-authenticate') ?? undefined) &&
      token.tokenType === 'DPoP' &&
      prepared.isRepeatable,
    discard,
  });
}

async function send(
  token: TokenResponse,
  { url, method, init, headers: common }: Prepared,
  dependencies: FetchAsDependencies,
  nonce?: string,
): Promise<Response> {
  const headers = new Headers(common);
  headers.set('authorization', `${token.tokenType} ${token.accessToken}`);
  if (token.tokenType === 'DPoP') {
    const proof = await requireSigner(dependencies.dpop).proof({
      method,
      url: url.href,
      accessToken: token.accessToken,
      ...(nonce === undefined ? {} : { nonce }),
    });
    headers.set('dpop', proof);
  }
  // eslint-disable-next-line no-restricted-globals -- the application's own call, to a URL it names
  const { fetch = globalThis.fetch } = dependencies;
  return fetch(url, { ...init, method, headers, redirect: init.redirect ?? 'manual' });
}

function requireSigner(dpop: ProofSigner | undefined): ProofSigner {
  if (dpop !== undefined) return dpop;
  throw new ConfigurationError(
    'fetchAs: the exchanged token is bound to a key (DPoP); set the option dpop',
  );
}

/** Lets go of a body nobody will read, so that its connection is free again. */
async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined); // broken already: as good as cancelled
}

// ---- the request ----------------------------------------------------------------------------------

/** Not to be passed on: what says who or where the inbound caller is, and what its connection was. */
const KEPT_BACK = new Set([
  ...['accept-encoding', 'connection', 'dpop', 'dpop-nonce', 'expect', 'forwarded', 'host'],
  ...['http2-settings', 'keep-alive', 'mcp-session-id', 'origin', 'referer', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade', 'via', 'www-authenticate'],
]);
const KEPT_BACK_PREFIX = /^(?:content-|proxy-|sec-|x-forwarded|x-real-|x-client-|x-original-|:)/;
/** Names of headers with credentials are without number; most of them say so. */
const CREDENTIAL =
  /auth|token|cookie|session|secret|passw|credential|assertion|jwt|oidc|saml|api-?key|csrf/;

function prepare(request: FetchAsRequest, devMode: boolean): Prepared {
  const { subjectToken, init = {} } = request;
  if (subjectToken === '') throw new NoAccessTokenError();
  if (typeof subjectToken !== 'string' || subjectToken.trim() === '') {
    throw misuseError('subject_token is required');
  }
  const url = requireUrl(request.url, devMode);
  const own = new Headers(init.headers);
  if (own.has('authorization') || own.has('dpop')) {
    throw misuseError(
      'init.headers must not hold Authorization or DPoP; the exchanged token goes there',
    );
  }
  if (init.redirect === 'follow') {
    throw misuseError(
      "redirect: 'follow' would carry the token to another place; follow it yourself",
    );
  }
  const headers = passedOn(request.inboundHeaders, subjectToken);
  for (const [name, value] of own) headers.set(name, value);
  refuseInboundToken(subjectToken, [
    ...[url.href, ...url.searchParams.values(), ...headers.values()],
    ...readableParts(init.body),
  ]);
  const method = methodOf(init);
  return { url, method, init, headers, isRepeatable: isRepeatable(init.body) };
}

/** As `fetch` sends it: the proof has to name the same. */
function methodOf({ method = 'GET' }: RequestInit): string {
  return /^(?:delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method;
}

function requireUrl(input: string | URL, devMode: boolean): URL {
  const url = URL.canParse(String(input)) ? new URL(String(input)) : undefined;
  if (url?.protocol === 'https:' || (devMode && url?.protocol === 'http:')) return url;
  throw misuseError('the URL must be an absolute https URL (RFC 6750 §5.3); devMode allows http');
}

function passedOn(inbound: FetchAsRequest['inboundHeaders'], subjectToken: string): Headers {
  const headers = new Headers();
  const entries: Iterable<readonly [string, string | readonly string[] | undefined]> =
    inbound instanceof Headers ? inbound : Object.entries(inbound ?? {});
  const lines = [...entries].flatMap(([name, value]) =>
    [value ?? []].flat().map((line) => [name.toLowerCase(), line] as const),
  );
  const hopByHop = new Set(
    lines
      .filter(([name]) => name === 'connection')
      .flatMap(([, value]) => value.toLowerCase().split(','))
      .map((name) => name.trim()),
  );
  for (const [name, value] of lines) {
    if (isKeptBack(name) || hopByHop.has(name) || holdsJwt(value)) continue;
    if (isToolParameter(name) && holdsToken(decodedParameter(value), subjectToken)) continue;
    headers.append(name, value);
  }
  return headers;
}

/** MCP 2026-07-28: parameters of the call, with names of the tool's own; a server needs all of them. */
function isToolParameter(name: string): boolean {
  return name.startsWith('mcp-param-');
}

/** Such a value may be written in base64 (`=?base64?…?=`). */
function decodedParameter(value: string): string {
  const isEncoded = value.startsWith('=?base64?') && value.endsWith('?=');
  return isEncoded ? Buffer.from(value.slice('=?base64?'.length, -2), 'base64').toString() : value;
}

function holdsToken(text: string, subjectToken: string): boolean {
  return holdsJwt(text) || text.includes(subjectToken);
}

function isKeptBack(name: string): boolean {
  if (isToolParameter(name)) return false;
  return KEPT_BACK.has(name) || KEPT_BACK_PREFIX.test(name) || CREDENTIAL.test(name);
}

/** What is a JWT by its looks is one: `eyJ`, and two more segments. In linear time. */
function holdsJwt(value: string): boolean {
  return value.split(/[^\w.-]/).some((word) => {
    const segments = word.split('.');
    return segments.some(
      (segment, at) => at + 2 < segments.length && /\beyJ/.test(segment) && segments[at + 1] !== '',
    );
  });
}

/** MCP authorization, "Token Passthrough": the inbound token must not reach another service. */
function refuseInboundToken(token: string, parts: readonly (string | Buffer)[]): void {
  if (parts.some((part) => part.includes(token))) {
    throw misuseError('the request holds the inbound token, which must not be passed on');
  }
}

/** What of a body can be looked at without waiting for it or using it up. */
function readableParts(body: RequestInit['body']): (string | Buffer)[] {
  if (typeof body === 'string') return [body];
  if (body instanceof URLSearchParams) return [body.toString(), ...[...body].flat()];
  if (body instanceof FormData) return [...body].flat().filter((part) => typeof part === 'string');
  if (body instanceof ArrayBuffer) return [Buffer.from(body)];
  if (!ArrayBuffer.isView(body)) return [];
  return [Buffer.from(body.buffer, body.byteOffset, body.byteLength)];
}

function isRepeatable(body: RequestInit['body']): boolean {
  return (
    body === undefined ||
    body === null ||
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  );
}

function misuseError(problem: string): ConfigurationError {
  return new ConfigurationError(`fetchAs: ${problem}`);
}
