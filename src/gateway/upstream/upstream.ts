import type { AuthplaneClient } from '../../core/client.js';
import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { untilAborted } from '../../core/lib/deadline.js';
import { OutboundHttpError } from '../../core/http/errors.js';
import type { Clock } from '../../core/lib/clock.js';
import { isNonceDemand, sentWithNonce } from '../../core/dpop/nonce-retry.js';
import type { ProofSigner } from '../../core/dpop/signer.js';
import { transportTo, type UpstreamTransport } from '../memory/memory-servers.js';
import { UpstreamNames } from '../names/upstream-names.js';
import type { UpstreamToken } from '../options/token-strategy.js';
import type { ResolvedUpstream } from '../options/upstream-options.js';
import { RpcError, UpstreamError, type UpstreamErrorCode } from '../wire/gateway-errors.js';
import { INVALID_PARAMS } from '../wire/json-rpc-answer.js';
import { type AnswerBody, discard, mediaType, secondsUntilRetry } from '../wire/answer-head.js';
import { holdsToken } from '../wire/upstream-request.js';
import { Bulkhead } from './bulkhead.js';
import { CallDeadline } from './call-deadline.js';
import { type Health, type Passage, UpstreamBreaker } from './upstream-breaker.js';
import { type TokenNeed, UpstreamTokens } from './upstream-tokens.js';

/** What all upstreams of a gateway share. */
export interface UpstreamDependencies {
  readonly client: Pick<AuthplaneClient, 'exchange' | 'clientCredentials' | 'evictRefused'>;
  readonly dpop: ProofSigner | undefined;
  readonly clock: Clock;
  readonly devMode: boolean;
  readonly perCallerInFlight: number;
  readonly maxNameLength: number;
}

/** One request to an upstream. */
export interface UpstreamCall extends TokenNeed {
  readonly method: 'POST' | 'GET' | 'DELETE';
  /** Complete but for what proves who calls. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whose share of the upstream it takes. */
  readonly callerKey: string;
  /** Until the answer begins, and between any two bytes of it; `undefined`: a stream without an end. */
  readonly timeoutMs: number | undefined;
  /** Belongs to a call that has its place, which waits for it; its answer has no content. Default `false`. */
  readonly isPartOfCall?: boolean;
  /** Asks for something, and does nothing. Default `false`. */
  readonly isRepeatable?: boolean;
}

/** An answer whose body is still to come. */
export interface UpstreamReply {
  readonly status: number;
  readonly isEvents: boolean;
  /** Has to be read or destroyed: the call takes its place until then. */
  readonly body: AnswerBody;
}

const LISTEN_PATIENCE_MS = 30_000;

/** One MCP server behind the gateway, as long as its options are the same. */
export class Upstream {
  readonly options: ResolvedUpstream;
  /** Its tools are those of the gateway itself. */
  readonly isLocal: boolean;
  readonly names: UpstreamNames;
  readonly breaker: UpstreamBreaker;
  /** Of the last call that failed; cleared by one that does not. */
  lastError: string | undefined;
  /** How often it took a request of 2026-07-28 as one that cannot be read. */
  misunderstandings = 0;
  readonly #bulkhead: Bulkhead;
  readonly #streams: UpstreamTransport;
  readonly #tokens: UpstreamTokens;
  readonly #dpop: ProofSigner | undefined;
  readonly #url: string;

  /** @param local the gateway itself, whose tools need no way out. */
  constructor(
    options: ResolvedUpstream,
    dependencies: UpstreamDependencies,
    local?: UpstreamTransport,
  ) {
    const { client, dpop, clock, devMode, perCallerInFlight, maxNameLength } = dependencies;
    const { url, maxInFlight, maxQueued } = options;
    this.options = options;
    this.names = new UpstreamNames(options, maxNameLength);
    this.breaker = new UpstreamBreaker(options.breaker, clock);
    this.#bulkhead = new Bulkhead({ maxInFlight, maxQueued, perCaller: perCallerInFlight });
    this.isLocal = local !== undefined;
    this.#streams = local ?? transportTo(options, devMode);
    this.#tokens = new UpstreamTokens(client, options);
    this.#dpop = dpop;
    this.#url = new URL(url).href;
  }

  get name(): string {
    return this.options.name;
  }

  /** Calls that are under way. */
  get inFlight(): number {
    return this.#bulkhead.inFlight;
  }

