/**
 * `UriTable` promises rather too many entries than too few, and `UriReader` the variables that handlers
 * get. The servers' own matchers say what runs, and with what, over random templates and URIs of which most
 * are odd. `AUTHPLANE_STRESS` asks for 200,000 URIs of each.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UriReader } from '../../../src/core/mcp/uri-reader.js';
import { decoded, UriTable } from '../../../src/core/mcp/uri-table.js';
import { type UriCase, uriCases } from '../../support/text/uri-cases.js';
import { HOSTS, lastOf, type Match } from '../../support/text/uri-matchers.js';

const COUNT = process.env['AUTHPLANE_STRESS'] === undefined ? 10_000 : 200_000;
const FEWEST = COUNT / 50;

/** The handler of a template would run for a URI. */
interface Run {
  readonly template: string;
  readonly uri: string;
  readonly variables: object;
}

/** Made once for all matchers: three URIs of each template, and two of each whose meaning is certain. */
let cases: readonly UriCase[] = [];
let certain: readonly UriCase[] = [];
const runs = new Map<Match, readonly Run[]>();
const sameVariables = new Map<Match, readonly UriCase[]>();
const { stackTraceLimit } = Error;

beforeAll(() => {
  cases = [...uriCases(COUNT / 3, { seed: 1 })];
  certain = [...uriCases(COUNT / 2, { seed: 2, plain: true })];
  Error.stackTraceLimit = 0; // matchers throw for what they cannot read, and nobody reads where
});
afterAll(() => {
  [cases, certain] = [[], []];
  for (const known of [runs, sameVariables]) known.clear();
  Error.stackTraceLimit = stackTraceLimit;
});

/** Two hosts may have one matcher. */
function ofMatcher<T>(known: Map<Match, T>, match: Match, make: () => T): T {
  const made = known.get(match) ?? make();
  known.set(match, made);
  return made;
}

const runsOf = (match: Match) =>
  ofMatcher(runs, match, () =>
    cases.flatMap(({ template, plain, odd }) =>
      [plain, odd, `${odd}/`].flatMap((uri) => {
        const variables = match(template, uri);
        return variables === undefined ? [] : [{ template, uri, variables }];
      }),
    ),
  );

const readAlikeBy = (match: Match) =>
  ofMatcher(sameVariables, match, () =>
    certain.filter(({ template, plain, odd }) => {
      const wanted = match(template, plain);
      const given = wanted && match(template, odd);
      return given !== undefined && JSON.stringify(given) === JSON.stringify(wanted);
    }),
  );

describe.each(HOSTS)('9.1, 9.1f, 9.9c: %s', (host, match, loose) => {
  const tableOf = lastOf((declared) => new UriTable([[declared, declared]], loose));
  const readerOf = lastOf((template) => new UriReader(template, loose));

  test('what it matches has the requirement of the template', () => {
    const ran = runsOf(match);
    expect(ran.length).toBeGreaterThan(FEWEST);
    const missed = ran.filter(({ template, uri }) => tableOf(template).find(uri).length === 0);
    expect(missed.slice(0, 20)).toEqual([]);
  });

  test('what a handler gets is among what the rule is asked about', () => {
    // `@Resource` keeps the query in the last variable; read is what `@ResourceTemplate` reads.
    const isRead = ({ template }: Run) =>
      readerOf(template).isCertain && !(host.endsWith('@Resource') && template.includes('{?'));
    const read = runsOf(match).filter(isRead); // else the rule is refused
    expect(read.length).toBeGreaterThan(FEWEST);
    const missed = read.filter(({ template, uri, variables }) => {
      const wanted = textOf(asTexts(variables));
      return !readerOf(template)
        .read(uri)
        .some((reading) => textOf(reading.variables) === wanted);
    });
    expect(missed.slice(0, 10)).toEqual([]);
  });

  test('what it hands to a handler as the variables of a URI has the requirement of that URI', () => {
    const alike = readAlikeBy(match);
    expect(alike.length).toBeGreaterThan(FEWEST);
    const missed = alike.filter(({ plain, odd }) => tableOf(plain).find(odd).length === 0);
    expect(missed.slice(0, 20)).toEqual([]);
  });
});

function asTexts(given: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, decoded(String(value))]),
  );
}

function textOf(variables: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(variables).sort(([one], [other]) => (one < other ? -1 : 1)));
}
