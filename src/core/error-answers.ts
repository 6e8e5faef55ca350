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
import { NoAccessTokenError } from './errors/configuration-error.js';
import {
  CredentialRefusedError,
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
  CallbackError,
  InvalidRequestError,
  OperationRefusedError,
  OriginRefusedError,
  RequestTooLargeError,
  SessionNotFoundError,
  UnknownResourceError,
  UnsupportedCharsetError,
} from './errors/request-errors.js';
import { ReplayStoreError } from './dpop/replay-store.js';
import { originalOf } from './errors/stands-for.js';

/** Authentication schemes of access tokens: RFC 6750, RFC 9449 §7.1. */
export type ChallengeScheme = 'Bearer' | 'DPoP';

export interface Answer {
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

/** One neutral sentence per code. Why exactly a token was refused is for the log, not for the caller. */
export const DESCRIPTIONS: Readonly<Record<string, string>> = {
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
export const SENTENCES: Readonly<Record<string, string>> = {
  ...DESCRIPTIONS,
  not_found: 'There is no such resource',
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
    RequestTooLargeError,
    {
      status: 413,
      error: 'invalid_request',
      challenged: 'none',
      description: 'The body is too long',
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
  [NoAccessTokenError, { status: 403, error: 'access_denied', challenged: 'none' }],
  [AccessDeniedError, { status: 403, error: 'access_denied', challenged: 'none' }],
  [ConsentRequiredError, { status: 403, error: 'consent_required', challenged: 'none' }],
  [InsufficientScopeError, { status: 403, error: 'insufficient_scope', challenged: 'accepted' }],
  [TokenExpiredError, invalidToken],
  [CredentialRefusedError, invalidToken],
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
  [CallbackError, unavailable],
  [UnknownResourceError, { status: 404, error: 'not_found', challenged: 'none' }],
];

/** Nothing that a caller could do something about, nor should know of. */
export const INTERNAL: Answer = { status: 500, error: 'internal_error', challenged: 'none' };

/** The errors with an answer of their own; all others are 500. */
export const ANSWERED_ERRORS = ANSWERS.map(([kind]) => kind);

/** A rate limit, or a proxy in front of a server that is away: it passes by itself (RFC 9110 §15). */
const OUTAGES: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export function answerFor(thrown: unknown): Answer {
  const error = originalOf(thrown);
  if (typeof error !== 'object' || error === null) return INTERNAL;
  const prototype = Object.getPrototypeOf(error) as object | null;
  if (prototype === null || originalOf(error) !== error) return answerOf(error);
  return answersByPrototype.get(prototype) ?? answerOnce(prototype, error);
}

function answerOf(error: object): Answer {
  const isOutage = error instanceof OAuthError && OUTAGES.has(error.statusCode);
  return isOutage ? unavailable : answerOfClass(error);
}

/** Those of an authorization server have a status each. */
function answerOnce(prototype: object, error: object): Answer {
  const answer = answerOf(error);
  if (!(error instanceof OAuthError)) answersByPrototype.set(prototype, answer);
  return answer;
}

function answerOfClass(error: object): Answer {
  return ANSWERS.find(([kind]) => error instanceof kind)?.[1] ?? INTERNAL;
}

const answersByPrototype = new WeakMap<object, Answer>();
