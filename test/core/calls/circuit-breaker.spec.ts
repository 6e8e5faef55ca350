import { beforeEach, describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../../src/core/calls/circuit-breaker.js';
import {
  CircuitOpenError,
  ConfigurationError,
  httpStatus,
  OutboundOverloadError,
} from '../../../src/core/index.js';
import type { HttpAnswer } from '../../../src/core/http/answer.js';
import { type OutboundFailure, OutboundHttpError } from '../../../src/core/http/errors.js';
import { thrownBy } from '../../support/servers/client-setup.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

let clock: ManualClock;
let breaker: CircuitBreaker;

beforeEach(() => {
  clock = new ManualClock();
  breaker = new CircuitBreaker({ name: 'x', clock, threshold: 5, cooldownSeconds: 30 });
});

function answer(status: number): HttpAnswer {
  return { status, headers: {}, json: undefined };
}

async function answers(status: number): Promise<void> {
  expect((await breaker.run(async () => answer(status))).status).toBe(status);
}

async function fails(error: unknown): Promise<void> {
  const failing = (): Promise<HttpAnswer> => Promise.reject(error);
  expect(await thrownBy(breaker.run(failing))).toBe(error);
}

function failure(reason: OutboundFailure): OutboundHttpError {
  return new OutboundHttpError('the server is away', { reason });
}

async function open(): Promise<void> {
  for (let i = 0; i < 5; i++) await fails(failure('connection'));
}

async function expectOpen(retryAfterSeconds?: number): Promise<void> {
  let called = false;
  const error = await thrownBy(
    breaker.run(async () => {
      called = true;
      return answer(200);
    }),
  );
  expect(error).toBeInstanceOf(CircuitOpenError);
  expect(called).toBe(false);
  if (retryAfterSeconds !== undefined) expect(error).toMatchObject({ retryAfterSeconds });
}

/** A call whose end the test decides. */
function pending() {
  let end: (status: number) => void = () => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const result = breaker.run(
    () =>
      new Promise<HttpAnswer>((resolve, reject) => {
        end = (status) => resolve(answer(status));
        fail = reject;
      }),
  );
  result.catch(() => undefined); // looked at later
  return { result, end: (status: number) => end(status), fail: (error: unknown) => fail(error) };
}

describe('closed', () => {
  it.each([
    ['connection failures', () => fails(failure('connection'))],
    ['timeouts', () => fails(failure('timeout'))],
    ['status 500', () => answers(500)],
    ['status 503', () => answers(503)],
  ])('opens after five times %s in a row', async (_name, fail) => {
    for (let i = 0; i < 5; i++) await fail();
    await expectOpen(30);
  });

  it.each([
    ['status 200', () => answers(200)],
    ['status 400', () => answers(400)],
    ['status 401', () => answers(401)],
    ['status 429', () => answers(429)],
  ])('an answer with %s starts the count anew', async (_name, succeed) => {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) await fails(failure('timeout'));
      await succeed();
    }
    await answers(200);
  });

  it.each([
    ['a mistake of the caller', new ConfigurationError('x')],
    ['a refused address', failure('address_refused')],
    ['a refused URL', failure('url')],
    ['a redirect', failure('redirect')],
    ['the end of the client', failure('closed')],
    ['anything else', new Error('x')],
  ])('%s counts neither way', async (_name, error) => {
    for (let i = 0; i < 4; i++) await fails(failure('connection'));
    for (let i = 0; i < 20; i++) await fails(error);
    await fails(failure('connection'));
    await expectOpen();
  });
});

describe('open', () => {
  it('says when to come again, which becomes a 503', async () => {
    await open();
    clock.advance(12.5);
    await expectOpen(18);
    expect(httpStatus(await thrownBy(breaker.run(async () => answer(200))))).toBe(503);
  });

  it('is not moved by calls that began before', async () => {
    const [early, late] = [pending(), pending()];
    await open();
    early.end(200);
    await early.result;
    await expectOpen(30);
    clock.advance(20);
    late.fail(failure('connection'));
    await thrownBy(late.result);
    await expectOpen(10);
  });

  it('follows the monotonic clock', async () => {
    await open();
    clock.setWall(0);
    await expectOpen(30);
    clock.setWall(9e9);
    await expectOpen(30);
  });
});

describe('half-open', () => {
  beforeEach(async () => {
    await open();
    clock.advance(30);
  });

  it('lets exactly one call through', async () => {
    const probe = pending();
    for (let i = 0; i < 10; i++) await expectOpen(1);
    probe.end(200);
    await probe.result;
    await answers(200);
  });

  it.each([200, 400, 401, 404, 429])(
    'closes when the probe is answered with %d',
    async (status) => {
      await answers(status);
      for (let i = 0; i < 4; i++) await fails(failure('connection'));
      await answers(200);
    },
  );

  it('opens again when the probe fails, for the whole cool-down', async () => {
    await answers(503);
    await expectOpen(30);
    clock.advance(29);
    await expectOpen(1);
    clock.advance(1);
    await fails(failure('timeout'));
    await expectOpen(30);
    clock.advance(30);
    await answers(200);
    await answers(200);
  });

  it.each([
    ['a mistake of the caller', new ConfigurationError('x')],
    ['missing credentials', new Error('vault')],
    ['a refused address', failure('address_refused')],
  ])('P27: gives the place to the next after %s', async (_name, error) => {
    await fails(error);
    await fails(error);
    await answers(200);
    await answers(200);
  });

  it('gives the place to the next when a probe throws before it returns a promise', async () => {
    const broken = (): Promise<HttpAnswer> => {
      throw new TypeError('x');
    };
    await thrownBy(breaker.run(broken));
    await answers(200);
  });

  it('replaces a probe that never ends after another cool-down', async () => {
    const lost = pending();
    await expectOpen(1);
    clock.advance(30);
    await answers(200);
    lost.fail(failure('timeout'));
    await thrownBy(lost.result);
    await answers(200);
  });
});

it('10.11a: a call that never had a connection says nothing, to open it or to close it', async () => {
  const overload = new OutboundOverloadError('all connections are in use', {
    retryAfterSeconds: 1,
  });
  for (let i = 0; i < 20; i++) await fails(overload);
  await answers(200);
  await open();
  clock.advance(30);
  await fails(overload); // the probe never asked, and gives its place to the next
  await answers(200);
});
