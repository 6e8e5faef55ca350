/**
 * Text of a request meets no regular expression that backtracks and no loop that is quadratic in it:
 * ten times the text, at most fifteen times the CPU time. `AUTHPLANE_STRESS` measures whole bodies
 * instead of pieces of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import ts from 'typescript';
import { isCanonicalBase64url, parseCompactJws } from '../../src/core/token/compact-jws.js';
import {
  headerLines,
  parseCredentials,
  presentedScheme,
} from '../../src/core/token/credentials.js';
import { canonicalHtu, requestUrl } from '../../src/core/dpop/htu.js';
import {
  asksForList,
  asksForUpdates,
  isJsonRpc,
  operationsOf,
} from '../../src/core/mcp/json-rpc.js';
import { TokenResponse } from '../../src/core/operations/oauth-response.js';
import { OperationScopes } from '../../src/core/mcp/operation-scopes.js';
import { quoted } from '../../src/core/lib/text.js';
import { fetchAs } from '../../src/core/operations/fetch-as.js';
import { UriTable } from '../../src/core/mcp/resource-uris.js';
import { signingInput } from '../../src/core/token/signing-input.js';
import { parseStrictJson } from '../../src/core/lib/strict-json.js';
import { UriReader } from '../../src/core/mcp/uri-variables.js';
import { unverifiedClaim } from '../../src/core/token/unverified-claims.js';
import { EventStream } from '../../src/nest/http/event-stream.js';
import { HiddenNames } from '../../src/nest/mcp/answers/hidden-names.js';
import { McpSessions } from '../../src/nest/mcp/state/sessions.js';
import { comparablePath } from '../../src/nest/http/routes.js';
import { CONSTRUCTED, EXPRESSIONS, LENGTHS } from '../support/hostile/expressions.js';

const SOURCE = 'src';
const PUBLISHED = ['core', 'nest', 'mcp', 'redis']; // src/testing serves tests
const isFull = process.env['AUTHPLANE_STRESS'] !== undefined;
const BODY = isFull ? LENGTHS.body : 131_072;

describe('9.2: every regular expression has a row in expressions.ts', () => {
  const found = PUBLISHED.flatMap((folder) =>
    readdirSync(join(SOURCE, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => expressionsIn(`${folder}/${file.replaceAll('\\', '/')}`)),
  );
  const listed = [
    ...Object.entries(EXPRESSIONS).flatMap(([file, rows]) =>
      rows.map(([expression]) => `${file}: ${expression}`),
    ),
    ...CONSTRUCTED.map((file) => `${file}: RegExp()`),
  ];

  test('none is missing: name the text that it meets, and this spec measures it', () => {
    expect(found.filter((one) => !listed.includes(one))).toEqual([]);
  });

  test('none is there that the sources have no more', () => {
    expect(listed.filter((one) => !found.includes(one))).toEqual([]);
  });
});

function expressionsIn(file: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) found.push(`${file}: ${node.text}`);
    if (
      (ts.isNewExpression(node) || ts.isCallExpression(node)) &&
      node.expression.getText(source) === 'RegExp'
    ) {
      found.push(`${file}: RegExp()`);
    }
    ts.forEachChild(node, visit);
  };
  const text = readFileSync(join(SOURCE, file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  visit(source);
  return found;
}

describe('9.2: every regular expression that meets foreign text takes linear time', () => {
  const rows = Object.entries(EXPRESSIONS).flatMap(([file, list]) =>
    list.flatMap(([expression, meets]) =>
      meets === 'boot' ? [] : [[file, expression, meets] as const],
    ),
  );

  test.each(rows)('%s: %s, %s', async (_, expression, meets) => {
    await expectLinearExpression(expression, meets === 'body' ? BODY : LENGTHS[meets]);
  });

  test.each([/\s+$/, /\beyJ[\w-]*\.[\w-]+\./, /\{\?[^}]*\}/])(
    'and %s, which does not, is found',
    async (expression) => {
      await expect(expectLinearExpression(expression, LENGTHS.header)).rejects.toThrow(/factor/);
    },
  );
});

async function expectLinearExpression(expression: RegExp, length: number): Promise<void> {
  const slowest = hostileTexts(expression)
    .map((make) => ({ make, time: quickTime(() => make(length / 10).replace(expression, '')) }))
    .sort((one, other) => other.time - one.time)
    .slice(0, 3);
  for (const { make } of slowest) {
    await expectLinear((size) => {
      const text = make(size);
      return () => text.replace(expression, '');
    }, length);
  }
}

/** Texts of a given length, made of what the expression itself speaks of, that do not end as it wants. */
function hostileTexts({ source }: RegExp): ((length: number) => string)[] {
  const words = source
    .replace(/\\[dswbDSWBnrtu]|\\x..|\\p\{\w+\}|\(\?<?[:!=]?/g, ' ')
    .replaceAll('\\', '')
    .split(/[\^$()[\]|*+]+|(?<!\w)\?|\s+/)
    .filter((word) => word !== '');
  const all = words.join('');
  const atoms = new Set([
    ...words,
    all || 'a',
    'a',
    'A',
    '1',
    ' ',
    '/',
    '.',
    '-',
    '=',
    '%41',
    '\r',
    '\n',
    '{?',
    'eyJ-',
  ]);
  const leads = ['', words[0] ?? '', 'http://', 'Bearer '];
  const ends = ['', '\n!', '\u0000'];
  const repeated = (atom: string, length: number) =>
    atom.repeat(Math.ceil(length / atom.length)).slice(0, length);
  return [...atoms].flatMap((atom) =>
    leads.flatMap((lead) =>
      ends.map((end) => (length: number) => lead + repeated(atom, length) + end),
    ),
  );
}

interface Reader {
  readonly length: number;
  /** Prepares a text of about this length. @returns what reads it. */
  readonly reading: (length: number) => () => unknown;
}

const reader = (length: number, reading: Reader['reading']): Reader => ({ length, reading });
const ofText = (length: number, atom: string, read: (text: string) => unknown): Reader =>
  reader(length, (size) => {
    const text = atom.repeat(Math.ceil(size / atom.length));
    return () => read(text);
  });
const ofJson = (make: (count: number) => unknown, read: (body: unknown) => unknown): Reader =>
  reader(BODY, (size) => {
    const body = make(Math.ceil(size / 10));
    return () => read(body);
  });

const nested = (count: number) => {
  let value: unknown = 1;
  for (let i = 0; i < count; i++) value = { params: value };
  return value;
};
const wide = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`member-${index}`, index]));
const message = (method: string, params: unknown) => ({ jsonrpc: '2.0', id: 1, method, params });
const scopes = new OperationScopes(
  ['x://{a}/b/{c}', 'x://secret', 'x://{d}{?q}', '{+all}a'].map((name) => ({
    kind: 'resource',
    name,
    requirement: ['a'],
    hidden: true,
  })),
  true,
);
const issued = new TokenResponse({
  accessToken: 'issued',
  tokenType: 'Bearer',
  expiresIn: undefined,
  scope: undefined,
  issuedTokenType: undefined,
  refreshToken: undefined,
  raw: {},
});

