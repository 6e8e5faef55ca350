import { consentPage, type ConsentPolicy } from './operations/consent-url.js';
import { AccessDeniedError, ConsentRequiredError, OAuthError } from './errors/oauth-errors.js';
import { AuthorizationServerUnavailableError } from './errors/server-errors.js';
import {
  DPoPBindingMismatchError,
  DPoPError,
  DPoPKeyMismatchError,
  DPoPMultipleProofsError,
  DPoPNonceRequiredError,
  DPoPNotSupportedError,
  DPoPReplayDetectedError,
  InvalidDPoPProofError,
} from './errors/dpop-errors.js';
import {
  InsufficientScopeError,
  InvalidClaimsError,
  InvalidSignatureError,
  MalformedCredentialsError,
  NoCallerError,
  TokenExpiredError,
  TokenMissingError,
  TokenRevokedError,
  TokenTooLongError,
} from './errors/token-errors.js';
import {
  InvalidRequestError,
  OperationRefusedError,
  OriginRefusedError,
  SessionNotFoundError,
  UnsupportedCharsetError,
} from './errors/request-errors.js';
import { ReplayStoreError } from './dpop/replay-store.js';
import { AuthplaneError } from './errors/authplane-error.js';
import { logText } from './errors/log-text.js';
import { originalOf } from './errors/stands-for.js';

/** Authentication schemes of access tokens: RFC 6750, RFC 9449 §7.1. */
export type ChallengeScheme = 'Bearer' | 'DPoP';

/** What a challenge says besides the error; all of it from configuration, none from the request. */
export interface ChallengeOptions {
  /** `realm` of the challenge (RFC 9110 §11.5). Default: none. */
  readonly realm?: string;
  /** URL of the protected resource metadata (RFC 9728 §5.1). Default: none is named. */
  readonly resourceMetadataUrl?: string;
  /** Scopes this access needs; a missing scope names its own. Default: none are named. */
  readonly scopes?: readonly string[];
  /**
   * Schemes the resource accepts, in the order they are offered. Default `['Bearer']`; an error about
   * a DPoP proof or binding is then still challenged as `DPoP`.
   */
  readonly schemes?: readonly ChallengeScheme[];
  /** Proof algorithms, named in DPoP challenges (RFC 9449 §7.1). Default: none are named. */
  readonly proofAlgorithms?: readonly string[];
  /**
   * The scheme the request came with; an error about its token is answered in that scheme. Default: in
   * all of `schemes`.
   */
  readonly presentedScheme?: ChallengeScheme | undefined;
  /** Which consent pages may be shown; without it none is. */
  readonly consentPolicy?: ConsentPolicy;
  /** The nonce to send along with DPoP challenges (RFC 9449 §9). Default none. */
  readonly dpopNonce?: string;
  /**
   * For development: `error_description` says why exactly, unless that is something the authorization
   * server has said. Default: one neutral sentence for each code.
   */
  readonly verboseErrors?: boolean;
}

interface Explained extends ChallengeOptions {
  readonly reason?: string | undefined;
}

/** An answer on the wire. */
export interface Challenge {
  /** HTTP status. */
  readonly status: number;
  /** `WWW-Authenticate`, `Retry-After`, `DPoP-Nonce`, as far as they apply. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON; `error` as RFC 6750 §3.1 names it, never a detail of the failure. */
  readonly body: Readonly<Record<string, unknown>>;
}

interface Answer {
  readonly status: number;
  /** `error` of the body; also of the challenge, unless `challenged` says otherwise. */
  readonly error: string;
  /** Which schemes are challenged: what the resource accepts, or the one the error belongs to. */
  readonly challenged: 'accepted' | 'accepted-without-code' | ChallengeScheme | 'none';
  /** Instead of the one that belongs to the code. */
  readonly description?: string;
  /** The body is this error of JSON-RPC: the answer of an MCP server, which is not about access. */
  readonly jsonRpc?: { readonly code: number; readonly message: string };
}

/** How long a challenge may be, and what it is made shorter by. */
interface Fit {
  readonly short: number;
  /** With members that a client needs. */
  readonly long: number;
  readonly dispensable: readonly string[];
}

/**
 * Together below 1 KB, one challenge in full and the brief one of a second scheme; below 3 KB where the
 * scopes or the resource URI are long. Proxies refuse answers whose headers pass 4 KB (nginx).
 */
