import type { Parameter } from '../calls/call.js';
import { NoAccessTokenError } from '../errors/configuration-error.js';
import { InvalidGrantError } from '../errors/oauth-errors.js';
import { TokenExpiredError } from '../errors/token-errors.js';
import { type Check, textListProblem, textProblem } from '../lib/option-checks.js';
import { expiryOf } from '../jws/unverified-claims.js';
import type { TokenGrant } from './issued-tokens.js';
import {
  isPresent,
  present,
  requireRequest,
  requireToken,
  resourcesProblem,
  scopeProblem,
  signalProblem,
} from './request-members.js';

/** A token exchange (RFC 8693 §2.1). Blank texts and lists without entries are left out. */
export interface ExchangeRequest {
  /** The token to exchange, for example the inbound one. */
  readonly subjectToken: string;
  /** Default `urn:ietf:params:oauth:token-type:access_token`. */
  readonly subjectTokenType?: string;
  /** Token of the party that acts for the subject. */
  readonly actorToken?: string;
  /** Default `urn:ietf:params:oauth:token-type:access_token`; sent with an `actorToken` only. */
  readonly actorTokenType?: string;
  /** Where the new token will be used (RFC 8707). AuthPlane: URI or slug, and reads the first only. */
  readonly resources?: readonly string[];
  /** Names of services instead of URIs. AuthPlane ignores them. */
  readonly audiences?: readonly string[];
  /**
   * Scopes separated by blanks. Say which ones: what is granted without differs by server version. An
   * answer that grants more than was asked for is refused (`ProtocolError`).
   */
  readonly scope?: string;
  /** Gives up waiting. The request goes on for others who wait for the same token. */
  readonly signal?: AbortSignal;
}

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export interface ExchangeGrant extends TokenGrant {
  /** `exp` of the subject token, when it is a JWT. Nobody has verified it. */
  readonly subjectEndsAt: number | undefined;
}

const exchangeChecks: Record<keyof ExchangeRequest, Check> = {
  subjectToken: () => undefined, // required, see below
  subjectTokenType: textProblem,
  actorToken: textProblem,
  actorTokenType: textProblem,
  resources: resourcesProblem,
  audiences: textListProblem,
  scope: scopeProblem,
  signal: signalProblem,
};

/**
 * RFC 8693 §2.1. Does not verify the token that comes of it: it is for another service, and may be a
 * foreign one from the vault.
 *
 * @throws NoAccessTokenError for an empty subject token, which callers have who have shown another credential.
 * @throws ConfigurationError without a subject token, and for members of another kind.
 */
export function exchangeGrant(request: ExchangeRequest): ExchangeGrant {
  requireRequest('exchange', request, exchangeChecks);
  if (request.subjectToken === '') throw new NoAccessTokenError();
  requireToken(request.subjectToken, 'subject_token');
  const { subjectToken, actorToken = '' } = request;
  const subjectEndsAt = expiryOf(subjectToken);
  const actorEndsAt = actorToken === '' ? undefined : expiryOf(actorToken);
  const target = [...(request.resources ?? []), ...(request.audiences ?? [])].find(isPresent);
  return {
    operation: 'exchange',
    endpoint: 'token_endpoint',
    parameters: parametersOf(request),
    isExchange: true,
    scope: request.scope,
    target,
    // What the vault hands out is the token of a foreign service, which knows no DPoP.
    acceptsUnbound: target !== undefined,
    derivedFrom: [subjectToken, actorToken].filter(isPresent),
    until: Math.min(subjectEndsAt ?? Infinity, actorEndsAt ?? Infinity),
    subjectEndsAt,
  };
}

/**
 * A token that has ended tells its bearer to get a new one: nothing is sent then. So it does when it
 * ended on the way, and the server calls it invalid (`invalid_grant`).
 *
 * @throws TokenExpiredError by our own clock, when the subject token is a JWT.
 */
export async function whileNotEnded<T>(
  { subjectEndsAt }: ExchangeGrant,
  now: () => number,
  exchange: () => Promise<T>,
): Promise<T> {
  requireNotEnded(subjectEndsAt, now());
  try {
    return await exchange();
  } catch (error) {
    if (error instanceof InvalidGrantError) requireNotEnded(subjectEndsAt, now(), error);
    throw error;
  }
}

function requireNotEnded(endsAt: number | undefined, now: number, cause?: unknown): void {
  if (endsAt === undefined || now < endsAt) return;
  throw new TokenExpiredError(`the token to exchange expired at ${endsAt}`, { cause });
}

function parametersOf(request: ExchangeRequest): readonly Parameter[] {
  const { actorToken = '', resources = [], audiences = [] } = request;
  const actor: Parameter[] = [
    ['actor_token', actorToken],
    ['actor_token_type', typeOrDefault(request.actorTokenType)],
  ];
  return present([
    ['grant_type', TOKEN_EXCHANGE],
    ['subject_token', request.subjectToken],
    ['subject_token_type', typeOrDefault(request.subjectTokenType)],
    ...(isPresent(actorToken) ? actor : []),
    ['scope', request.scope ?? ''],
    ...resources.map((value): Parameter => ['resource', value]),
    ...audiences.map((value): Parameter => ['audience', value]),
  ]);
}

function typeOrDefault(type = ''): string {
  return isPresent(type) ? type : ACCESS_TOKEN;
}
