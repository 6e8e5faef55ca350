import { expect, it } from 'vitest';
import { ProtocolError, UrlElicitationRequiredError } from '@modelcontextprotocol/server';
import { FORBIDDEN, JsonRpcError } from '../../../src/nest/refusals/json-rpc-error.js';

const options = { code: FORBIDDEN, message: 'no', data: { error: 'x' }, cause: new Error('why') };

it('is an error of SDK v2 by its brand, and of the further classes that are named', () => {
  const plain = new JsonRpcError(options);
  expect(plain).toBeInstanceOf(ProtocolError);
  expect(plain).not.toBeInstanceOf(UrlElicitationRequiredError);
  const branded = new JsonRpcError({ ...options, brands: ['mcp.UrlElicitationRequiredError'] });
  expect(branded).toBeInstanceOf(UrlElicitationRequiredError);
});

it('what is written out has code and data, and not the cause', () => {
  const error = new JsonRpcError(options);
  expect(error.cause).toBe(options.cause);
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    name: 'JsonRpcError',
    code: -32003,
    data: { error: 'x' },
  });
});