  /**
   * The answer once its status is known: of any kind but 401, redirects, failures of the server, and
   * what is neither JSON nor an event stream.
   *
   * @throws RpcError for a request that holds the inbound token
   * @throws UpstreamError, what the token strategy throws, and the reason of the signal
   */
  async call(call: UpstreamCall): Promise<UpstreamReply> {
    if (holdsToken(call, call.caller.token)) throw tokenInRequest();
    const passage = this.#enterBreaker();
    let leave: (() => void) | undefined;
    const progress = { hasLeft: false };
    const deadline = new CallDeadline(call.signal, () =>
      this.error('upstream_timeout', SILENT, { maybeExecuted: progress.hasLeft }),
    );
    try {
      leave = await this.#enterBulkhead(call);
      deadline.begin(call.timeoutMs ?? LISTEN_PATIENCE_MS);
      const body = await this.#authorized(call, deadline.signal, progress);
      const reply = this.#usable(body, passage, call);
      deadline.follow(body, call.timeoutMs);
      body.once('close', () => leave?.());
      this.lastError = undefined;
      return reply;
    } catch (error) {
      deadline.end();
      leave?.();
      throw this.#failure(error, call, passage);
    }
  }

  /** No new connections; those that are in use end with their calls. */
  close(): void {
    this.#streams.close();
  }

  error(
    code: UpstreamErrorCode,
    reason: string,
    { cause, retryAfterSeconds, status, maybeExecuted = true }: FailureDetails,
  ): UpstreamError {
    return new UpstreamError(`${this.name}: ${reason}`, {
      code,
      upstream: this.name,
      maybeExecuted,
      status,
      ...(cause === undefined ? {} : { cause }),
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    });
  }

