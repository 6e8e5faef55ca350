import { setTimeout as timeout } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { CallbackError } from '../../../src/core/errors/request-errors.js';
import { InsufficientScopeError } from '../../../src/core/errors/token-errors.js';
import { demandOf } from '../../../src/core/mcp/scope-demand.js';
import type { RuledOperation, ScopeRule } from '../../../src/core/mcp/scope-requirement.js';
import { callerOf } from '../../support/tokens/callers.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

const OPERATION: RuledOperation = {
  ...{ kind: 'tool', method: 'tools/call', name: 't', params: {} },
  ...{ uri: undefined, variables: {} },
};

const caller = callerOf(['a']);
/** `never` because rules of applications may give anything. */
const demand = (rule: unknown, who = caller) => demandOf(rule as ScopeRule, OPERATION, who);

afterEach(() => vi.useRealTimers());

describe('what no rule makes', () => {
  it.each([
    [['a'], { all: ['a'], anyOf: [] }],
    [{ any: ['a', 'b'] }, { all: [], anyOf: [['a', 'b']] }],
    [
      { all: ['a'], anyOf: [['b', 'c'], ['d']] },
      { all: ['a'], anyOf: [['b', 'c'], ['d']] },
    ],
  ])('%j asks everybody for %j', (requirement, needs) => {
    expect(demand(requirement)).toEqual(needs);
    expect(demand(requirement, { ...caller, isAnonymous: true })).toEqual(needs);
  });
});

describe('a rule', () => {
  it('is asked about the operation and the claims, once', () => {
    const rule = vi.fn(() => ['b']);
    expect(demand(rule)).toEqual({ all: ['b'], anyOf: [] });
    expect(rule.mock.calls).toEqual([[OPERATION, caller.claims]]);
  });

  it('is not asked about nobody, whom it refuses', () => {
    const rule = vi.fn(() => []);
    expect(demand(rule, { ...caller, isAnonymous: true })).toEqual({
      reason: 'its rule needs a caller',
    });
    expect(rule).not.toHaveBeenCalled();
  });

  it.each([[[]], [{}], [{ all: [] }], [{ all: undefined, any: undefined }], [Object.create(null)]])(
    'may need nothing: %j',
    (answer) => {
      expect(demand(() => answer)).toEqual({ all: [], anyOf: [] });
    },
  );

  it.each([[{ all: [], any: ['w'] }], [{ all: undefined, any: ['w'] }]])(
    'may leave one part empty: %j',
    (answer) => {
      expect(demand(() => answer)).toEqual({ all: [], anyOf: [['w']] });
    },
  );

  it('refuses with false, which is no fault', () => {
    expect(demand(() => false)).toEqual({ reason: 'its rule refuses this caller' });
  });

  it.each([
    ...[undefined, null, true, 'a', 1, [1], () => ['a'], new Map()],
    ...[new Date(0), Object.create({ all: ['a'] })],
    ...[
      { al: [] },
      { al: undefined, some: ['a'] },
      { any: [] },
      { all: ['a'], any: [] },
      { all: '' },
    ],
  ])('that returns %p is broken, and refuses', (answer) => {
    const refusal = demand(() => answer);
    expect(refusal).toMatchObject({ reason: 'its rule is broken' });
    expect(refusal).toHaveProperty('fault', expect.any(ConfigurationError));
    expect(refusal).toHaveProperty('fault.message', expect.stringMatching(/a scope rule returned/));
  });

  it('that throws refuses, or names what it misses', () => {
    const throwing = (error: unknown) =>
      demand(() => {
        throw error;
      });
    const fault = new TypeError('x');
    expect(throwing(fault)).toEqual({ reason: 'its rule failed', fault });
    expect(throwing(undefined)).toEqual({ reason: 'its rule failed', fault: undefined });
    expect(throwing(new InsufficientScopeError(['late']))).toEqual({ all: ['late'], anyOf: [] });
    expect(throwing(new ConfigurationError('x'))).toMatchObject({ reason: 'configuration_error' });
  });

  it.each([[[]], [['a']], [['root']]])(
    'that throws for want of %j refuses who lacks nothing of it',
    async (scopes) => {
      const who = callerOf(['a', 'root'], { root: ['b'] });
      const fault = new InsufficientScopeError(scopes);
      const refusal = { reason: 'its rule throws for want of scopes that this caller has', fault };
      const throwing = () => {
        throw fault;
      };
      expect(demand(throwing, who)).toEqual(refusal);
      expect(await demand(() => Promise.reject(fault), who)).toEqual(refusal);
    },
  );
});

describe('12.3: an asynchronous rule', () => {
  unhandledRejections(); // there are none at its end

  it.each<[string, () => unknown]>([
    ['a rejected one', () => Promise.reject(new Error('late'))],
    ['one of an async function that throws', async () => Promise.reject(new Error('late'))],
    ['one that is rejected later', () => timeout(1).then(() => Promise.reject(new Error('x')))],
    ['one of a library', () => ({ then: (_: unknown, fail: () => void) => fail() })],
    [
      'one whose then throws',
      () => ({
        get then() {
          throw new Error('x');
        },
      }),
    ],
  ])('10.23: that fails is a failure, %s', async (_, rule) => {
    await expect(demand(rule)).rejects.toThrow(CallbackError);
    await expect(demand(rule)).rejects.toThrow('a scope rule failed');
  });

  it('10.23: that never ends is one after 5 seconds', async () => {
    vi.useFakeTimers();
    const late = expect(demand(() => new Promise(() => undefined))).rejects.toThrow(
      new CallbackError('a scope rule gave no answer within 5000 ms'),
    );
    await vi.advanceTimersByTimeAsync(5001);
    await late;
  });

  it('says what is needed as any other, and may refuse', async () => {
    expect(await demand(async () => ['b'])).toEqual({ all: ['b'], anyOf: [] });
    expect(await demand(async () => false)).toEqual({ reason: 'its rule refuses this caller' });
    const late = new InsufficientScopeError(['late']);
    expect(await demand(() => Promise.reject(late))).toEqual({ all: ['late'], anyOf: [] });
    expect(await demand(async () => 'a')).toMatchObject({ reason: 'its rule is broken' });
  });
});
