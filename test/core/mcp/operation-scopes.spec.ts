import { readFileSync } from 'node:fs';
import { runInThisContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { CallbackError } from 'authplane-nestjs/core';
import { transpileModule } from 'typescript';
import {
  type OperationRequirement,
  OperationScopes,
} from '../../../src/core/mcp/operation-scopes.js';
import type { ScopeRule } from '../../../src/core/mcp/scope-requirement.js';
import { requirementsOf } from '../../../src/core/mcp/settings.js';
import type { Eventually } from '../../../src/core/lib/deadline.js';
import { callerOf } from '../../support/tokens/callers.js';
import { unhandledRejections } from '../../support/tokens/unhandled-rejections.js';

/** Of rules that are not asynchronous. */
function known<T>(value: Eventually<T>): T {
  if (value instanceof Promise) throw new Error('a promise');
  return value;
}

const tool = (name: string, params: unknown = {}) =>
  ({ kind: 'tool', method: 'tools/call', name, params }) as const;
const requirement = (
  name: string,
  needs: OperationRequirement['requirement'],
  hidden = false,
): OperationRequirement => ({ kind: 'tool', name, requirement: needs, hidden });

describe('OperationScopes', () => {
  it('requirements for one name add up, whatever their shape', () => {
    const scopes = new OperationScopes([
      requirement('t', ['a']),
      requirement('t', { all: ['b'], any: ['c', 'd'] }),
      requirement('t', { any: ['e', 'a'] }),
      requirement('t', { all: ['f'], anyOf: [['g']] }),
      requirement('t', () => ['h']),
    ]);
    expect(scopes.judge(tool('t'), callerOf([]))).toEqual({
      needs: { all: ['a', 'b', 'f', 'h'], anyOf: [['c', 'd'], ['e', 'a'], ['g']] },
      hidden: false,
    });
    expect(scopes.announcedNeeds(tool('t')).all).toEqual(['a', 'b', 'f']);
  });

  it('13.8: what is fixed is made once: what is announced and decided is the same object for each call', () => {
    const scopes = new OperationScopes([requirement('t', ['a']), requirement('t', { all: ['b'] })]);
    expect(scopes.announcedNeeds(tool('t'))).toBe(scopes.announcedNeeds(tool('t')));
    expect(scopes.judge(tool('t'), callerOf([]))).toBe(
      scopes.judge(tool('t', {}), callerOf(['a'])),
    );
    expect(scopes.announcedNeeds(tool('other'))).toBe(scopes.announcedNeeds(tool('another')));
  });

  it('kinds are apart, and what nobody named needs nothing', () => {
    const scopes = new OperationScopes(
      requirementsOf({ tools: { x: ['t'] }, prompts: { x: ['p'] }, resources: { x: ['r'] } }),
    );
    for (const [kind, scope] of [
      ['tool', 't'],
      ['prompt', 'p'],
      ['resource', 'r'],
    ] as const) {
      expect(scopes.announcedNeeds({ kind, name: 'x' }).all).toEqual([scope]);
      expect(scopes.knows({ kind, name: 'X' })).toBe(false);
      expect(scopes.knows({ kind, name: 'constructor' })).toBe(false);
    }
    expect(known(scopes.judge(tool('__proto__'), callerOf([]))).needs.all).toEqual([]);
  });

  it('hidden: one lacking requirement is enough, a hierarchy may fulfil it', () => {
    const scopes = new OperationScopes([
      requirement('t', ['shown']),
      requirement('t', ['secret'], true),
    ]);
    expect(scopes.hides).toBe(true);
    expect(scopes.judge(tool('t'), callerOf(['shown']))).toMatchObject({
      hidden: true,
      needs: { all: [] },
    });
    expect(scopes.judge(tool('t'), callerOf(['secret']))).toMatchObject({ hidden: false });
    const root = callerOf(['root'], { root: ['secret'] });
    expect(known(scopes.judge(tool('t'), root)).hidden).toBe(false);
    expect(scopes.announcedNeeds(tool('t')).all).toEqual(['shown']);
  });

  it('each call of a rule has a copy of its own, also for each reading of one URI', () => {
    const seen: unknown[] = [];
    const rule: ScopeRule = (operation) => {
      seen.push(structuredClone(operation.params));
      Reflect.set(operation.params as object, 'uri', 'evil');
      Reflect.set(operation, 'name', 'evil');
      Reflect.set(operation.variables, 'path', 'evil');
      return [];
    };
    const all = ['notes://{path*}', 'notes://{path*}'].map((name): OperationRequirement => {
      return { kind: 'resource', name, requirement: rule, hidden: false };
    });
    const scopes = new OperationScopes(all, true);
    const params = { uri: 'notes://a/b/' };
    const operation = {
      kind: 'resource',
      method: 'resources/read',
      name: params.uri,
      params,
    } as const;
    known(scopes.judge(operation, callerOf([])));
    expect(seen.length).toBeGreaterThan(2);
    expect(seen).toEqual(seen.map(() => ({ uri: 'notes://a/b/' })));
    expect(operation).toMatchObject({ name: 'notes://a/b/', params: { uri: 'notes://a/b/' } });
  });

  it('a rule sees what is asked and who asks', () => {
    const rule: ScopeRule = ({ kind, method, name, params }, { agentChain }) =>
      agentChain.length > 0
        ? false
        : [kind, method, name, JSON.stringify(params).length.toString()];
    const scopes = new OperationScopes([requirement('t', rule)]);
    expect(known(scopes.judge(tool('t', { a: 1 }), callerOf([]))).needs.all).toEqual([
      'tool',
      'tools/call',
      't',
      '7',
    ]);
    expect(known(scopes.judge(tool('t'), callerOf([], {}, ['agent']))).refusal).toEqual({
      reason: 'its rule refuses this caller',
    });
    const hiding = new OperationScopes([requirement('t', rule, true)]);
    expect(hiding.judge(tool('t'), callerOf([], {}, ['agent']))).toMatchObject({ hidden: true });
  });

  it.each<[string, readonly (readonly string[] | false)[]]>([
    ['first', [false, ['a'], []]],
    ['second', [['a'], false, []]],
    ['last', [[], ['a'], false]],
  ])('9.25: any rule of several can refuse, the %s too', (_, answers) => {
    const scopes = new OperationScopes(answers.map((answer) => requirement('t', () => answer)));
    expect(scopes.judge(tool('t'), callerOf(['a']))).toEqual({
      needs: { all: ['a'], anyOf: [] },
      hidden: false,
      refusal: { reason: 'its rule refuses this caller' },
    });
    const hiding = new OperationScopes(
      answers.map((answer) => requirement('t', () => answer, answer === false)),
    );
    expect(known(hiding.judge(tool('t'), callerOf(['a']))).hidden).toBe(true);
  });

  describe('12.3: an asynchronous rule', () => {
    unhandledRejections(); // there are none at its end

    it.each([false, true])('10.23: that fails is a failure, hidden %s', async (hidden) => {
      const rule = () => Promise.reject(new Error('late'));
      const scopes = new OperationScopes([requirement('t', rule, hidden)]);
      await expect(scopes.judge(tool('t'), callerOf(['a']))).rejects.toThrow(CallbackError);
    });

    it('says what is needed as any other, and may refuse', async () => {
      const judged = (rule: ScopeRule, hidden = false) =>
        new OperationScopes([requirement('t', rule, hidden)]).judge(tool('t'), callerOf(['a']));
      expect(await judged(async () => ['b'])).toMatchObject({ needs: { all: ['b'] } });
      expect(await judged(async () => ({ any: ['a', 'b'] }))).toMatchObject({ hidden: false });
      expect(await judged(async () => false as const)).toMatchObject({
        refusal: { reason: 'its rule refuses this caller' },
      });
      expect(await judged(async () => ['b'], true)).toMatchObject({ hidden: true });
      expect(await judged(async () => ['a'], true)).toMatchObject({ hidden: false });
    });
  });

  it.each([{}, { to: 'trash' }, { to: 'trash ' }, { to: 'TRASH' }, { to: ['archive'] }, undefined])(
    '9.9c: the rule in docs/scopes.md is not passed by a spelling of the trash: %j',
    (args) => {
      const page = readFileSync('docs/scopes.md', 'utf8');
      const [, source = ''] =
        /move_note: (\(\{ params \}\) =>[^]+?\['notes:delete'\]),/.exec(page) ?? [];
      const { outputText } = transpileModule(source, { compilerOptions: { target: 9 } });
      const rule = runInThisContext(outputText) as ScopeRule;
      const judged = (value: unknown) =>
        known(
          new OperationScopes([requirement('t', rule)]).judge(
            tool('t', { arguments: value }),
            callerOf([]),
          ),
        ).needs.all;
      expect(judged(args)).toEqual(['notes:delete']);
      expect(judged({ to: 'archive' })).toEqual(['notes:write']);
    },
  );

  it.each([
    'notes://private',
    ' notes://private',
    'NOTES://private',
    'notes://pri\nvate',
    'notes://%70rivate',
  ])('9.9c: an entry of its own counts for all spellings of a URI: %j', (uri) => {
    const resources = { 'notes://{id}': ['read'], 'notes://private': () => ['private'] };
    const scopes = new OperationScopes(requirementsOf({ resources }));
    const operation = {
      kind: 'resource',
      method: 'resources/read',
      name: uri,
      params: {},
    } as const;
    expect(
      known(scopes.judge(operation, callerOf([])))
        .needs.all.slice()
        .sort(),
    ).toEqual(['private', 'read']);
  });
});

describe('13.2: what is the same for each call is made once', () => {
  const scopes = new OperationScopes([
    requirement('shown', ['a']),
    requirement('hidden', ['a'], true),
    requirement('ruled', () => ['a']),
  ]);

  it.each([
    ['shown', 'a', 'shown', ''],
    ['hidden', 'a', 'hidden', 'a'],
    ['hidden', '', 'hidden', ''],
  ])('13.2: %s to a caller with "%s"', (one, hasOne, other, hasOther) => {
    const verdict = known(scopes.judge(tool(one), callerOf([hasOne])));
    expect(scopes.judge(tool(other, { other: 1 }), callerOf([hasOther]))).toBe(verdict);
    expect(Object.isFrozen(verdict)).toBe(true);
    expect(Object.isFrozen(verdict.needs) || verdict.hidden).toBe(true);
  });

  it('13.2: but nothing where a rule is asked', () => {
    const judge = () => scopes.judge(tool('ruled'), callerOf(['a']));
    expect(judge()).not.toBe(judge());
  });
});
