import { ConfigurationError } from 'authplane-nestjs';
import { requires } from 'authplane-nestjs/mcp';
import { describe, expect, test, vi } from 'vitest';
import { requirementOf } from '../../../src/mcp/sdk/requires.js';

describe('requires', () => {
  test('keeps what the handler needs beside it, for the server that registers it', () => {
    const handler = () => 1;
    const rule = () => ['a'];
    expect(requirementOf(requires(['a'], handler))).toEqual({ scopes: ['a'], handler });
    expect(requirementOf(requires(rule, handler, { list: 'hide' }))).toEqual({
      ...{ scopes: rule, handler, list: 'hide' },
    });
  });

  test('a handler on a server that is not scoped refuses every call', () => {
    const handler = vi.fn();
    const refused = requires(['a'], handler);
    expect(() => refused()).toThrow(/scoped\(server, operations\)/);
    expect(() => refused()).toThrow(ConfigurationError);
    expect(handler).not.toHaveBeenCalled();
  });

  test.each([[[]], [['']], [{ all: ['a'], some: ['b'] }], ['a'], [undefined]])(
    'requires(%j) is no requirement',
    (scopes) => {
      expect(() => requires(scopes as never, () => 1)).toThrow(ConfigurationError);
      expect(() => requires(scopes as never, () => 1)).toThrow(/requires: the scopes /);
    },
  );

  test.each([undefined, null, {}, 'handler'])('%o is no handler', (handler) => {
    expect(() => requires(['a'], handler as never)).toThrow('requires: the handler is no function');
  });
});

test.each([() => 1, undefined, {}, 'x'])(
  'requirementOf: %o needs nothing of its own',
  (handler) => {
    expect(requirementOf(handler)).toBeUndefined();
  },
);
