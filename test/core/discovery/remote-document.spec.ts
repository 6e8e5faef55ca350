import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type AuthorizationServerUnavailableError,
  JWKSFetchError,
} from '../../../src/core/errors/server-errors.js';
import {
  DocumentRefused,
  RemoteDocument,
  type RemoteDocumentOptions,
} from '../../../src/core/discovery/remote-document.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

const opened: RemoteDocument<string>[] = [];

afterEach(() => {
  for (const document of opened.splice(0)) document.close();
  vi.useRealTimers();
});

/** A document whose loads the test answers one by one. */
function setUp(options: Partial<RemoteDocumentOptions<string>> = {}) {
  const clock = new ManualClock();
  const loads: { answer: (value: string) => void; fail: (cause: unknown) => void }[] = [];
  const failures: AuthorizationServerUnavailableError[] = [];
  const document = new RemoteDocument<string>({
    clock,
    refreshSeconds: 100,
    maxStaleSeconds: 50,
    load: () =>
      new Promise((resolve, reject) => {
        loads.push({ answer: resolve, fail: reject });
      }),
    errorClass: JWKSFetchError,
    onBackgroundFailure: (error) => failures.push(error),
    ...options,
  });
  opened.push(document);
  const loaded = async (value: string) => {
    const flight = document.reload();
    loads.at(-1)?.answer(value);
    await flight;
  };
  const failed = async (cause: unknown = new Error('down')) => {
    const flight = document.reload().catch((error: unknown) => error);
    loads.at(-1)?.fail(cause);
    return (await flight) as AuthorizationServerUnavailableError;
  };
  return { clock, loads, failures, document, loaded, failed };
}

/** Seconds until fetching is allowed again, by moving the clock there. */
function pauseOf({ clock, document }: ReturnType<typeof setUp>): number {
  const start = clock.elapsed();
  while (document.pausedBy !== undefined) clock.advance(0.001);
  return clock.elapsed() - start;
}

describe('loading', () => {
  it('one flight for everybody who waits', async () => {
    const { document, loads } = setUp();
    const waiting = [document.get(), document.get(), document.reload(), document.get()];
    expect(document.loading).toBe(true);
    expect(loads).toHaveLength(1);
    loads[0]?.answer('a');
    const answers = waiting.map((one) => Promise.resolve(one));
    expect(await Promise.all(answers)).toEqual(['a', 'a', 'a', 'a']);
    expect(document.loading).toBe(false);
    expect(loads).toHaveLength(1);
  });

  it('F29: a flight that fails, fails for all with one error of the given class', async () => {
    const { document, loads } = setUp();
    const waiting = Promise.allSettled([document.get(), document.get(), document.get()]);
    const cause = new Error('down');
    loads[0]?.fail(cause);
    const reasons = (await waiting).map((result) =>
      result.status === 'rejected' ? (result.reason as unknown) : undefined,
    );
    expect(reasons[0]).toBeInstanceOf(JWKSFetchError);
    expect(reasons[0]).toMatchObject({ message: 'down', cause, wrongServer: false });
    expect(new Set(reasons).size).toBe(1);
  });

  it('an error of the family keeps its class', async () => {
    const { failed } = setUp();
    const error = new JWKSFetchError('as it is', { retryAfterSeconds: 9 });
    expect(await failed(error)).toBe(error);
  });

  it('a refused document says whether it is the wrong server', async () => {
    const { failed } = setUp();
    expect(await failed(new DocumentRefused('x', { wrongServer: true }))).toMatchObject({
      wrongServer: true,
    });
    expect(await failed(new DocumentRefused('x'))).toMatchObject({ wrongServer: false });
  });

  it('a copy in hand is handed out without a load', async () => {
    const { document, loads, loaded } = setUp();
    await loaded('a');
    expect([await document.get(), await document.get(), document.peek()]).toEqual(['a', 'a', 'a']);
    expect(loads).toHaveLength(1);
  });

  it('each load sees the copy before it, and each copy put in use is told of', async () => {
    const told: [string, string | undefined][] = [];
    const previous: (string | undefined)[] = [];
    let count = 0;
    const { document } = setUp({
      load: (before) => {
        previous.push(before);
        return Promise.resolve(`copy ${++count}`);
      },
      onLoaded: (value, before) => told.push([value, before]),
    });
    await document.reload();
    await document.reload();
    expect(previous).toEqual([undefined, 'copy 1']);
    expect(told).toEqual([
      ['copy 1', undefined],
      ['copy 2', 'copy 1'],
    ]);
  });
});

