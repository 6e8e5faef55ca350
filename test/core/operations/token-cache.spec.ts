import { beforeEach, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { TokenResponse } from '../../../src/core/operations/token-response.js';
import { tupleHash } from '../../../src/core/lib/digest.js';
import { FlightCache, TokenCache } from '../../../src/core/operations/token-cache.js';
import { workOf } from '../../support/hostile/work-of.js';
import { jwt, thrownBy } from '../../support/servers/client-setup.js';
import { NOW } from '../../support/tokens/keys-and-tokens.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

let clock: ManualClock;
let cache: TokenCache;
let loads: number;

beforeEach(() => {
  clock = new ManualClock();
  cache = make();
  loads = 0;
});

function make(options: { maxEntries?: number; ttlBufferSeconds?: number } = {}): TokenCache {
  return new TokenCache({
    clock,
    maxEntries: 10_000,
    ttlBufferSeconds: 30,
    defaultTtlSeconds: 3600,
    ...options,
  });
}

function token(accessToken: string, expiresIn?: number, refreshToken?: string): TokenResponse {
  return new TokenResponse({
    accessToken,
    tokenType: 'Bearer',
    expiresIn,
    refreshToken,
    scope: undefined,
    issuedTokenType: undefined,
    raw: {},
  });
}

interface Ask {
  readonly from?: readonly string[];
  readonly expiresIn?: number;
  readonly issue?: string;
  readonly in?: TokenCache;
  readonly signal?: AbortSignal;
}

/** Asks for the token of a key; what comes back is `issue`, or a name that counts. */
async function ask(key: string, { from = [], expiresIn, issue, signal, ...rest }: Ask = {}) {
  const load = async (): Promise<TokenResponse> => token(issue ?? `${key}${++loads}`, expiresIn);
  const wanted = { parts: [key], derivedFrom: from, load };
  return (await (rest.in ?? cache).get(wanted, signal)).accessToken;
}

it('9.25: what has ended is forgotten when it is asked for, also where nothing takes its place', async () => {
  const values = new FlightCache<string>({ clock, maxEntries: 10 });
  const wanted = { key: 'a', derivedFrom: [], keep: () => ({ seconds: 60 }) };
  await values.get({ ...wanted, load: async () => 'value' });
  expect(values.size).toBe(1);
  clock.advance(60);
  await thrownBy(values.get({ ...wanted, load: () => Promise.reject(new Error('down')) }));
  expect(values.size).toBe(0);
});

describe('10.14d: a flight that everybody has left', () => {
  const rejections = unhandledRejections();

  it('may fail, and is nobody’s unhandled rejection', async () => {
    const failing = (signal?: AbortSignal) =>
      cache.get(
        { parts: ['f'], derivedFrom: [], load: () => Promise.reject(new Error('late')) },
        signal,
      );
    const stop = new AbortController();
    const left = thrownBy(failing(stop.signal));
    stop.abort(new Error('enough'));
    expect(String(await left)).toMatch(/enough/);
    const broken = { throwIfAborted: () => undefined } as unknown as AbortSignal;
    await thrownBy(failing(broken));
    await new Promise((resolve) => setImmediate(resolve));
    expect(rejections).toEqual([]);
  });
});

describe('10.14c: evict finds its entries without looking at the others', () => {
  it('costs the same whatever else is in memory', async () => {
    const big = make({ maxEntries: 400_000 });
    const load = (name: string) => async () => token(name, 3600);
    const put = (i: number) =>
      big.get({ parts: [`k${i}`], derivedFrom: [`s${i}`], load: load(`t${i}`) });
    for (let i = 0; i < 2000; i++) await put(i);
    const { steps } = await workOf(() => {
      for (let i = 0; i < 100; i++) big.evict(`t${i}`);
    });
    expect(steps).toBeGreaterThan(100);
    expect(steps).toBeLessThan(100 * 50);
    expect(await ask('k1', { in: big, from: ['s1'] })).toBe('k11');
  });
});

describe('how long a token is kept', () => {
  it('until expires_in less the margin', async () => {
    await ask('a', { expiresIn: 100 });
    clock.advance(69);
    expect(await ask('a')).toBe('a1');
    clock.advance(1);
    expect(await ask('a')).toBe('a2');
  });

  it.each([0, 1, 30])('not at all with expires_in %d', async (expiresIn) => {
    await ask('a', { expiresIn });
    expect(await ask('a')).toBe('a2');
  });

  it('for the default when the server does not say', async () => {
    await ask('a');
    clock.advance(3599);
    expect(await ask('a')).toBe('a1');
    clock.advance(1);
    expect(await ask('a')).toBe('a2');
  });

  it('T49: for a day at most', async () => {
    await ask('a', { expiresIn: Number.MAX_SAFE_INTEGER });
    clock.advance(86_400);
    expect(await ask('a')).toBe('a2');
  });

  it('counts from when it was asked for', async () => {
    const slow = async (): Promise<TokenResponse> => {
      clock.advance(50);
      return token('slow', 100);
    };
    await cache.get({ parts: ['a'], derivedFrom: [], load: slow });
    clock.advance(20);
    expect(await ask('a')).toBe('a1');
  });

  it('T47: never past the subject token', async () => {
    const from = [jwt({ exp: NOW + 60 })];
    await ask('a', { from, expiresIn: 3600 });
    clock.advance(59);
    expect(await ask('a', { from })).toBe('a1');
    clock.advance(1);
    expect(await ask('a', { from })).toBe('a2');
  });

  it('never past the actor token', async () => {
    const from = [jwt({ exp: NOW + 600 }), jwt({ exp: NOW + 60 })];
    await ask('a', { from, expiresIn: 3600 });
    clock.advance(60);
    expect(await ask('a', { from })).toBe('a2');
  });

  it('not at all for a subject that has expired', async () => {
    const from = [jwt({ exp: NOW - 1 })];
    await ask('a', { from, expiresIn: 3600 });
    expect(await ask('a', { from })).toBe('a2');
  });

  it.each([
    ['opaque'],
    ['a.b.c'],
    ['..'],
    [jwt({})],
    [jwt({ exp: 'tomorrow' })],
    [`x.${Buffer.from('null').toString('base64url')}.y`],
  ])('by expires_in alone for a subject that does not say: %s', async (subject) => {
    await ask('a', { from: [subject], expiresIn: 3600 });
    expect(await ask('a', { from: [subject] })).toBe('a1');
  });

  it('F16: steps of the wall clock change nothing for tokens without such a bound', async () => {
    await ask('a', { expiresIn: 100 });
    clock.setWall(NOW - 86_400);
    expect(await ask('a')).toBe('a1');
    clock.advance(70);
    expect(await ask('a')).toBe('a2');
  });

  it('F16: a wall clock that is set forward ends what hangs on a subject', async () => {
    const from = [jwt({ exp: NOW + 60 })];
    await ask('a', { from });
    clock.setWall(NOW + 61);
    expect(await ask('a', { from })).toBe('a2');
  });
});

describe('one flight', () => {
  function slow() {
    let settle: { ok: (value: TokenResponse) => void; fail: (error: unknown) => void };
    let count = 0;
    const load = (): Promise<TokenResponse> => {
      count += 1;
      return new Promise((ok, fail) => (settle = { ok, fail }));
    };
    return {
      get: (signal?: AbortSignal) => cache.get({ parts: ['k'], derivedFrom: ['s'], load }, signal),
      ok: (value: TokenResponse) => settle.ok(value),
      fail: (error: unknown) => settle.fail(error),
      count: () => count,
    };
  }
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('serves all who ask meanwhile', async () => {
    const flight = slow();
    const all = Array.from({ length: 100 }, () => flight.get());
    await tick();
    flight.ok(token('t', 3600));
    expect(new Set((await Promise.all(all)).map(({ accessToken }) => accessToken))).toEqual(
      new Set(['t']),
    );
    expect(flight.count()).toBe(1);
  });

  it('F29: hands one failure to all, and keeps none', async () => {
    const flight = slow();
    const all = Array.from({ length: 1000 }, () => thrownBy(flight.get()));
    await tick();
    const error = new Error('x');
    flight.fail(error);
    expect(new Set(await Promise.all(all))).toEqual(new Set([error]));
    expect(await ask('k')).toBe('k1');
  });

  it('F28: goes on for the others when one gives up', async () => {
    const flight = slow();
    const stop = new AbortController();
    const [impatient, patient] = [thrownBy(flight.get(stop.signal)), flight.get()];
    await tick();
    const reason = new Error('enough');
    stop.abort(reason);
    expect(await impatient).toBe(reason);
    flight.ok(token('t', 3600));
    expect((await patient).accessToken).toBe('t');
    expect(flight.count()).toBe(1);
  });

  it('F26: fails without an unhandled rejection when nobody waits any more', async () => {
    const flight = slow();
    const stop = new AbortController();
    const only = thrownBy(flight.get(stop.signal));
    await tick();
    stop.abort();
    await only;
    flight.fail(new Error('late'));
    await tick();
    expect(await ask('k')).toBe('k1');
  });

  it('does not start for a caller who has given up', async () => {
    await thrownBy(ask('k', { signal: AbortSignal.abort() }));
    expect(loads).toBe(0);
  });

  it('ends also when the load throws at once', async () => {
    const broken = (): Promise<TokenResponse> => {
      throw new TypeError('x');
    };
    await thrownBy(cache.get({ parts: ['k'], derivedFrom: [], load: broken }));
    expect(await ask('k')).toBe('k1');
  });

  it('is not kept when its subject is evicted meanwhile', async () => {
    const flight = slow();
    const before = flight.get();
    await tick();
    cache.evict('s');
    expect(await ask('k')).toBe('k1'); // a flight of its own
    flight.ok(token('stale', 3600));
    expect((await before).accessToken).toBe('stale');
    expect(await ask('k')).toBe('k1');
  });
});

describe('evict', () => {
  it('drops the token itself, what was derived from it, and from that', async () => {
    await ask('a', { from: ['subject'], issue: 'A' });
    await ask('b', { from: ['A'], issue: 'B' });
    await ask('c', { from: ['other', 'B'], issue: 'C' });
    await ask('d', { from: ['other'], issue: 'D' });
    cache.evict('subject');
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((key) => ask(key)))).toEqual([
      'a1',
      'b2',
      'c3',
      'D',
    ]);
  });

  it('9.25: drops a whole line of descent, whatever was kept first', async () => {
    const line = ['subject', 'A', 'B', 'C', 'D'];
    const orders = [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [2, 0, 3, 1],
    ];
    for (const order of orders) {
      cache = make();
      for (const at of order) {
        await ask(`k${at}`, { from: [line[at] ?? ''], issue: line[at + 1] ?? '' });
      }
      await ask('other', { from: ['else'], issue: 'kept' });
      cache.evict('subject');
      for (const at of order) expect(await ask(`k${at}`)).toMatch(/^k\d+$/);
      expect(await ask('other')).toBe('kept');
    }
  });

  it('drops by the refresh token', async () => {
    const load = async (): Promise<TokenResponse> => token('access', 3600, 'refresh');
    await cache.get({ parts: ['a'], derivedFrom: [], load });
    cache.evict('refresh');
    expect(await ask('a')).toBe('a1');
  });

  it('leaves a newer token alone', async () => {
    await ask('a', { issue: 'old' });
    cache.evict('old');
    await ask('a', { issue: 'new' });
    cache.evict('old');
    expect(await ask('a')).toBe('new');
  });
});

