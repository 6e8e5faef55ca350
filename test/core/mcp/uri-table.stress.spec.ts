/**
 * `UriTable` promises rather too many entries than too few. The servers' own matchers say what runs, so
 * whatever they match the table has to find, over random templates and URIs of which most are odd.
 * `AUTHPLANE_STRESS` asks for 200,000 URIs of each.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UriTable } from '../../../src/core/mcp/uri-table.js';
import { type UriCase, uriCases } from '../../support/text/uri-cases.js';
import { HOSTS } from '../../support/text/uri-matchers.js';

const COUNT = process.env['AUTHPLANE_STRESS'] === undefined ? 10_000 : 200_000;

/** Made once for all matchers. */
let cases: readonly UriCase[] = [];
let certain: readonly UriCase[] = [];
const { stackTraceLimit } = Error;

beforeAll(() => {
  cases = [...uriCases(COUNT / 2, { seed: 1 })]; // of each the plain URI is looked up, too
  certain = [...uriCases(COUNT, { seed: 2, plain: true })];
  Error.stackTraceLimit = 0; // matchers throw for what they cannot read, and nobody reads where
});
afterAll(() => {
  [cases, certain] = [[], []];
  Error.stackTraceLimit = stackTraceLimit;
});

describe.each(HOSTS)('9.1, 9.1f: %s', (_, match, loose) => {
  const finds = (declared: string, uri: string) =>
    new UriTable([[declared, declared]], loose).find(uri).length > 0;

  test('what it matches has the requirement of the template', () => {
    const missed = missing(cases, ({ template, plain, odd }) =>
      [plain, odd]
        .filter((uri) => match(template, uri) !== undefined)
        .map((uri) => [uri, finds(template, uri)] as const),
    );
    expect(missed).toEqual([]);
  });

  test('what it hands to a handler as the variables of a URI has the requirement of that URI', () => {
    const missed = missing(certain, ({ template, plain, odd }) => {
      const wanted = match(template, plain);
      const given = match(template, odd);
      if (wanted === undefined || JSON.stringify(given) !== JSON.stringify(wanted)) return [];
      return [[odd, finds(plain, odd)] as const];
    });
    expect(missed).toEqual([]);
  });

  function missing(
    all: readonly UriCase[],
    judge: (one: UriCase) => (readonly [uri: string, isFound: boolean])[],
  ): unknown[] {
    let matched = 0;
    const missed: unknown[] = [];
    for (const one of all) {
      for (const [uri, isFound] of judge(one)) {
        matched++;
        if (!isFound) missed.push({ ...one, uri });
      }
    }
    expect(matched).toBeGreaterThan(COUNT / 50);
    return missed.slice(0, 20);
  }
});