  #enterBreaker(): Passage {
    const passage = this.breaker.enter();
    if (passage !== undefined) return passage;
    throw this.error('upstream_unavailable', 'it has failed several times and is spared', {
      retryAfterSeconds: this.breaker.secondsLeft,
      maybeExecuted: false,
    });
  }

  /** What ends by itself takes a place, if it has none. */
  #enterBulkhead(call: UpstreamCall): Promise<() => void> | undefined {
    const { callerKey, signal, timeoutMs: patienceMs, isPartOfCall = false } = call;
    if (patienceMs === undefined || isPartOfCall) return undefined;
    const reason = 'too many calls are under way; raise maxInFlight if it can take more';
    const details = { retryAfterSeconds: 1, maybeExecuted: false };
    return this.#bulkhead.enter({
      caller: callerKey,
      patienceMs,
      signal,
      busyError: () => this.error('upstream_busy', reason, details),
    });
  }

  /** A 401 costs the token, and one more attempt with another one. */
  async #authorized(
    call: UpstreamCall,
    signal: AbortSignal,
    progress: { hasLeft: boolean },
  ): Promise<AnswerBody> {
    const need = { ...call, signal };
    const token = await untilAborted(this.#tokens.tokenFor(need), signal);
    progress.hasLeft = true;
    const first = await this.#proven(call, token, signal);
    if (first.statusCode !== 401) return first;
    discard(first);
    const next = token && (await this.#tokens.tokenAfter(token, need));
    const second = next && (await this.#proven(call, next, signal));
    if (second !== undefined && second.statusCode !== 401) return second;
    if (second !== undefined) discard(second);
    throw this.error('upstream_refused', 'it answers 401 to its token', { maybeExecuted: false });
  }

  /** RFC 9449 §9: a demand for a nonce is met once. */
  #proven(
    call: UpstreamCall,
    token: UpstreamToken | undefined,
    signal: AbortSignal,
  ): Promise<AnswerBody> {
    return sentWithNonce<AnswerBody>({
      url: this.#url,
      signer: this.#dpop,
      send: (nonce) => this.#send(call, token, signal, nonce),
      nonceHeader: ({ headers }) => lineOf(headers['dpop-nonce']),
      isDemand: ({ statusCode, headers }) =>
        token?.tokenType === 'DPoP' && isNonceDemand(statusCode, headers['www-authenticate']),
      discard: async (body) => discard(body),
    });
  }

  async #send(
    { method, headers, body, isRepeatable, caller }: UpstreamCall,
    token: UpstreamToken | undefined,
    signal: AbortSignal,
    nonce?: string,
  ): Promise<AnswerBody> {
    const proof = token?.tokenType === 'DPoP' ? await this.#proof(method, token, nonce) : undefined;
    return this.#streams.send({
      caller,
      method,
      headers: {
        ...headers,
        ...(token === undefined
          ? {}
          : { authorization: `${token.tokenType ?? 'Bearer'} ${token.accessToken}` }),
        ...(proof === undefined ? {} : { dpop: proof }),
      },
      signal,
      ...(body === undefined ? {} : { body }),
      ...(isRepeatable === undefined ? {} : { isRepeatable }),
    });
  }

  #proof(method: string, { accessToken }: UpstreamToken, nonce?: string): Promise<string> {
    if (this.#dpop === undefined) {
      throw new ConfigurationError(
        `gateway: the token for ${this.name} is bound to a key (DPoP); set the option dpop of AuthplaneModule`,
      );
    }
    const bound = { method, url: this.#url, accessToken };
    return this.#dpop.proof(nonce === undefined ? bound : { ...bound, nonce });
  }

  /** Reads the status, which tells whether there is anything to pass on. */
  #usable(
    body: AnswerBody,
    passage: Passage,
    { isPartOfCall = false }: UpstreamCall,
  ): UpstreamReply {
    const status = body.statusCode ?? 0;
    const problem =
      this.#statusProblem(body, status) ??
      (isPartOfCall ? undefined : this.#contentProblem(body, status));
    if (problem !== undefined) {
      discard(body);
      throw problem;
    }
    passage.leave('up');
    return { status, body, isEvents: mediaType(body) === 'text/event-stream' };
  }

  #statusProblem({ headers }: AnswerBody, status: number): UpstreamError | undefined {
    if (status >= 500) return this.error('upstream_failed', `it answers ${status}`, { status });
    if (status === 429) {
      const retryAfterSeconds = secondsUntilRetry(headers['retry-after']);
      return this.error('upstream_rate_limited', 'it answers 429', {
        retryAfterSeconds,
        maybeExecuted: false,
      });
    }
    if (status < 200 || (status >= 300 && status < 400)) {
      return this.error('upstream_failed', `it answers ${status}; set its final URL`, {});
    }
    return undefined;
  }

  #contentProblem({ headers }: AnswerBody, status: number): UpstreamError | undefined {
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      return this.error('upstream_failed', 'its answer is compressed, although it must not be', {});
    }
    return status === 200 && !MESSAGES.has(mediaType({ headers }))
      ? this.error('upstream_failed', 'its answer is neither JSON nor an event stream', {})
      : undefined;
  }

  #failure(error: unknown, { signal, timeoutMs }: UpstreamCall, passage: Passage): unknown {
    if (signal.aborted) {
      passage.leave('unknown');
      return signal.reason;
    }
    const failure = error instanceof OutboundHttpError ? this.#connectionError(error) : error;
    const isQuietStream = timeoutMs === undefined && isTimeout(failure); // it may begin with its first event
    passage.leave(isQuietStream ? 'unknown' : healthAfter(failure));
    if (failure instanceof UpstreamError && !isQuietStream) this.lastError = failure.code;
    return failure;
  }

  #connectionError(error: OutboundHttpError): UpstreamError {
    const details = { cause: error, maybeExecuted: error.reason === 'connection' };
    return this.error('upstream_failed', error.message, details);
  }
}

interface FailureDetails {
  readonly cause?: unknown;
  readonly retryAfterSeconds?: number | undefined;
  readonly maybeExecuted?: boolean;
  readonly status?: number;
}

/** A header that came once. */
function lineOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isTimeout(error: unknown): boolean {
  return error instanceof UpstreamError && error.code === 'upstream_timeout';
}

function tokenInRequest(): RpcError {
  const problem = 'it holds the access token of this request, which must not be passed on';
  return new RpcError(200, { code: INVALID_PARAMS, message: `Invalid params: ${problem}` });
}

const SILENT = 'it did not answer in time';
const MESSAGES: ReadonlySet<string> = new Set(['application/json', 'text/event-stream']);

/** Only what the upstream itself failed at counts: neither refusals nor what came before it. */
function healthAfter(error: unknown): Health {
  if (!(error instanceof UpstreamError)) return 'unknown';
  if (error.code === 'upstream_rate_limited') return 'up';
  if (error.code === 'upstream_refused') return error.cause === undefined ? 'up' : 'unknown';
  if (error.code === 'upstream_timeout' && !error.maybeExecuted) return 'unknown';
  return error.code === 'upstream_busy' ? 'unknown' : 'down';
}