const FULL = { short: 900, long: 2800 };
const BRIEF = { short: 100, long: 100 };
/** Of `error_description` with `verboseErrors`. */
const MAX_REASON = 400;
const NEEDED: readonly string[] = ['scope', 'resource_metadata'];

/** One neutral sentence per code. Why exactly a token was refused is for the log, not for the caller. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  unauthorized: 'An access token is required',
  invalid_request: 'The request does not carry exactly one well-formed access token',
  invalid_token: 'The access token is missing, expired, revoked or not valid for this resource',
  insufficient_scope: 'The access token lacks a scope that this operation needs',
  invalid_dpop_proof: 'The DPoP proof is not valid for this request',
  access_denied: 'The caller may not use this operation',
  consent_required: 'The user has to give consent for the service behind this operation',
  use_dpop_nonce: 'The DPoP proof must carry the nonce of this response',
};

/** In words what a body says by its code alone. */
const SENTENCES: Readonly<Record<string, string>> = {
  ...DESCRIPTIONS,
  temporarily_unavailable: 'The service cannot check this request right now; try again in a moment',
};

const invalidToken: Answer = { status: 401, error: 'invalid_token', challenged: 'accepted' };
const unavailable: Answer = {
  status: 503,
  error: 'temporarily_unavailable',
  challenged: 'none',
};
const invalidProof: Answer = { status: 401, error: 'invalid_dpop_proof', challenged: 'DPoP' };

/** The one table from error to answer. The first class that fits decides. */
const ANSWERS: readonly (readonly [abstract new (...args: never) => Error, Answer])[] = [
  [TokenMissingError, { status: 401, error: 'unauthorized', challenged: 'accepted-without-code' }],
  [NoCallerError, { status: 500, error: 'internal_error', challenged: 'none' }],
  [MalformedCredentialsError, { status: 400, error: 'invalid_request', challenged: 'accepted' }],
  [
    UnsupportedCharsetError,
    {
      status: 415,
      error: 'invalid_request',
      challenged: 'none',
      description: 'JSON has to be sent in UTF-8',
    },
  ],
  [
    InvalidRequestError,
    {
      status: 400,
      error: 'invalid_request',
      challenged: 'none',
      description: 'The request has no JSON-RPC body that can be checked',
    },
  ],
  // No challenge: whoever followed one would get a token that is refused again.
  [OperationRefusedError, { status: 403, error: 'access_denied', challenged: 'none' }],
  [
    SessionNotFoundError,
    {
      status: 404,
      error: 'session_not_found',
      challenged: 'none',
      jsonRpc: { code: -32001, message: 'Session not found' },
    },
  ],
  [
    OriginRefusedError,
    {
      status: 403,
      error: 'origin_refused',
      challenged: 'none',
      jsonRpc: { code: -32000, message: 'Forbidden: Origin not allowed' },
    },
  ],
  [AccessDeniedError, { status: 403, error: 'access_denied', challenged: 'none' }],
  [ConsentRequiredError, { status: 403, error: 'consent_required', challenged: 'none' }],
  [InsufficientScopeError, { status: 403, error: 'insufficient_scope', challenged: 'accepted' }],
  [TokenExpiredError, invalidToken],
  [InvalidSignatureError, invalidToken],
  [InvalidClaimsError, invalidToken],
  [TokenRevokedError, invalidToken],
  [TokenTooLongError, invalidToken],
  [DPoPNotSupportedError, { ...invalidToken, challenged: 'Bearer' }],
  [DPoPNonceRequiredError, { ...invalidProof, error: 'use_dpop_nonce' }],
  [InvalidDPoPProofError, invalidProof],
  [DPoPMultipleProofsError, invalidProof],
  [DPoPReplayDetectedError, invalidProof],
  [DPoPKeyMismatchError, invalidProof],
  [DPoPBindingMismatchError, { ...invalidToken, challenged: 'DPoP' }],
  [DPoPError, { ...invalidToken, challenged: 'DPoP' }],
  [AuthorizationServerUnavailableError, unavailable],
  [ReplayStoreError, unavailable],
];

/** Nothing that a caller could do something about, nor should know of. */
const INTERNAL: Answer = { status: 500, error: 'internal_error', challenged: 'none' };

/** The errors with an answer of their own; all others are 500. */
export const ANSWERED_ERRORS = ANSWERS.map(([kind]) => kind);

