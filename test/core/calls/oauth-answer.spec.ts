import { describe, expect, it } from 'vitest';
import { isSuccess, objectOf, requireObject } from '../../../src/core/calls/oauth-answer.js';
import { ProtocolError } from '../../../src/core/errors/server-errors.js';

const answer = (json: unknown, status = 200) => ({ status, headers: {}, json });

describe('an answer of the authorization server', () => {
  it.each([200, 201, 204, 299])('%d is a success', (status) => {
    expect(isSuccess(answer({}, status))).toBe(true);
  });

  it.each([100, 199, 300, 400, 500])('%d is none', (status) => {
    expect(isSuccess(answer({}, status))).toBe(false);
  });

  it.each([[undefined], [null], ['text'], [[]], [5]])('%j is no object', (json) => {
    const asked = { operation: 'introspect' };
    expect(objectOf(answer(json))).toBeUndefined();
    expect(() => requireObject(answer(json), asked)).toThrow(ProtocolError);
    expect(() =>
      requireObject({ ...answer(json), notJson: 'media type text/html' }, asked),
    ).toThrow(
      'introspect: the authorization server answered with status 200: no JSON object (media type text/html)',
    );
  });
});
