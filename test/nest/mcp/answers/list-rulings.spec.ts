import { describe, expect, it, vi } from 'vitest';
import { nameKey, OperationScopes } from '../../../../src/core/mcp/operation-scopes.js';
import { requirementsOf } from '../../../../src/core/mcp/settings.js';
import type { ScopeRule } from '../../../../src/core/mcp/scope-requirement.js';
import { ListRulings } from '../../../../src/nest/mcp/answers/list-rulings.js';
import { callerOf } from '../../../support/tokens/callers.js';

const scopesOf = (tools: Record<string, ScopeRule | string[]>, list: 'show' | 'hide' = 'hide') =>
  new OperationScopes(requirementsOf({ tools, prompts: { ask: () => ['a'] }, list }));
const key = (name: string) => nameKey({ kind: 'tool', name });
const TOOLS = { lists: ['tool'] } as const;
const caller = callerOf(['a']);

describe('ListRulings', () => {
  it('asks the rules of what is listed and hidden, and nothing else', async () => {
    const scopes = scopesOf({ mine: () => ['a'], other: () => ['b'], fixed: ['b'] });
    const rulings = new ListRulings();
    expect(await rulings.of(TOOLS, scopes, caller)).toEqual(
      new Map([
        [key('mine'), true],
        [key('other'), false],
      ]),
    );
    expect(await rulings.of({ lists: [] }, scopes, caller)).toEqual(new Map());
    expect(await rulings.of(TOOLS, scopesOf({ mine: () => ['a'] }, 'show'), caller)).toEqual(
      new Map(),
    );
  });

  it('makes no promise where no rule does', () => {
    expect(new ListRulings().of(TOOLS, scopesOf({ mine: () => ['a'] }), caller)).toBeInstanceOf(
      Map,
    );
  });

  it('waits for rules; one that fails shows nothing', async () => {
    const scopes = scopesOf({
      mine: async () => ['a'],
      other: async () => false as const,
      failing: () => Promise.reject(new Error('x')),
      throwing: () => {
        throw new Error('x');
      },
    });
    expect(await new ListRulings().of(TOOLS, scopes, caller)).toEqual(
      new Map([
        [key('mine'), true],
        [key('other'), false],
        [key('failing'), false],
        [key('throwing'), false],
      ]),
    );
  });

  it('asks once for a request, and again for another or when more is known', async () => {
    const rule = vi.fn(() => ['a']);
    const [scopes, rulings, request] = [scopesOf({ mine: rule }), new ListRulings(), { ...TOOLS }];
    const first = rulings.of(request, scopes, caller);
    expect(rulings.of(request, scopes, caller)).toBe(first);
    expect(rule).toHaveBeenCalledTimes(1);
    await rulings.of({ ...TOOLS }, scopes, caller);
    expect(rule).toHaveBeenCalledTimes(2);
    await rulings.of(request, scopesOf({ mine: rule }), caller);
    expect(rule).toHaveBeenCalledTimes(3);
  });
});