describe('age', () => {
  it('a copy is used until refresh age and stale limit have passed', async () => {
    const { clock, document, loaded } = setUp();
    expect([document.peek(), document.ageSeconds]).toEqual([undefined, Infinity]);
    await loaded('a');
    clock.advance(150);
    expect([document.peek(), document.ageSeconds]).toEqual(['a', 150]);
    clock.advance(0.001);
    expect(document.peek()).toBeUndefined();
  });

  it('past its refresh age it is handed out at once and replaced behind the scenes', async () => {
    const { clock, document, loads, loaded } = setUp();
    await loaded('a');
    clock.advance(100);
    expect(await document.get()).toBe('a');
    expect(loads).toHaveLength(1);
    clock.advance(0.001);
    expect([await document.get(), await document.get()]).toEqual(['a', 'a']);
    expect(loads).toHaveLength(2);
    loads[1]?.answer('b');
    await document.reload();
    expect(await document.get()).toBe('b');
  });

  it('past the stale limit callers wait for a load', async () => {
    const { clock, document, loads, loaded } = setUp();
    await loaded('a');
    clock.advance(151);
    const waiting = document.get();
    loads[1]?.answer('b');
    expect(await waiting).toBe('b');
  });

  it('F16: it follows the monotonic clock, not the one on the wall', async () => {
    const { clock, document, loaded } = setUp();
    await loaded('a');
    clock.setWall(clock.now() + 1_000_000);
    expect([document.peek(), document.ageSeconds]).toEqual(['a', 0]);
  });

  it('F05: a failed load keeps the copy and its age', async () => {
    const { clock, document, loaded, failed } = setUp();
    await loaded('a');
    clock.advance(120);
    await failed(new DocumentRefused('not a key set'));
    expect([document.peek(), document.ageSeconds]).toEqual(['a', 120]);
    clock.advance(31);
    expect(document.peek()).toBeUndefined();
  });
});

describe('the pause after a failure', () => {
  it('grows from half a second to thirty, with jitter of at most a quarter', async () => {
    const setup = setUp();
    const pauses: number[] = [];
    for (let i = 0; i < 10; i++) {
      await setup.failed();
      pauses.push(pauseOf(setup));
    }
    const full = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30];
    for (const [i, pause] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual((full[i] ?? 0) * 0.75 - 0.002);
      expect(pause).toBeLessThanOrEqual((full[i] ?? 0) + 0.002);
    }
  });

  it('is not the same for servers that started together', async () => {
    const pauses = new Set<number>();
    for (let i = 0; i < 10; i++) {
      const setup = setUp();
      await setup.failed();
      pauses.add(pauseOf(setup));
    }
    expect(pauses.size).toBeGreaterThan(1);
  });

  it('nobody fetches while it lasts; all get the error of the last attempt at once', async () => {
    const { clock, document, loads, failed } = setUp();
    const error = await failed();
    for (let i = 0; i < 100; i++) {
      expect(() => document.get()).toThrow(error);
    }
    expect(loads).toHaveLength(1);
    expect(document.pausedBy).toBe(error);
    clock.advance(0.5);
    expect(document.pausedBy).toBeUndefined();
    Promise.resolve(document.get()).catch(() => undefined);
    expect(loads).toHaveLength(2);
  });

  it('nobody fetches while it lasts when a stale copy is in hand either', async () => {
    const { clock, document, loads, loaded, failed } = setUp();
    await loaded('a');
    clock.advance(101);
    await failed();
    for (let i = 0; i < 100; i++) expect(await document.get()).toBe('a');
    expect(loads).toHaveLength(2);
    clock.advance(0.5);
    expect(await document.get()).toBe('a');
    expect(loads).toHaveLength(3);
  });

  it('starts small again after a success', async () => {
    const setup = setUp();
    for (let i = 0; i < 5; i++) {
      await setup.failed();
      pauseOf(setup);
    }
    await setup.loaded('a');
    expect(setup.document.pausedBy).toBeUndefined();
    await setup.failed();
    expect(pauseOf(setup)).toBeLessThanOrEqual(0.502);
  });

  it('F04: is as long as the server asks, up to thirty seconds', async () => {
    for (const [asked, expected] of [
      [12, 12],
      [30, 30],
      [86_400, 30],
      [Infinity, 30],
    ] as const) {
      const setup = setUp();
      const error = await setup.failed(new DocumentRefused('x', { retryAfterSeconds: asked }));
      expect(error.retryAfterSeconds).toBe(expected);
      expect(Math.abs(pauseOf(setup) - expected)).toBeLessThan(0.01);
    }
  });

  it('F04: is never shorter than our own because the server says so', async () => {
    for (const asked of [0, -100, 0.001]) {
      const setup = setUp();
      await setup.failed(new DocumentRefused('x', { retryAfterSeconds: asked }));
      expect(pauseOf(setup)).toBeGreaterThanOrEqual(0.373);
    }
  });
});

