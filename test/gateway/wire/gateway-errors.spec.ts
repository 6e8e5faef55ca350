import { expect, test } from 'vitest';
import { AuthplaneError } from '../../../src/core/errors/authplane-error.js';
import {
  RpcError,
  UnknownOperationError,
  UpstreamError,
} from '../../../src/gateway/wire/gateway-errors.js';

test('UpstreamError: which upstream, which failure, and whether the operation may have run', () => {
  const options = { code: 'upstream_timeout', upstream: 'cal' } as const;
  const bare = new UpstreamError('cal: no answer', options);
  expect(bare).toBeInstanceOf(AuthplaneError);
  expect(bare).toMatchObject({
    ...{ ...options, message: 'cal: no answer', maybeExecuted: false },
    ...{ retryAfterSeconds: undefined, status: undefined },
  });
  const told = { ...options, maybeExecuted: true, retryAfterSeconds: 7, status: 503 };
  expect(new UpstreamError('x', told)).toMatchObject(told);
});

test('UnknownOperationError: says what there is not', () => {
  const error = new UnknownOperationError('Unknown tool: x');
  expect(error).toMatchObject({ code: 'unknown_operation', message: 'Unknown tool: x' });
});

test('RpcError: an error of JSON-RPC with its status, and none of this package', () => {
  const rpc = { code: -32602, message: 'Invalid params', data: { a: 1 } };
  const error = new RpcError(400, rpc);
  expect(error).toMatchObject({ name: 'RpcError', message: 'Invalid params', status: 400, rpc });
  expect(error).not.toBeInstanceOf(AuthplaneError);
});
