import { describe, expect, test } from 'vitest';
import { ConsentRequiredError } from '../../../src/core/errors/oauth-errors.js';
import { InsufficientScopeError } from '../../../src/core/errors/token-errors.js';
import { gatewayAnswer, sentenceFor } from '../../../src/gateway/wire/gateway-answer.js';
import {
  RpcError,
  UnknownOperationError,
  UpstreamError,
} from '../../../src/gateway/wire/gateway-errors.js';
import { legacyCall } from '../../../src/mcp/answers/call.js';

const issuer = 'https://auth.example.com';
const call = {
  ...legacyCall({
    method: 'tools/call',
    headers: {},
    authInfo: undefined,
    sessionCapabilities: {},
  }),
  urlElicitation: true,
};
function answered(error: unknown) {
  const answer = gatewayAnswer(error, { id: 1, call, consent: { issuer } });
  return answer && { ...answer, json: JSON.parse(answer.text) as unknown };
}
const failed = (code: UpstreamError['code'], retryAfterSeconds?: number) =>
  new UpstreamError('inner detail', { code, upstream: 'cal', retryAfterSeconds });

describe('what an upstream did, and what a client hears', () => {
  test.each([
    ['upstream_busy', 503, 'cal is busy'],
    ['upstream_unavailable', 503, 'cal is not available'],
    ['upstream_failed', 502, 'cal gave no answer that can be used'],
    ['upstream_timeout', 504, 'cal did not answer in time'],
    ['upstream_refused', 502, 'cal refused the gateway'],
    ['upstream_rate_limited', 429, 'cal takes no more calls for now'],
  ] as const)('%s: %i, %s', (code, status, message) => {
    const answer = answered(failed(code));
    expect(answer?.status).toBe(status);
    expect(answer?.json).toMatchObject({
      ...{ id: 1, error: { code: -32603, message, data: { upstream: 'cal' } } },
    });
    expect(answer?.text).not.toContain('inner detail');
    expect(sentenceFor(failed(code))).toBe(message);
  });

  test('when to come back, in words, in data and in the header', () => {
    const error = failed('upstream_busy', 7);
    expect(sentenceFor(error)).toBe('cal is busy; try again in 7 seconds');
    expect(answered(error)).toMatchObject({
      ...{ headers: { 'Retry-After': '7' }, json: { error: { data: { retryAfterSeconds: 7 } } } },
    });
    expect(answered(failed('upstream_busy'))?.headers).toEqual({});
  });

  test('a refusal of the gateway itself says so', () => {
    expect(answered(failed('upstream_refused'))?.json).toMatchObject({
      error: { data: { upstream: 'cal', error: 'upstream_refused' } },
    });
  });
});

describe('other failures', () => {
  test('errors of JSON-RPC as they are', () => {
    const rpc = { code: -32001, message: 'x', data: 5 };
    expect(answered(new RpcError(404, rpc))).toMatchObject({ status: 404, json: { error: rpc } });
    expect(answered(new UnknownOperationError('Unknown tool: x'))).toMatchObject({
      ...{ status: 200, json: { error: { code: -32602, message: 'Unknown tool: x' } } },
    });
  });

  test('consent is asked for', () => {
    const consentUrl = `${issuer}/connect/google`;
    const told = { statusCode: 400, error: 'consent_required', consentUrl };
    expect(answered(new ConsentRequiredError('x', told))?.json).toMatchObject({
      error: { code: -32042, data: { elicitations: [{ url: consentUrl }] } },
    });
    const shown = answered(new ConsentRequiredError('x', { ...told, consentUrl: 'http://evil' }));
    expect(shown?.json).toMatchObject({ result: { isError: true } });
  });

  test.each([new InsufficientScopeError(['a']), new TypeError('x'), undefined])(
    '%s is answered by the application',
    (error) => {
      expect(answered(error)).toBeUndefined();
    },
  );
});
