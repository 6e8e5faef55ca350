import { describe, expect, it } from 'vitest';
import { clientAuthentication } from '../../src/core/calls/client-authentication.js';
import { AuthplaneError } from '../../src/core/errors/authplane-error.js';
import { CircuitOpenError } from '../../src/core/errors/server-errors.js';
import { ConsentRequiredError } from '../../src/core/errors/oauth-errors.js';
import { TokenExpiredError } from '../../src/core/errors/token-errors.js';
import type { HttpAnswer } from '../../src/core/http/answer.js';
import { resolveClientOptions } from '../../src/core/options.js';
import { OutboundHttpError } from '../../src/core/http/errors.js';
import type { ExchangeRequest } from '../../src/core/operations/exchange.js';
import { TokenOperations } from '../../src/core/operations/token-operations.js';
import { ManualClock } from '../support/tokens/manual-clock.js';
import { onUnhandledRejection } from '../support/tokens/unhandled-rejections.js';
import { heapAfterCollection } from '../support/time/collect-garbage.js';
import { seededRandom } from '../support/text/seeded-random.js';

/**
 * A million exchanges of a thousand users (`AUTHPLANE_STRESS`, else fewer) through the real code path,
 * from `exchange` down to the form that would be posted. The authorization server is a function: it answers late, refuses,
 * breaks, and writes into each token for whom and for what it is.
 */

const isFull = process.env['AUTHPLANE_STRESS'] !== undefined;
const CALLS = isFull ? 1_000_000 : 60_000;
const USERS = 1_000;
const CALLERS = 500;
const MAX_ENTRIES = 4_000;
const RESOURCES = ['https://a.example.com/', 'https://a.example.com', 'b', '1', '11'];
const SCOPES = ['read', 'write', 'read write', undefined];
const LIFETIMES = [0, 29, 31, 60, 600, 3600, undefined];

/** What the authorization server writes into a token. */
interface Issued {
  /** Of the exact tokens and parameters that were sent. */
  readonly identity: string;
  /** When it was asked for, on the monotonic clock and in the order of events. */
  readonly issuedAt: number;
  readonly event: number;
  /** The turn of the event loop in which it was answered. */
  readonly turn: number;
  readonly lifetime?: number | undefined;
}

interface Tally {
  right: number;
  foreign: number;
  stale: number;
  evicted: number;
  refused: number;
  consent: number;
  broken: number;
  open: number;
  gaveUp: number;
  unexpected: number;
}

describe('T47: exchanges of a thousand users', () => {
  it('never give a user the token of another, nor one that has ended or was evicted', async () => {
    const rejections: unknown[] = [];
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0; // a hundred thousand stacks that nobody reads take their time
    const stopListening = onUnhandledRejection((reason) => rejections.push(reason));
    try {
      const simulation = new Simulation();
      const before = heapAfterCollection();
      await simulation.run();
      const { tally } = simulation;

      expect({ foreign: tally.foreign, stale: tally.stale, evicted: tally.evicted }).toEqual({
        foreign: 0,
        stale: 0,
        evicted: 0,
      });
      expect(tally.unexpected).toBe(0);
      expect(Object.values(tally).reduce((sum, count) => sum + count)).toBe(CALLS);
      expect(rejections).toEqual([]);

      // The run was what it claims to be.
      expect(tally.right).toBeGreaterThan(CALLS / 2);
      for (const kind of ['refused', 'consent', 'broken', 'open', 'gaveUp'] as const) {
        expect([kind, tally[kind] > CALLS / 1_000]).toEqual([kind, true]);
      }
      expect(simulation.posted).toBeGreaterThan(CALLS / 100);
      expect(simulation.posted).toBeLessThan(CALLS);
      expect(simulation.evictions).toBeGreaterThan(CALLS / 10_000);

      // Bounded: of everything ever asked for only so much is still answered from memory.
      const kept = await simulation.keptTokens();
      expect(kept).toBeGreaterThan(MAX_ENTRIES / 10);
      expect(kept).toBeLessThanOrEqual(MAX_ENTRIES);
      expect(heapAfterCollection() - before).toBeLessThan(40 * 2 ** 20);
      expect(simulation.posted).toBeGreaterThan(0); // still in use, so nothing of it was collected
    } finally {
      stopListening();
      Error.stackTraceLimit = stackTraceLimit;
    }
  }, 1_800_000); // about a minute of work; a crowded machine may take long

  it('an unhandled rejection would have been seen', async () => {
    const seen: unknown[] = [];
    const stopListening = onUnhandledRejection((reason) => seen.push(reason));
    try {
      void Promise.reject(new Error('nobody handles me'));
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      stopListening();
    }
    expect(seen).toEqual([expect.objectContaining({ message: 'nobody handles me' })]);
  });
});