/** A rate limit, or a proxy in front of a server that is away: it passes by itself (RFC 9110 §15). */
const OUTAGES: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** Of `Retry-After` where an authorization server chose it. */
const LONGEST_PAUSE_SECONDS = 60;

/** HTTP status for an error; 500 for one that is not about the inbound request. */
export function httpStatus(error: unknown): number {
  return answerFor(error).status;
}

/**
 * Value of `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1), or `undefined` where no
 * challenge belongs. Order inside: realm, error, scope, resource_metadata, error_description, algs.
 * Printable ASCII below 1 KB, whatever the options hold; below 3 KB where scopes or URLs need it.
 */
export function wwwAuthenticate(
  thrown: unknown,
  options: ChallengeOptions = {},
): string | undefined {
  const error = originalOf(thrown);
  const answer = answerFor(error);
  return challengeOf(error, answer, schemesOf(answer, options), options);
}

function challengeOf(
  error: unknown,
  answer: Answer,
  [scheme, ...others]: readonly ChallengeScheme[],
  options: ChallengeOptions,
): string | undefined {
  if (scheme === undefined) return undefined;
  const scopes = error instanceof InsufficientScopeError ? error.requiredScopes : options.scopes;
  const full = { ...options, scopes: scopes ?? [], reason: reasonOf(error, answer, options) };
  const brief = others.map((other) =>
    oneChallenge(other, undefined, algorithmsOnly(options), BRIEF),
  );
  return [oneChallenge(scheme, codeFor(answer, scheme), full), ...brief].join(', ');
}

/** Status, headers and body for an error: everything a framework needs to answer. */
export function toChallenge(thrown: unknown, options: ChallengeOptions = {}): Challenge {
  const error = originalOf(thrown);
  const answer = answerFor(error);
  const schemes = schemesOf(answer, options);
  const challenge = challengeOf(error, answer, schemes, options);
  const nonce = schemes.includes('DPoP') ? options.dpopNonce : undefined;
  return {
    status: answer.status,
    headers: {
      'Cache-Control': 'no-store',
      ...(challenge === undefined ? {} : { 'WWW-Authenticate': challenge }),
      ...(nonce === undefined ? {} : { 'DPoP-Nonce': nonce }),
      ...(answer.status === 503 ? { 'Retry-After': String(pauseAfter(error)) } : {}),
    },
    body: bodyFor(answer, error, options),
  };
}

/** Seconds after which a further attempt makes sense. */
function pauseAfter(error: unknown): number {
  if (error instanceof OAuthError) {
    return Math.min(LONGEST_PAUSE_SECONDS, Math.max(1, error.retryAfterSeconds ?? 5));
  }
  const isOurs =
    error instanceof AuthorizationServerUnavailableError || error instanceof ReplayStoreError;
  return isOurs ? error.retryAfterSeconds : 5;
}

function answerFor(thrown: unknown): Answer {
  const error = originalOf(thrown);
  if (error instanceof OAuthError && OUTAGES.has(error.statusCode)) return unavailable;
  return ANSWERS.find(([kind]) => error instanceof kind)?.[1] ?? INTERNAL;
}

/** What the body says, in one sentence, for answers of another form. As public as the body. */
export function publicSentence(thrown: unknown): string {
  const error = originalOf(thrown);
  const answer = answerFor(error);
  const sentence =
    answer.jsonRpc?.message ??
    answer.description ??
    SENTENCES[answer.error] ??
    'The operation failed';
  return error instanceof InsufficientScopeError
    ? `${sentence}: ${error.requiredScopes.join(' ')}`
    : sentence;
}

function bodyFor(
  answer: Answer,
  error: unknown,
  options: ChallengeOptions,
): Record<string, unknown> {
  const { error: code, jsonRpc } = answer;
  if (jsonRpc !== undefined) return { jsonrpc: '2.0', error: jsonRpc, id: null };
  const isAboutScopes = error instanceof InsufficientScopeError;
  const sentence = isAboutScopes ? undefined : (answer.description ?? DESCRIPTIONS[code]);
  const description = reasonOf(error, answer, options) ?? sentence;
  return {
    error: code,
    ...(isAboutScopes ? { scope: error.requiredScopes.join(' ') } : {}),
    ...(description === undefined ? {} : { error_description: description }),
    ...(error instanceof ConsentRequiredError ? consentMember(error, options.consentPolicy) : {}),
  };
}

