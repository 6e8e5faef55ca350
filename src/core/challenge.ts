import { consentPage, type ConsentPolicy } from './calls/consent-url.js';
import { ConsentRequiredError, OAuthError } from './errors/oauth-errors.js';
import { AuthorizationServerUnavailableError } from './errors/server-errors.js';
import {
  InsufficientScopeError,
  TokenExpiredError,
  TokenMissingError,
} from './errors/token-errors.js';
import { BRIEF, challengeText, FULL, quotable } from './challenge-text.js';
import { ReplayStoreError } from './dpop/replay-store.js';
import { AuthplaneError } from './errors/authplane-error.js';
import { logText } from './lib/log-text.js';
import { originalOf } from './errors/stands-for.js';
import {
  type ChallengeScheme,
  answerFor,
  type Answer,
  SENTENCES,
  DESCRIPTIONS,
  INTERNAL,
} from './error-answers.js';

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

/** Of `error_description` with `verboseErrors`. */
const MAX_REASON = 400;

/** Seconds after which a further attempt makes sense. */
function pauseAfter(error: unknown): number {
  if (error instanceof OAuthError) {
    return Math.min(LONGEST_PAUSE_SECONDS, Math.max(1, error.retryAfterSeconds ?? 5));
  }
  const isOurs =
    error instanceof AuthorizationServerUnavailableError || error instanceof ReplayStoreError;
  return isOurs ? error.retryAfterSeconds : 5;
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
  limits = FULL,
): string {
  const parameters = {
    realm: options.realm,
    error: code,
    scope: options.scopes?.join(' '),
    resource_metadata: options.resourceMetadataUrl,
    error_description: code === undefined ? undefined : (options.reason ?? DESCRIPTIONS[code]),
    algs: scheme === 'DPoP' ? options.proofAlgorithms?.join(' ') : undefined,
  };
  return challengeText(scheme, parameters, limits);
}

/** Different scopes that are asked for; a client can make combinations of them. */
const MAX_CHALLENGES = 100;

/** What clients hear all the time, of which an answer says nothing but which it is. */
const USUAL = [TokenMissingError, TokenExpiredError];

/** The challenges of one resource: those that are always the same are written once. */
export class ChallengeMemory {
  readonly #options: ChallengeOptions;
  readonly #known = new Map<string, Challenge>();

  constructor(options: ChallengeOptions) {
    this.#options = options;
  }

  /** Challenges in memory. */
  get size(): number {
    return this.#known.size;
  }

  challenge(
    error: unknown,
    more: Pick<ChallengeOptions, 'scopes' | 'presentedScheme' | 'dpopNonce'>,
  ): Challenge {
    const isUsual = USUAL.some((type) => error instanceof type);
    if (!isUsual || more.dpopNonce !== undefined || this.#options.verboseErrors === true) {
      return toChallenge(error, { ...this.#options, ...more });
    }
    const { presentedScheme = '', scopes = [] } = more;
    const key = `${answerFor(error).error} ${presentedScheme} ${scopes.join(' ')}`;
    const { status, headers, body } = this.#known.get(key) ?? this.#remember(key, error, more);
    return { status, headers: { ...headers }, body: { ...body } };
  }

  #remember(key: string, error: unknown, more: ChallengeOptions): Challenge {
    const challenge = toChallenge(error, { ...this.#options, ...more });
    if (this.#known.size >= MAX_CHALLENGES) this.#known.clear();
    this.#known.set(key, challenge);
    return challenge;
  }
}
