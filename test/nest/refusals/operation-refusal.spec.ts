import { expect, test } from 'vitest';
import { ProtocolError } from '@modelcontextprotocol/server';
import type { ArgumentsHost } from '@nestjs/common';
import { InsufficientScopeError } from 'authplane-nestjs';
import { firstValueFrom } from 'rxjs';
import { JsonRpcErrorFilter } from '../../../src/nest/refusals/json-rpc-error.js';
import { OperationRefusal } from '../../../src/nest/refusals/operation-refusal.js';

const refusal = new OperationRefusal(
  new InsufficientScopeError(['a', 'b'], { grantedScopes: ['c'] }),
);
const host = (type: string) => ({ getType: () => type }) as unknown as ArgumentsHost;

test('9.1g: is an error of SDK v2, and says what the guard would say', () => {
  expect(refusal).toBeInstanceOf(ProtocolError);
  expect(refusal).toMatchObject({
    code: -32003,
    data: { error: 'insufficient_scope', scope: 'a b' },
  });
  expect(refusal.message).toContain('a b');
  expect(JSON.stringify(refusal)).not.toContain('"c"');
});

test('9.1g: the filter keeps it for MCP-Nest 2, and throws it again for MCP-Nest 1, which puts it on the wire', async () => {
  const filter = new JsonRpcErrorFilter();
  const thrown = filter.catch(refusal, host('rpc'));
  await expect(firstValueFrom(thrown)).rejects.toBe(refusal);
  expect(() => filter.catch(refusal, host('http'))).toThrow(refusal);
});