/** As the log has it, in the characters of RFC 6750 §3. */
function reasonOf(
  error: unknown,
  answer: Answer,
  { verboseErrors = false }: ChallengeOptions,
): string | undefined {
  if (!verboseErrors || answer === INTERNAL || !(error instanceof AuthplaneError)) return undefined;
  if (error instanceof OAuthError) return undefined; // the words of the authorization server
  return quotable(logText(error).replaceAll('"', "'")).slice(0, MAX_REASON);
}

function consentMember({ consentUrl }: ConsentRequiredError, policy: ConsentPolicy | undefined) {
  const page = policy === undefined ? undefined : consentPage(consentUrl, policy);
  return page === undefined ? {} : { consent_url: page };
}

/** The scheme that is challenged in full, and those that are named besides. */
function schemesOf(answer: Answer, options: ChallengeOptions): readonly ChallengeScheme[] {
  const accepted = options.schemes ?? ['Bearer', 'DPoP'];
  const presented = accepted.find((scheme) => scheme === options.presentedScheme);
  switch (answer.challenged) {
    case 'none':
      return [];
    case 'accepted-without-code':
      return options.schemes ?? ['Bearer'];
    case 'accepted':
      if (options.schemes === undefined) return ['Bearer'];
      // RFC 9449 §7.2: who came with a bearer token hears that DPoP would do as well.
      return presented === 'DPoP' || answer.status !== 401
        ? [presented ?? accepted[0] ?? 'Bearer']
        : accepted;
    default:
      return accepted.includes(answer.challenged) ? [answer.challenged] : accepted.slice(0, 1);
  }
}

/** `invalid_dpop_proof` means nothing under another scheme. */
function codeFor(answer: Answer, scheme: ChallengeScheme): string | undefined {
  if (answer.challenged === 'accepted-without-code') return undefined;
  return answer.challenged === 'DPoP' && scheme !== 'DPoP' ? 'invalid_token' : answer.error;
}

function algorithmsOnly({ proofAlgorithms }: ChallengeOptions): ChallengeOptions {
  return proofAlgorithms === undefined ? {} : { proofAlgorithms };
}

function oneChallenge(
  scheme: ChallengeScheme,
  code: string | undefined,
  options: Explained,
  limits: Omit<Fit, 'dispensable'> = FULL,
): string {
  const parameters: [name: string, value: string | undefined][] = [
    ['realm', options.realm],
    ['error', code],
    ['scope', options.scopes?.join(' ')],
    ['resource_metadata', options.resourceMetadataUrl],
    ['error_description', code === undefined ? undefined : (options.reason ?? DESCRIPTIONS[code])],
    ['algs', scheme === 'DPoP' ? options.proofAlgorithms?.join(' ') : undefined],
  ];
  const dispensable = code === 'insufficient_scope' ? DISPENSABLE_FOR_SCOPES : DISPENSABLE;
  return fit(scheme, parameters, { ...limits, dispensable });
}

/** What a client can do without, in the order in which it is left out; what it needs most comes last. */
const DISPENSABLE = ['error_description', 'realm', 'scope', 'resource_metadata', 'algs'];
/** It knows where to get a token; what it does not know is what to ask for. */
const DISPENSABLE_FOR_SCOPES = ['error_description', 'realm', 'algs', 'resource_metadata', 'scope'];

/** Leaves out as little as it takes for the challenge to be short enough. */
function fit(
  scheme: ChallengeScheme,
  parameters: readonly (readonly [string, string | undefined])[],
  { short, long, dispensable }: Fit,
): string {
  const render = (without: readonly string[]) =>
    `${scheme} ${parameters
      .filter(([name, value]) => !without.includes(name) && value !== undefined && value !== '')
      .map(([name, value]) => `${name}="${quotable(value ?? '')}"`)
      .join(', ')}`.trimEnd();
  for (let dropped = 0; dropped < dispensable.length; dropped++) {
    const challenge = render(dispensable.slice(0, dropped));
    const isNeeded = NEEDED.includes(dispensable[dropped] ?? '');
    if (challenge.length <= (isNeeded ? long : short)) return challenge;
  }
  return render(dispensable);
}

/** Inside a quoted-string (RFC 9110 §5.6.4) of printable ASCII; runs of anything else become a blank. */
function quotable(value: string): string {
  return value.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]+/g, ' ').trim();
}
