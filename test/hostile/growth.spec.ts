/**
 * Text of a request meets no regular expression that backtracks and no loop that is quadratic in it:
 * ten times the text, at most fifteen times the CPU time. `AUTHPLANE_STRESS` measures whole bodies
 * instead of pieces of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import ts from 'typescript';
import { CONSTRUCTED, EXPRESSIONS, LENGTHS } from '../support/hostile/expressions.js';
import { LOOPS } from '../support/hostile/loops.js';
import { BODY, type Reader } from '../support/hostile/making-readers.js';
import { READERS } from '../support/hostile/readers.js';
import { collectGarbage } from '../support/time/collect-garbage.js';

const SOURCE = 'src';
/** Everything but the entry that serves tests, so that a new folder cannot be forgotten. */
const FILES = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !file.startsWith('testing/'));

describe('9.2: every regular expression has a row in expressions.ts', () => {
  const found = FILES.flatMap(expressionsIn);
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

describe('9.2: every loop has a row in loops.ts', () => {
  const found = new Set(FILES.flatMap(loopsIn));
  const rows = Object.entries(LOOPS).flatMap(([file, functions]) =>
    Object.entries(functions).map(([name, bound]) => ({ loop: `${file}: ${name}`, bound })),
  );
  const listed = rows.map(({ loop }) => loop);

  test('none is missing: say what bounds it, or which of the readers measures it', () => {
    expect([...found].filter((one) => !listed.includes(one))).toEqual([]);
  });

  test('none is there that the sources have no more', () => {
    expect(listed.filter((one) => !found.has(one))).toEqual([]);
  });

  test('and every reader that is named is there', () => {
    const bounds = ['boot', 'bounded', ...Object.keys(READERS)];
    expect(rows.filter(({ bound }) => !bounds.includes(bound))).toEqual([]);
  });
});

/** Folders of which no reader is measured, and why. */
const UNMEASURED: Readonly<Record<string, string>> = {
  '': 'exports only',
  'core/calls': 'answers of the authorization server, by their expressions',
  'core/discovery': 'documents of the authorization server, read by core/lib',
  'core/errors': 'cuts what it quotes',
  'core/platform': 'reads nothing',
  'core/http': 'answers, of which the length is limited, by their expressions',
  gateway: 'hands on what its folders read',
  'gateway/options': 'text of the operator',
  'gateway/memory': 'messages that the gateway or the application has made',
  'gateway/modern': 'hands on what gateway/changes and gateway/wire read',
  mcp: 'hands bodies on that are judged',
  'mcp/mcp-nest': 'text of the application',
  'mcp/sdk': 'text of the application',
  nest: 'text of the application',
  'nest/boot': 'text of the application',
  'nest/context': 'text of the application',
  'nest/front': 'compares the target with paths that it knows',
  'nest/callers': 'header lines, read by core/token',
  'nest/log': 'cuts what it quotes',
  'nest/marks': 'text of the application',
  'nest/mcp/hosts': 'text of the application',
  'nest/refusals': 'text of our own',
  'nest/resources': 'looks up what others have read',
  redis: 'digests only',
};
const FOLDERS = [...new Set(FILES.map(folderOf))];
const MEASURED = new Set(
  ['readers.ts', 'gateway-readers.ts'].flatMap((file) => {
    const text = readFileSync(join('test/support/hostile', file), 'utf8');
    return [...text.matchAll(/'(?:\.\.\/)+src\/([^']+)'/g)].map(([, path = '']) => folderOf(path));
  }),
);

test('9.2: of every folder a reader is measured, or it is said why none is', () => {
  expect(FOLDERS.filter((folder) => !MEASURED.has(folder) && !(folder in UNMEASURED))).toEqual([]);
  expect(Object.keys(UNMEASURED).filter((folder) => MEASURED.has(folder))).toEqual([]);
  expect(Object.keys(UNMEASURED).filter((folder) => !FOLDERS.includes(folder))).toEqual([]);
});

function folderOf(path: string): string {
  return path.split('/').slice(0, -1).join('/');
}

function expressionsIn(file: string): string[] {
  return nodesOf(file).flatMap((node) => {
    if (ts.isRegularExpressionLiteral(node)) return [`${file}: ${node.text}`];
    const isCall = ts.isNewExpression(node) || ts.isCallExpression(node);
    return isCall && node.expression.getText() === 'RegExp' ? [`${file}: RegExp()`] : [];
  });
}

function loopsIn(file: string): string[] {
  return nodesOf(file)
    .filter((node) => ts.isIterationStatement(node, false))
    .map((node) => `${file}: ${functionAround(node)}`);
}

function functionAround(node: ts.Node): string {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  if (ts.isFunctionLike(node) && node.name !== undefined) return node.name.getText();
  return ts.isSourceFile(node) ? 'the file' : functionAround(node.parent);
}

function nodesOf(file: string): ts.Node[] {
  const text = readFileSync(join(SOURCE, file), 'utf8');
  const nodes: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    nodes.push(node);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return nodes;
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
      const found = expectLinearExpression(expression, LENGTHS.header, 2);
      await expect(found).rejects.toThrow(/factor/);
    },
  );
});

