import { describe, expect, it } from 'vitest';
import { OAuthProblem, problemReply } from '../../../src/testing/http/oauth-problem.js';

const bodyOf = (problem: OAuthProblem): unknown => JSON.parse(problemReply(problem).body ?? '');

describe('OAuthProblem', () => {
  it.each([
    ['invalid_request', 400],
    ['invalid_client', 401],
    ['access_denied', 403],
    ['server_error', 500],
    ['not_found', 400],
    ['consent_required', 400],
  ] as const)('%s is %i, and has words of its own', (error, status) => {
    const problem = new OAuthProblem(error);
    expect([problem.error, problem.status]).toEqual([error, status]);
    expect(problem.message).toMatch(/^[a-z ,]+/i);
  });

  it('may have other words, another status and members', () => {
    const problem = new OAuthProblem('invalid_request', 'too much', 413, { limit: '64' });
    expect(bodyOf(problem)).toMatchObject({ detail: 'too much', status: 413, limit: '64' });
  });
});

describe('problemReply', () => {
  it('RFC 6749 §5.2 and RFC 9457 in one', () => {
    expect(problemReply(new OAuthProblem('invalid_scope')).headers).toEqual({
      'Content-Type': 'application/problem+json',
    });
    const words = 'the requested scope is invalid, unknown, or exceeds what may be granted';
    expect(bodyOf(new OAuthProblem('invalid_scope'))).toEqual({
      error: 'invalid_scope',
      error_description: words,
      type: 'https://docs.authplane.ai/errors/invalid_scope',
      title: 'Bad Request',
      detail: words,
      status: 400,
    });
  });

  it('RFC 6749 §5.2: 401 has a challenge', () => {
    const { status, headers } = problemReply(new OAuthProblem('invalid_client'));
    expect(status).toBe(401);
    expect(headers).toMatchObject({ 'WWW-Authenticate': 'Basic realm="authserver"' });
  });
});
