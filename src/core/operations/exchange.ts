import type { Parameter } from '../calls/call.js';
import { NoAccessTokenError } from '../errors/configuration-error.js';
import { InvalidGrantError } from '../errors/oauth-errors.js';
import { TokenExpiredError } from '../errors/token-errors.js';
import { type Check, isTable, textListProblem, textProblem } from '../lib/option-checks.js';
import { formEncoded, formOf } from '../lib/text.js';
import { expiryOf } from '../jws/unverified-claims.js';
import { comparable, type TokenGrant } from './issued-tokens.js';
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

const GRANT_TYPE: Parameter = ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'];
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export interface ExchangeGrant extends TokenGrant {
  readonly isExchange: true;
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
  const { operation, type, rest, form } = knownPart(request);
  const { subjectToken, actorToken = '' } = request;
  if (subjectToken === '') throw new NoAccessTokenError();
  requireToken(subjectToken, 'subject_token');
  const subjectEndsAt = expiryOf(subjectToken);
  const actor = actorOf(request);
  const actorEndsAt = actor.length === 0 ? undefined : expiryOf(actorToken);
  // Member by member: V8 takes several times as long to add some to a copy.
  return {
    operation: operation.operation,
    endpoint: operation.endpoint,
    isExchange: operation.isExchange,
    scope: operation.scope,
    target: operation.target,
    acceptsUnbound: operation.acceptsUnbound,
    comparable: operation.comparable,
    parameters: [GRANT_TYPE, ['subject_token', subjectToken], type, ...actor, ...rest],
    form: actor.length === 0 ? () => form(subjectToken) : undefined,
    derivedFrom: actor.length === 0 ? [subjectToken] : [subjectToken, actorToken],
    until: Math.min(subjectEndsAt ?? Infinity, actorEndsAt ?? Infinity),
    subjectEndsAt,
  };
}

type CheckedMembers = {
  readonly [Name in Exclude<keyof ExchangeRequest, 'subjectToken' | 'actorToken' | 'signal'>]:
    ExchangeRequest[Name] | undefined;
};

type OfOneRequest = 'parameters' | 'form' | 'derivedFrom' | 'until' | 'subjectEndsAt';

/** What a request is but for its tokens. */
interface KnownPart {
  readonly request: CheckedMembers;
  readonly members: readonly string[];
  readonly operation: Omit<ExchangeGrant, OfOneRequest>;
  readonly type: Parameter;
  /** The parameters behind the tokens. */
  readonly rest: readonly Parameter[];
  /** All of them as they are sent, with a subject token and no other. */
  readonly form: (subjectToken: string) => string;
}

/** An application asks for few things, and for each of them again and again: the last ones of them. */
const known: KnownPart[] = [];
const MAX_KNOWN = 8;

/** Checked and put together once. @throws ConfigurationError for members of another kind. */
function knownPart(request: ExchangeRequest): KnownPart {
  const found = isTable(request) ? known.find((part) => isPartOf(request, part)) : undefined;
  if (found !== undefined) return found;
  requireRequest('exchange', request, exchangeChecks);
  const made = partOf(request);
  if (request.actorToken === undefined) {
    known.unshift(made);
    known.splice(MAX_KNOWN);
  }
  return made;
}

/** What is equal to a text that has been checked needs no check. */
function isPartOf(request: ExchangeRequest, { request: seen, members }: KnownPart): boolean {
  const { signal } = request;
  return (
    request.scope === seen.scope &&
    request.subjectTokenType === seen.subjectTokenType &&
    request.actorToken === undefined &&
    request.actorTokenType === seen.actorTokenType &&
    isSameList(request.resources, seen.resources) &&
    isSameList(request.audiences, seen.audiences) &&
    isSameList(Object.keys(request), members) &&
    (signal === undefined || signalProblem(signal, false) === undefined)
  );
}

function isSameList(list: readonly string[] | undefined, seen: readonly string[] | undefined) {
  if (list === undefined || seen === undefined) return list === seen;
  if (!Array.isArray(list) || list.length !== seen.length) return false;
  return seen.every((entry, i) => entry === list[i]);
}

function partOf(request: ExchangeRequest): KnownPart {
  const { resources = [], audiences = [], scope } = request;
  const target = [...resources, ...audiences].find(isPresent);
  const type: Parameter = ['subject_token_type', typeOrDefault(request.subjectTokenType)];
  const rest = present([
    ['scope', scope ?? ''],
    ...resources.map((value): Parameter => ['resource', value]),
    ...audiences.map((value): Parameter => ['audience', value]),
  ]);
  const before = `${formOf([GRANT_TYPE])}&subject_token=`;
  const behind = `&${formOf([type, ...rest])}`;
  const { subjectTokenType, actorTokenType } = request;
  return {
    request: {
      scope,
      subjectTokenType,
      actorTokenType,
      resources: request.resources && [...resources],
      audiences: request.audiences && [...audiences],
    },
    members: Object.keys(request),
    operation: {
      operation: 'exchange',
      endpoint: 'token_endpoint',
      isExchange: true,
      scope,
      target,
      // What the vault hands out is the token of a foreign service, which knows no DPoP.
      acceptsUnbound: target !== undefined,
      comparable: comparable([GRANT_TYPE, type, ...actorOf(request).slice(1), ...rest]),
    },
    type,
    rest,
    form: (subjectToken) => `${before}${formEncoded(subjectToken)}${behind}`,
  };
}

/**
 * A token that has ended tells its bearer to get a new one: nothing is sent then. So it does when it
 * ended on the way, and the server calls it invalid (`invalid_grant`).
 *
 * @param error of the server, if it was asked.
 * @throws TokenExpiredError by our own clock, when the subject token is a JWT.
 */
export function requireNotEnded(
  { subjectEndsAt }: ExchangeGrant,
  now: number,
  error?: unknown,
): void {
  if (subjectEndsAt === undefined || now < subjectEndsAt) return;
  if (error !== undefined && !(error instanceof InvalidGrantError)) return;
  throw new TokenExpiredError(`the token to exchange expired at ${subjectEndsAt}`, {
    cause: error,
  });
}

function actorOf({ actorToken = '', actorTokenType }: ExchangeRequest): readonly Parameter[] {
  if (!isPresent(actorToken)) return [];
  return [
    ['actor_token', actorToken],
    ['actor_token_type', typeOrDefault(actorTokenType)],
  ];
}

function typeOrDefault(type = ''): string {
  return isPresent(type) ? type : ACCESS_TOKEN;
}
