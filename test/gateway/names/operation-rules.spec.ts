import { describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { RuleTable } from '../../../src/gateway/names/operation-rules.js';

describe('14.A: rules of operations', () => {
  const table = new RuleTable(
    {
      '*': { scopes: ['all'], timeoutMs: 1, description: 'any' },
      'list_*': { scopes: ['list'], token: none(), timeoutMs: 2 },
      'list_secret*': false,
      list_secret_ok: { as: 'ok' },
      '*_dump': false,
      'list_*_dump': {},
    },
    true,
  );

  test('scopes of all that fit add up; of the rest the nearest one counts', () => {
    expect(table.verdictOn('list_days')).toEqual({
      isOffered: true,
      as: undefined,
      scopes: [['list'], ['all']],
      token: none(),
      timeoutMs: 2,
      description: 'any',
    });
  });

  test.each([
    ['list_secrets', false],
    ['list_secret_ok', true],
    ['x_dump', false],
    ['list_x_dump', true],
    ['other', true],
  ])('the nearest rule says whether %s is offered: %s', (name, isOffered) => {
    expect(table.verdictOn(name).isOffered).toBe(isOffered);
  });

  test('of two that are equally near the refusing one counts', () => {
    expect(new RuleTable({ 'ab*': {}, '*ab': false }, true).verdictOn('abab').isOffered).toBe(
      false,
    );
  });

  test('with defaultOffered: false only what is named is offered', () => {
    const closed = new RuleTable({ a: {} }, false);
    expect([closed.verdictOn('a').isOffered, closed.verdictOn('b').isOffered]).toEqual([
      true,
      false,
    ]);
  });
});
