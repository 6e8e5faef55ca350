import { describe, expect, it } from 'vitest';
import { MalformedCredentialsError } from '../../../src/core/errors/token-errors.js';
import { ConnectionMemory } from '../../../src/core/token/connection-memory.js';

const headers = (...lines: string[]) => lines.flatMap((line) => ['Authorization', line]);

describe('13.4: ConnectionMemory', () => {
  it('reads the same line of the same connection once', () => {
    const memory = new ConnectionMemory();
    const [one, other] = [{}, {}];
    const first = memory.credentials(headers('Bearer a'), one);
    expect(first).toEqual({ scheme: 'Bearer', token: 'a' });
    expect(memory.credentials(headers('Bearer a'), one)).toBe(first);
    expect(memory.credentials(headers('Bearer a'), other)).not.toBe(first);
    expect(memory.credentials(headers('Bearer a'), undefined)).not.toBe(first);
  });

  it('tells another line, and keeps the last only', () => {
    const memory = new ConnectionMemory();
    const connection = {};
    const first = memory.credentials(headers('Bearer a'), connection);
    expect(memory.credentials(headers('DPoP a'), connection)).toEqual({
      scheme: 'DPoP',
      token: 'a',
    });
    expect(memory.credentials(headers('Bearer a'), connection)).not.toBe(first);
  });

  it('RFC 6750 §2: two lines are refused, also when the first is the one of before', () => {
    const memory = new ConnectionMemory();
    const connection = {};
    memory.credentials(headers('Bearer a'), connection);
    expect(() => memory.credentials(headers('Bearer a', 'Bearer a'), connection)).toThrow(
      MalformedCredentialsError,
    );
  });
});
