/**
 * A rule is asked with the variables that the handler gets, whatever the spelling of the URI: the
 * servers' own matchers say which these are. `AUTHPLANE_STRESS` asks for 200,000 URIs for each.
 */
import { describe, expect, test } from 'vitest';
import { decoded } from '../../../src/core/mcp/uri-table.js';
import { UriReader } from '../../../src/core/mcp/uri-reader.js';
import { uriCases } from '../../support/text/uri-cases.js';
import { HOSTS } from '../../support/text/uri-matchers.js';

const COUNT = process.env['AUTHPLANE_STRESS'] === undefined ? 10_000 : 200_000;

const URIS_EACH = 3;

describe.each(HOSTS)('9.9c: %s', (host, match, loose) => {
  test('what a handler gets is among what the rule is asked about', () => {
    let read = 0;
    const missed: unknown[] = [];
    for (const one of uriCases(Math.ceil(COUNT / URIS_EACH), { seed: 3 })) {
      const reader = new UriReader(one.template, loose);
      if (!reader.isCertain) continue; // the rule is refused
      // `@Resource` keeps the query in the last variable; read is what `@ResourceTemplate` reads.
      if (host.endsWith('@Resource') && one.template.includes('{?')) continue;
      for (const uri of [one.plain, one.odd, `${one.odd}/`]) {
        const given = match(one.template, uri);
        if (given === undefined) continue;
        read++;
        const readings = reader.read(uri).map(({ variables }) => variables);
        const wanted = asTexts(given);
        if (readings.some((variables) => isSame(variables, wanted))) continue;
        missed.push({ ...one, uri, wanted, readings });
      }
    }
    expect(missed.slice(0, 10)).toEqual([]);
    expect(read).toBeGreaterThan(COUNT / 50);
  });
});

function asTexts(given: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, decoded(String(value))]),
  );
}

function isSame(left: object, right: object): boolean {
  return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
}

function sorted(record: object): [string, unknown][] {
  return Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1));
}
