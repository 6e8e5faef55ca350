import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

interface Text {
  readonly file: string;
  readonly text: string;
}

interface Report extends Text {
  readonly entry: string;
  readonly names: readonly string[];
  readonly machinery: readonly string[];
  readonly withoutDefault: readonly string[];
  readonly undocumented: readonly string[];
}

const { reports, page } = JSON.parse(
  execFileSync(process.execPath, ['test/package/api-report.js'], {
    encoding: 'utf8',
    maxBuffer: 10_000_000,
  }),
) as { readonly reports: readonly Report[]; readonly page: Text };

const RENEW =
  'If the change of the public surface is meant, run `npm run api` and commit what it writes.';

describe('11.8: the public surface', () => {
  test.each([...reports, page].map(({ file, text }) => [file, text] as const))(
    '%s is what users compile against now',
    (file, text) => {
      expect({ RENEW, text: readFileSync(file, 'utf8') }).toEqual({ RENEW, text });
    },
  );

  test('there is a report for each entry, and no other', () => {
    expect(readdirSync('api').map((name) => `api/${name}`)).toEqual(
      reports.map(({ file }) => file).sort(),
    );
  });

  describe.each(reports.map((report) => [report.entry, report] as const))('%s', (_, report) => {
    test('has TSDoc on every exported item and on every member', () => {
      expect(report.undocumented).toEqual([]);
    });

    test('is named, item by item, on the page of exported names', () => {
      expect(report.names.filter((name) => !page.text.includes(`\`${name}\``))).toEqual([]);
    });

    test('shows no class of the inside', () => {
      expect(report.machinery).toEqual([]);
    });

    test('says of every optional member of options what holds without it', () => {
      expect(report.withoutDefault).toEqual([]);
    });
  });
});