class Simulation {
  readonly tally: Tally = {
    right: 0,
    foreign: 0,
    stale: 0,
    evicted: 0,
    refused: 0,
    consent: 0,
    broken: 0,
    open: 0,
    gaveUp: 0,
    unexpected: 0,
  };
  posted = 0;
  evictions = 0;
  readonly #random = seededRandom(20_261_121);
  readonly #clock = new ManualClock();
  readonly #subjects: string[] = [];
  /** When those of them that are JWTs end. */
  readonly #expiries = new Map<string, number>();
  /** Event number of the last eviction of each subject token. */
  readonly #evictedAt = new Map<string, number>();
  readonly #asked = new Map<string, ExchangeRequest>();
  #event = 0;
  #turn = 0;
  #done = 0;
  #isDown = false;
  readonly #operations = new TokenOperations({
    ...resolveClientOptions({ issuer: 'https://auth.example.com' }),
    endpoint: async (name) => `https://auth.example.com/${name}`,
    http: { postForm: (url, form) => this.#answer(url, new URLSearchParams(form)) },
    clock: this.#clock,
    authentication: clientAuthentication({ clientId: 'me', clientSecret: 'secret' }),
    cacheMaxEntries: MAX_ENTRIES,
  });

  constructor() {
    for (let user = 0; user < USERS; user++) this.#subjects.push(this.#newSubject(user));
  }

  async run(): Promise<void> {
    const counting = setInterval(() => this.#turn++, 1);
    await Promise.all(Array.from({ length: CALLERS }, () => this.#caller()));
    clearInterval(counting);
  }

  /** How many requests of the run are answered without the authorization server. */
  async keptTokens(): Promise<number> {
    this.#isDown = true;
    let kept = 0;
    for (const request of this.#asked.values()) {
      await this.#operations.exchange(request).then(
        () => kept++,
        () => undefined,
      );
    }
    this.#asked.clear();
    return kept;
  }

  async #caller(): Promise<void> {
    while (this.#done < CALLS) {
      const call = this.#done++;
      this.#letTimePass(call);
      await this.#call();
      if (call % 64 === 0) await turn(); // or callers with cached tokens would starve all others
    }
  }

  #letTimePass(call: number): void {
    // Ten outages: the breaker opens, and closes again.
    this.#isDown = call % (CALLS / 10) > (CALLS / 10) * 0.98;
    if (this.#chance(0.01)) this.#clock.advance(1);
    if (this.#chance(0.001)) this.#evict();
    if (this.#chance(0.003)) {
      const user = this.#below(USERS);
      this.#subjects[user] = this.#newSubject(user);
    }
  }

  #evict(): void {
    const subject = this.#subjects[this.#below(USERS)] ?? '';
    this.evictions++;
    this.#evictedAt.set(subject, this.#event++);
    if (this.#chance(0.5)) this.#operations.evict(subject);
    else this.#operations.revoke(subject).catch(() => undefined); // forgets in any case
  }

  async #call(): Promise<void> {
    const request = this.#request();
    const key = identityOf(request);
    this.#asked.set(key, request);
    const signal = this.#chance(0.05) ? this.#impatient() : undefined;
    const begun = {
      elapsed: this.#clock.elapsed(),
      now: this.#clock.now(),
      event: this.#event++,
      turn: this.#turn,
    };
    try {
      const asked = signal === undefined ? request : { ...request, signal };
      const { accessToken } = await this.#operations.exchange(asked);
      this.#judge(accessToken, key, request, begun);
    } catch (error) {
      const isOver = error instanceof TokenExpiredError && this.#hasEnded(request.subjectToken);
      const gaveUp = signal !== undefined && error === signal.reason;
      this.tally[gaveUp ? 'gaveUp' : isOver ? 'refused' : kindOf(error)] += 1;
    }
  }

  #hasEnded(subjectToken: string): boolean {
    return this.#clock.now() >= (this.#expiries.get(subjectToken) ?? Infinity);
  }

  #judge(
    accessToken: string,
    key: string,
    { subjectToken }: ExchangeRequest,
    begun: { elapsed: number; now: number; event: number; turn: number },
  ): void {
    const issued = JSON.parse(accessToken) as Issued;
    if (issued.identity !== key) {
      this.tally.foreign += 1;
      return;
    }
    const { issuedAt, lifetime, event } = issued;
    const kept = lifetime === undefined ? 3600 : lifetime - 30; // the default, and the margin
    // Else it may come from a flight that was in the air when the call began, which is as fresh.
    const fromMemory = issued.turn < begun.turn;
    const ended = fromMemory && begun.elapsed >= issuedAt + kept;
    const subjectEnded = fromMemory && begun.now >= (this.#expiries.get(subjectToken) ?? Infinity);
    const evictedAt = this.#evictedAt.get(subjectToken) ?? -1;
    if (ended || subjectEnded) this.tally.stale += 1;
    else if (evictedAt < begun.event && event < evictedAt) this.tally.evicted += 1;
    else this.tally.right += 1;
  }

  #request(): ExchangeRequest {
    // A tenth of the users makes most of the calls; else nothing would come from memory.
    const user = this.#chance(0.9) ? this.#below(USERS / 10) : this.#below(USERS);
    const subjectToken = this.#subjects[user] ?? '';
    const scope = pick(SCOPES, this.#random());
    const target = pick(RESOURCES, this.#random() ** 2);
    const kind = this.#random();
    return {
      subjectToken,
      ...(kind < 0.9 ? { resources: [target] } : { audiences: [target] }),
      ...(scope === undefined ? {} : { scope }),
      ...(kind < 0.05 ? { actorToken: this.#subjects[(user + 1) % USERS] ?? '' } : {}),
    };
  }

  /** A JWT that ends some time, or an opaque token; neighbours differ by a digit at the end. */
  #newSubject(user: number): string {
    const serial = `user-${user}`;
    if (user % 3 === 0) return `${serial}${this.#random() < 0.5 ? '' : `.${this.#event++}`}`;
    const exp = Math.floor(this.#clock.now()) + pick([100, 5_000, 20_000], this.#random());
    const claims = Buffer.from(JSON.stringify({ sub: serial, exp })).toString('base64url');
    const subject = `e30.${claims}.${this.#event++}`;
    this.#expiries.set(subject, exp);
    return subject;
  }

  #impatient(): AbortSignal {
    const stop = new AbortController();
    const giveUp = (): void => stop.abort(new Error('gave up'));
    if (this.#chance(0.3)) giveUp();
    else if (this.#chance(0.5)) setImmediate(giveUp);
    else queueMicrotask(giveUp);
    return stop.signal;
  }

  async #answer(url: string, form: URLSearchParams): Promise<HttpAnswer> {
    this.posted++;
    const event = this.#event++;
    const issuedAt = this.#clock.elapsed();
    const chance = this.#random();
    if (this.#chance(0.5)) await turn();
    if (this.#chance(0.02)) await new Promise((resolve) => setTimeout(resolve, this.#below(8)));
    if (this.#isDown || chance < 0.02) {
      if (this.#chance(0.5)) return answer(500, { error: 'server_error' });
      throw new OutboundHttpError('the connection broke', { reason: 'connection' });
    }
    if (url.endsWith('revocation_endpoint')) return answer(200, {});
    if (chance < 0.04) return answer(400, { error: 'invalid_grant' });
    if (chance < 0.06) return answer(400, { error: 'consent_required' });
    const identity = identityOf(sentRequest(form));
    const lifetime = pick(LIFETIMES, this.#random() ** 0.5);
    const issued: Issued = { identity, issuedAt, event, turn: this.#turn, lifetime };
    return answer(200, {
      access_token: JSON.stringify(issued),
      token_type: 'Bearer',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      ...(lifetime === undefined ? {} : { expires_in: lifetime }),
    });
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }
}

/** Everything that decides which token it is. As JSON, so unlike the key of the cache. */
function identityOf(request: ExchangeRequest): string {
  const { subjectToken, actorToken, resources = [], audiences = [], scope } = request;
  const parts = [subjectToken, actorToken ?? null, resources, audiences, scope ?? null];
  return JSON.stringify(parts).replace(' ', '+'); // of "read write": no token has a blank
}

/** The request as it arrives at the other side. */
function sentRequest(form: URLSearchParams): ExchangeRequest {
  const actorToken = form.get('actor_token');
  const scope = form.get('scope');
  return {
    subjectToken: form.get('subject_token') ?? '',
    ...(actorToken === null ? {} : { actorToken }),
    resources: form.getAll('resource'),
    audiences: form.getAll('audience'),
    ...(scope === null ? {} : { scope }),
  };
}

function kindOf(error: unknown): keyof Tally {
  if (!(error instanceof AuthplaneError)) return 'unexpected';
  if (error instanceof CircuitOpenError) return 'open';
  if (error instanceof ConsentRequiredError) return 'consent';
  if (error.code === 'invalid_grant') return 'refused';
  const isBroken = ['server_error', 'authorization_server_unavailable'].includes(error.code);
  return isBroken ? 'broken' : 'unexpected';
}

function answer(status: number, json: object): HttpAnswer {
  return { status, headers: {}, json };
}

function pick<T>(values: readonly T[], random: number): T {
  const value = values[Math.min(values.length - 1, Math.floor(random * values.length))];
  return value as T; // in range; undefined only where it is one of the values
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