describe('the bound', () => {
  it.each([1, 2, 3, 10, 1000])('%d entries', async (maxEntries) => {
    const bounded = new FlightCache<string>({ clock, maxEntries });
    for (let i = 0; i < 3 * maxEntries; i++) {
      const load = async (): Promise<string> => 'x';
      await bounded.get({ key: `${i}`, derivedFrom: [], load, keep: () => ({ seconds: 60 }) });
    }
    expect(bounded.size).toBeLessThanOrEqual(Math.max(2, maxEntries));
    expect(bounded.size).toBeGreaterThanOrEqual(Math.floor(maxEntries / 2));
  });

  it('keeps what is in use', async () => {
    const small = make({ maxEntries: 10 });
    await ask('used', { in: small, issue: 'first' });
    for (let i = 0; i < 100; i++) {
      await ask(`other-${i}`, { in: small });
      expect(await ask('used', { in: small })).toBe('first');
    }
  });

  it('0 keeps nothing', async () => {
    const none = make({ maxEntries: 0 });
    await ask('a', { in: none });
    expect(await ask('a', { in: none })).toBe('a2');
  });
});

describe('the key', () => {
  it('T47, P29: different lists have different keys', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary-ascii' }),
      fc.constantFrom('', ':', '1:', '1:a', ' ', ',', '|', '\0', '10:'),
    );
    const list = fc.array(text, { maxLength: 6 });
    fc.assert(
      fc.property(list, list, (a, b) => {
        const same = a.length === b.length && a.every((part, i) => part === b[i]);
        expect(tupleHash(a) === tupleHash(b)).toBe(same);
      }),
      { numRuns: 5_000 },
    );
  });

  it('cannot be made equal by moving text between neighbours', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1 }), { minLength: 2 }),
        fc.nat(),
        (parts, at) => {
          const joined = parts.join('');
          const cut = at % (joined.length + 1);
          const moved = [joined.slice(0, cut), joined.slice(cut)];
          const same = parts.length === 2 && parts[0] === moved[0];
          expect(tupleHash(parts) === tupleHash(moved)).toBe(same);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('holds nothing of what it stands for', () => {
    expect(tupleHash(['canary-subject-token'])).toMatch(/^[\w-]{43}$/);
  });
});