async function expectLinearExpression(
  expression: RegExp,
  length: number,
  mostAttempts?: number,
): Promise<void> {
  const slowest = hostileTexts(expression)
    .map((make) => ({ make, time: quickTime(() => make(length / 10).replace(expression, '')) }))
    .sort((one, other) => other.time - one.time)
    .slice(0, 3);
  for (const { make } of slowest) {
    await expectLinear(
      (size) => {
        const text = make(size);
        return () => text.replace(expression, '');
      },
      length,
      mostAttempts,
    );
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

describe('9.2: every reader of request text takes linear time', () => {
  test.each(Object.entries(READERS))('%s', async (_, { length, reading }) => {
    await expectLinear(reading, length);
  });
});

const FACTOR = 15;
/** Milliseconds of CPU time that nobody notices, and below which no clock can be trusted. */
const FLOOR = 0.5;
/** Milliseconds that collecting the garbage of one reading may take: CPU time counts it. */
const COLLECTION = 15;
/** The same of a body, which leaves more; its square takes seconds. */
const COLLECTION_OF_BODY = 60;

const FEWEST_ATTEMPTS = 8;
const MOST_ATTEMPTS = 100;
/** Milliseconds of readings after which what is slow is slow by itself, at `FEWEST_ATTEMPTS` or later. */
const PATIENCE = 1500;
/** From here on garbage is collected first: CPU time counts what the specs before left behind too. */
const UNDISTURBED = 3;

/**
 * Characters that a native method or an expression visits cannot be counted, so the CPU time of this process
 * is measured, which others that are busy do not use up. They can slow it down (caches, the other thread of
 * a core), and a collection can come in between: each size has its best of so many attempts that one of
 * them is undisturbed, and a square is far above what is allowed.
 */
async function expectLinear(
  reading: Reader['reading'],
  length: number,
  mostAttempts = MOST_ATTEMPTS,
): Promise<void> {
  const [small, large] = [reading(Math.floor(length / 10)), reading(length)];
  const collection = length < BODY ? COLLECTION : COLLECTION_OF_BODY;
  let [least, most, spent] = [Infinity, Infinity, 0];
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    if (attempt >= UNDISTURBED) collectGarbage();
    least = Math.min(least, await cpuTime(small));
    const time = await cpuTime(large);
    most = Math.min(most, time);
    if (most <= FACTOR * Math.max(least, FLOOR) + collection) return;
    spent += time;
    if (attempt + 1 >= FEWEST_ATTEMPTS && spent > PATIENCE) break;
  }
  expect({ small: least, large: most, factor: most / least }).toBe(`at most ${FACTOR} times`);
}

async function cpuTime(read: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  try {
    await read();
  } catch (error) {
    // Refused; in what time is the question. A mistake in the row itself would measure nothing.
    if (error instanceof TypeError || error instanceof ReferenceError) throw error;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function quickTime(read: () => unknown): number {
  const started = performance.now();
  read();
  return performance.now() - started;
}