function passesOn(inboundHeaders: Record<string, string>): Promise<unknown> {
  const request = { subjectToken: 'subject', url: 'https://api.example.com/', exchange: {} };
  return fetchAs(
    { ...request, inboundHeaders },
    {
      tokens: { exchange: async () => issued, evictRefused: () => undefined },
      fetch: async () => new Response(),
    },
  );
}

function streamed(text: string, chunk: number): string {
  const stream = new EventStream((data) => `${data} `);
  let out = '';
  for (let at = 0; at < text.length; at += chunk) out += stream.push(text.slice(at, at + chunk));
  return out + stream.end();
}

/** Loops and whole readers; attempts to throw are theirs. */
const READERS: Readonly<Record<string, Reader>> = {
  'an Authorization header': ofText(LENGTHS.header, 'Bearer a ', (value) =>
    parseCredentials(['Authorization', value]),
  ),
  'a scheme of many letters': ofText(LENGTHS.header, 'B', (value) =>
    presentedScheme(['Authorization', value]),
  ),
  'many header lines': reader(LENGTHS.header, (size) => {
    const lines = Array.from({ length: size / 4 }, () => ['a', 'b']).flat();
    return () => headerLines(lines, 'authorization');
  }),
  'a token of dots': ofText(LENGTHS.token, '.', parseCompactJws),
  'a token of letters': ofText(LENGTHS.token, 'eyJ', parseCompactJws),
  'a token that is too long': ofText(BODY, 'eyJ.', parseCompactJws),
  'a segment of a token': ofText(LENGTHS.token, 'A-', isCanonicalBase64url),
  'what names a token': ofText(BODY, 'a.', signingInput),
  'a claim nobody has verified': ofText(BODY, 'a.', (token) => unverifiedClaim(token, 'exp')),
  'htu with many segments': ofText(LENGTHS.token, '/..', (path) =>
    canonicalHtu(`https://h${path}`),
  ),
  'htu with many escapes': ofText(LENGTHS.token, '%41', (path) =>
    canonicalHtu(`https://h/${path}`),
  ),
  'htu with a long authority': ofText(LENGTHS.token, 'a.', (host) =>
    canonicalHtu(`https://${host}`),
  ),
  'a request target': ofText(LENGTHS.header, '/a/..', (path) => requestUrl('https://h', '', path)),
  'a path to compare': ofText(LENGTHS.header, '/%2e%2e', comparablePath),
  'session ids in a query': ofText(LENGTHS.header, 'sessionId=a&', (query) =>
    new McpSessions().names({ url: `/?${query}`, headers: {} } as IncomingMessage),
  ),
  'nested JSON': ofText(BODY, '[', (text) => parseStrictJson(Buffer.from(text))),
  'wide JSON': ofJson(wide, (value) => parseStrictJson(Buffer.from(JSON.stringify(value)))),
  'a JSON text of quotes': ofText(BODY, '"a":', (text) => parseStrictJson(Buffer.from(text))),
  'operations in a nested body': ofJson((n) => message('tools/call', nested(n)), operationsOf),
  'operations in a wide body': ofJson((n) => message('tools/call', wide(n)), operationsOf),
  'operations in a batch': ofJson((n) => Array.from({ length: n }, () => ({})), operationsOf),
  'many subscriptions': ofJson(
    (n) =>
      message('subscriptions/listen', {
        notifications: { resourceSubscriptions: Array.from({ length: n }, () => 'x://y') },
      }),
    operationsOf,
  ),
  'a long name': ofText(BODY, 'n', (name) => {
    const [operation] = operationsOf(message('tools/call', { name }));
    return operation && scopes.knows(operation);
  }),
  'is it JSON-RPC': ofJson((n) => Array.from({ length: n }, () => ({ a: 1 })), isJsonRpc),
  'does it ask for lists': ofJson((n) => message('tools/list', wide(n)), asksForList),
  'does it ask for updates': ofJson(
    (n) => message('subscriptions/listen', wide(n)),
    asksForUpdates,
  ),
  ...Object.fromEntries(
    ['{?', '{?{', '/', 'a', '://', '%41', '%', 'x://a/b/', ':a'].map((atom) => [
      `a resource URI of ${atom}`,
      ofText(LENGTHS.uri, atom, (uri) =>
        scopes.knows({ kind: 'resource', name: uri.slice(0, 8192) }),
      ),
    ]),
  ),
  'a table of templates': reader(LENGTHS.uri, (size) => {
    const table = new UriTable([['x://{a}a{b}a{c}a{d}a{e}!', 1]], true);
    return () => table.find(`x://${'a'.repeat(size - 10)}`);
  }),
  'variables of a template': reader(LENGTHS.uri, (size) => {
    const read = new UriReader('x://{a}a{b}a{+c}a{d*}a{e}!', true);
    return () => read.read(`x://${'a'.repeat(size - 10)}`);
  }),
  'an event of one line': ofText(BODY, 'a', (text) => streamed(`data: ${text}\n\n`, 65_536)),
  'an event in small pieces': ofText(BODY, 'a', (text) => streamed(`data: ${text}\n\n`, 7)),
  'an event of many lines': ofText(BODY, 'data: a\n', (text) => streamed(`${text}\n`, 65_536)),
  'many events': ofText(BODY, 'data: a\r\n\r\n', (text) => streamed(text, 1000)),
  'a stream of line ends': ofText(BODY, '\r', (text) => streamed(`data: a${text}`, 65_536)),
  'an answer to restore': reader(BODY, (size) => {
    const names = new HiddenNames();
    const text = `${names.standInFor({ kind: 'resource', name: 'secret' }).slice(0, -1)} `.repeat(
      size / 40,
    );
    return () => names.restore(text);
  }),
  'text for a log line': ofText(BODY, '\u0000', (text) => quoted(text)),
  'inbound headers like tokens': ofText(LENGTHS.header, 'eyJ-', (value) => passesOn({ a: value })),
  'inbound headers like tokens, with dots': ofText(LENGTHS.header, 'eyJ.', (value) =>
    passesOn({ a: `${value}!` }),
  ),
  'many inbound headers': reader(LENGTHS.header, (size) => {
    const names = Array.from({ length: size / 8 }, (_, index) => `x-${index}`);
    const headers = Object.fromEntries(names.map((name) => [name, 'a']));
    return () => passesOn({ ...headers, connection: names.join(',') });
  }),
};

describe('9.2: every reader of request text takes linear time', () => {
  test.each(Object.entries(READERS))('%s', async (_, { length, reading }) => {
    await expectLinear(reading, length);
  });
});

const FACTOR = 15;
/** Milliseconds of CPU time that nobody notices, and below which no clock can be trusted. */
const FLOOR = 2;

/** A busy machine may disturb a measurement, never all of them. */
async function expectLinear(reading: Reader['reading'], length: number): Promise<void> {
  const [small, large] = [reading(Math.floor(length / 10)), reading(length)];
  let [least, most] = [Infinity, Infinity];
  for (let i = 0; i < 6; i++) {
    least = Math.min(least, await cpuTime(small));
    most = Math.min(most, await cpuTime(large));
    if (most <= FACTOR * Math.max(least, FLOOR / 4)) return;
  }
  expect({ small: least, large: most, factor: most / least }).toBe(`at most ${FACTOR} times`);
}

async function cpuTime(read: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  try {
    await read();
  } catch {
    // refused; in what time is the question
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function quickTime(read: () => unknown): number {
  const started = performance.now();
  read();
  return performance.now() - started;
}
