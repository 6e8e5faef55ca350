import { describe, expect, test } from 'vitest';
import { Injectable } from '@nestjs/common';
import { AuthplaneMcpExceptionFilter, WithConsent } from 'authplane-nestjs/mcp';
import { InsufficientScopeError } from 'authplane-nestjs';
import { JsonRpcErrorFilter } from '../../../src/nest/refusals/json-rpc-error.js';

const TOOL = 'mcp:tool';
const noted =
  (key: string): MethodDecorator =>
  (_target, _name, descriptor) => {
    Reflect.defineMetadata(key, { name: 'tool' }, descriptor.value as object);
  };

@Injectable()
@WithConsent()
class Tools {
  @noted(TOOL)
  sync(...args: unknown[]) {
    return [this instanceof Tools, ...args];
  }

  @noted(TOOL)
  fails() {
    throw new InsufficientScopeError(['a']);
  }

  plain() {
    return 'plain';
  }
}

/** What MCP-Nest 1 hands to a method; the guard has let nothing in here. */
const context = {
  mcpServer: { server: { getClientCapabilities: () => undefined } },
  mcpRequest: { method: 'tools/call' },
  reportProgress: () => undefined,
};

// The answers themselves: test/package/matrix/mcp-nest-1.9.spec.ts, on the real one.
describe('10.18 methods under @WithConsent()', () => {
  const tools = new Tools();

  test('called by anybody but MCP-Nest 1 they are what they were', () => {
    expect(tools.sync(1, { getArgByIndex: () => 0, ...context })).toHaveLength(3);
    expect(tools.sync(1)).toEqual([true, 1]);
    expect(() => tools.fails()).toThrow(InsufficientScopeError);
    expect(tools.plain()).toBe('plain');
  });

  test('they keep their name, length and metadata', () => {
    const { sync } = Tools.prototype;
    expect([sync.name, sync.length]).toEqual(['sync', 0]);
    expect(Reflect.getMetadata(TOOL, sync)).toEqual({ name: 'tool' });
  });

  test('outside a guarded request an error stays what it is', async () => {
    const call: (...args: unknown[]) => unknown = tools.fails;
    await expect(call({}, context, {})).rejects.toThrow(InsufficientScopeError);
  });

  test('filters that MCP-Nest 1 makes without injection tell nothing of the error', () => {
    const filter = new AuthplaneMcpExceptionFilter();
    const host = { getType: () => 'http' } as never;
    expect(filter.catch(new InsufficientScopeError(['a']), host)).toBe('This operation failed.');
    const error = new Error('as it is') as never;
    expect(() => new JsonRpcErrorFilter().catch(error, host)).toThrow('as it is');
  });
});
