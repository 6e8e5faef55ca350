import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const page = (name: string) => readFileSync(`docs/${name}.md`, 'utf8');

/** A row for each way in which Python clients differ: what happens, and what a server author can do. */
test('10.17e: the page about clients says what each difference of Python means for a server', () => {
  const [, python = ''] = page('clients').split('## Clients in Python');
  const rows = python.split('\n').filter((line) => line.startsWith('| ') && !line.includes('---'));
  const subjects = [
    'step-up',
    '401 or 403 with a token from a configuration, 1.x',
    'DPoP',
    'a result above 1 MiB, 2.x',
    'several calls at once',
    'stored tokens after a restart of the client',
    'a session that is gone',
    'the end of a session',
    '`POST /register` at this server',
  ];
  for (const subject of subjects) {
    const row = rows.find((line) => line.startsWith(`| ${subject}`));
    const cells = (row ?? '').split('|').slice(2, 4);
    expect([subject, cells.map((cell) => cell.trim().length > 5)]).toEqual([subject, [true, true]]);
  }
});

test('10.17d: the page about clients names the versions that the package tests run', () => {
  const source = readFileSync('test/package/matrix/typescript-clients/clients.ts', 'utf8');
  const versions = [...source.matchAll(/^ {2}'?([@\w/-]+)'?: '(\d+\.\d+\.\d+)',$/gm)];
  expect(versions.length).toBeGreaterThan(6);
  for (const [, name = '', version = ''] of versions) {
    const shown = name.endsWith('/inspector') ? 'Inspector' : `\`${name}\``;
    expect(page('clients')).toContain(`| ${shown} ${version}`);
  }
});

test('10.17e: the page about MCP-Nest warns of log messages to clients that have gone', () => {
  expect(page('hosts-mcp-nest')).toMatch(/`ctx\.log[\s\S]{0,600}process\.on\('unhandledRejection'/);
});

test('10.14b: no documented example has sessions without an idle limit', () => {
  const code =
    page('hosts-mcp-nest')
      .match(/(```|~~~)ts\n[\s\S]*?\1/g)
      ?.join('\n') ?? '';
  expect(code).toContain('statefulMode: false');
  expect(code).toContain('statelessMode: true');
  expect(page('hosts-sdk-v1')).toContain('closeIdle'); // run by test/e2e/faults/shutdown.spec.ts
  expect(page('hosts-sdk-v2')).not.toContain('sessionIdGenerator:');
});
