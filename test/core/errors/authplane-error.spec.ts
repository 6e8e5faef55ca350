import { describe, expect, it, test } from 'vitest';
import { ConsentRefusedError } from '../../../src/mcp/index.js';
import * as errors from '../../support/tokens/errors.js';
import { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import { STANDS_FOR } from '../../../src/core/errors/stands-for.js';
import { OutboundHttpError } from '../../../src/core/http/errors.js';
import { ReplayStoreError } from '../../../src/core/dpop/replay-store.js';

class BusyError extends AuthplaneError {
  readonly code = 'upstream_busy';
}

class VeryBusyError extends BusyError {}

describe('AuthplaneError', () => {
  const cause = new Error('inner');
  const error = new VeryBusyError('too much to do', { cause });

  it('is an Error with the name of its class, a message, a cause and a place', () => {
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message, error.cause]).toEqual([
      'VeryBusyError',
      'too much to do',
      cause,
    ]);
    expect(error.stack).toContain('authplane-error.spec');
    expect('cause' in new BusyError('without')).toBe(false);
  });

  it('is told from others by its class, which includes those that it extends', () => {
    expect([VeryBusyError, BusyError, AuthplaneError].map((Kind) => error instanceof Kind)).toEqual(
      [true, true, true],
    );
    expect(new BusyError('x') instanceof VeryBusyError).toBe(false);
    for (const other of [cause, 'text', 5, null, undefined, {}, { code: 'upstream_busy' }]) {
      expect(other instanceof AuthplaneError).toBe(false);
    }
  });

  it('so is what stands for it', () => {
    const exception = Object.assign(new Error('public'), { [STANDS_FOR]: error });
    expect([exception instanceof BusyError, exception instanceof VeryBusyError]).toEqual([
      true,
      true,
    ]);
    expect(exception instanceof ReplayStoreError).toBe(false);
  });
});

test('11.1: every class takes what it is about, and options of which `cause` is always one', () => {
  const cause = new Error('inner');
  const options = { cause, statusCode: 400, error: 'invalid_grant', reason: 'timeout' as const };
  const classes = [...Object.values(errors), ReplayStoreError, OutboundHttpError].filter(
    (value) => typeof value === 'function',
  );
  const made = classes.map((Kind) => {
    const Concrete = Kind as new (subject: unknown, options: object) => errors.AuthplaneError;
    const subject = Kind === errors.InsufficientScopeError ? ['the', 'subject'] : 'the subject';
    return new Concrete(subject, options);
  });
  made.push(new ConsentRefusedError('decline', { cause }));
  expect(made.length).toBeGreaterThan(30);
  for (const error of made) {
    expect([error.name, error.cause]).toEqual([error.constructor.name, cause]);
    if (error instanceof ConsentRefusedError) continue;
    expect([error.name, error.message]).toEqual([error.name, expect.stringMatching(/the subject/)]);
  }
});