describe('background work', () => {
  it('the reload starts at 80 % of the refresh age, with jitter', async () => {
    vi.useFakeTimers();
    const { loads, loaded } = setUp();
    await loaded('a');
    await vi.advanceTimersByTimeAsync(59_900);
    expect(loads).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(20_200);
    expect(loads).toHaveLength(2);
  });

  it('after a failure it tries again by itself, and tells of failures that no caller sees', async () => {
    vi.useFakeTimers();
    const { loads, failures, document } = setUp();
    const first = Promise.resolve(document.get()).catch((error: unknown) => error);
    loads[0]?.fail(new Error('first'));
    await first;
    expect(failures).toEqual([]); // its caller has seen it
    await vi.advanceTimersByTimeAsync(600);
    expect(loads).toHaveLength(2);
    loads[1]?.fail(new Error('second'));
    await vi.advanceTimersByTimeAsync(0);
    expect(failures.map(({ message }) => message)).toEqual(['second']);
    await vi.advanceTimersByTimeAsync(1100);
    loads[2]?.answer('a');
    await vi.advanceTimersByTimeAsync(0);
    expect(document.peek()).toBe('a');
  });

  it('a success by hand puts the planned attempt off', async () => {
    vi.useFakeTimers();
    const { loads, loaded, failed } = setUp();
    await failed();
    await loaded('a');
    await vi.advanceTimersByTimeAsync(30_000);
    expect(loads).toHaveLength(2);
  });

  it('keeps no process alive', async () => {
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const { loaded } = setUp();
    await loaded('a');
    const after = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    expect(after).toBe(before);
  });

  it('close stops the timer', async () => {
    vi.useFakeTimers();
    const { document, loads, loaded } = setUp();
    await loaded('a');
    expect(vi.getTimerCount()).toBe(1);
    document.close();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect(loads).toHaveLength(1);
  });

  it('after close no timer is started any more, and a load under way still answers', async () => {
    vi.useFakeTimers();
    const { document, loads } = setUp();
    const waiting = document.get();
    document.close();
    loads[0]?.answer('a');
    expect(await waiting).toBe('a');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('after close an aged copy is used without a load behind the scenes', async () => {
    const { clock, document, loads, loaded } = setUp();
    await loaded('a');
    document.close();
    clock.advance(101);
    expect(await document.get()).toBe('a');
    expect(loads).toHaveLength(1);
  });

  it('a background load that close cuts off is reported to nobody', async () => {
    const { clock, document, loads, loaded, failures } = setUp();
    await loaded('a');
    clock.advance(101);
    await document.get();
    document.close();
    loads[1]?.fail(new Error('the client was closed'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toEqual([]);
  });
});
