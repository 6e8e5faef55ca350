import { describe, expect, it, test } from 'vitest';
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import * as root from 'authplane-nestjs';
import * as core from 'authplane-nestjs/core';
import * as gateway from 'authplane-nestjs/gateway';
import * as mcp from 'authplane-nestjs/mcp';
import { httpStatus, toChallenge } from '../../src/core/challenge.js';
import { AuthplaneError } from '../../src/core/errors/authplane-error.js';
import { OutboundHttpError } from '../../src/core/http/errors.js';
import { parseChallenges } from '../support/tokens/challenge-parser.js';
import { type Row, tableBelow } from '../support/docs/table.js';

const PAGE = 'docs/errors.md';

/** What led to each of them. */
const CAUSE = new Error('first');

type ErrorClass = new (subject: unknown, options: object) => AuthplaneError;

const classes = new Map<string, ErrorClass>();
for (const value of [
  ...[root, core, mcp, gateway].flatMap((entry) => Object.values(entry)),
  OutboundHttpError,
]) {
  if (typeof value !== 'function' || !(value.prototype instanceof AuthplaneError)) continue;
  classes.set(value.name, value);
}

const rows = [
  'The inbound request',
  'DPoP',
  'The authorization server',
  'Set-up',
  'The gateway',
].flatMap((heading) => tableBelow(PAGE, heading));
const plain = (cell = '') => cell.replaceAll('`', '');

function errorOf({ class: name, code }: Row): AuthplaneError {
  const Kind = classes.get(plain(name));
  if (Kind === undefined) throw new Error(`no class ${name}`);
  const subject = plain(name) === 'InsufficientScopeError' ? ['a'] : 'x';
  return new Kind(subject, {
    error: plain(code),
    code: plain(code),
    statusCode: 400,
    reason: 'timeout',
    cause: CAUSE,
  });
}

function challengeOf(error: AuthplaneError): string {
  const { headers } = toChallenge(error, {
    schemes: ['Bearer', 'DPoP'],
    proofAlgorithms: ['ES256'],
  });
  const value = headers['WWW-Authenticate'];
  if (value === undefined) return 'none';
  const [first] = parseChallenges(value);
  const code = first?.parameters.find(([name]) => name === 'error')?.[1];
  return [first?.scheme, code].filter((word) => word !== undefined).join(' ');
}

describe('11.1: docs/errors.md', () => {
  it('has one row for every class of errors that an entry exports, and no other', () => {
    expect(rows.map((row) => plain(row['class'])).sort()).toEqual([...classes.keys()].sort());
    expect(rows.length).toBeGreaterThan(35);
  });

  it.each(rows)('$class: code, status and challenge are those of the code', (row) => {
    const error = errorOf(row);
    expect({
      code: error.code,
      status: String(httpStatus(error)),
      challenge: challengeOf(error),
    }).toEqual({
      code: plain(row['code']),
      status: row['status'],
      challenge: plain(row['challenge']),
    });
    expect(row['who throws it']).not.toBe('');
  });

  it.each(rows)('$class: is made of what it is about and options, with a cause', (row) => {
    const error = errorOf(row);
    expect([error.cause, error.name]).toEqual([CAUSE, plain(row['class'])]);
    expect(error.constructor.length).toBeLessThanOrEqual(2);
  });

  it.each([429, 502, 503, 504])('status %d of the authorization server becomes 503', (status) => {
    expect(httpStatus(new core.ServerError('x', { error: 'x', statusCode: status }))).toBe(503);
  });

  it('names every code and every rule that there is', () => {
    const text = readFileSync(PAGE, 'utf8');
    const codes = literalsOf('AuthplaneErrorCode', 'authplane-error');
    expect(codes.length).toBeGreaterThan(45);
    expect(codes.filter((code) => !text.includes(`\`${code}\``))).toEqual([]);
    const rules = tableBelow(PAGE, 'Which claim, and how').map(({ rule }) => plain(rule));
    expect(rules.sort()).toEqual(literalsOf('ClaimRule', 'token-errors').sort());
  });
});

test('11.1: every code of the union is the code of a class, or one of OAuthError', () => {
  const ofClasses = rows.map((row) => errorOf(row).code);
  const others = literalsOf('AuthplaneErrorCode', 'authplane-error').filter(
    (code) => !ofClasses.includes(code as core.AuthplaneErrorCode) && !isOfUpstreams(code),
  );
  const ofServer = others.map((error) => new core.OAuthError('x', { error, statusCode: 400 }).code);
  expect(ofServer).toEqual(others);
});

/** One class has them all. */
function isOfUpstreams(code: string): boolean {
  return code.startsWith('upstream_');
}

/** The members of an exported union of texts, as the compiler sees them. */
function literalsOf(name: string, module: string): string[] {
  const file = `src/core/errors/${module}.ts`;
  const program = ts.createProgram([file], {
    strict: true,
    target: ts.ScriptTarget.ES2022,
    types: [],
  });
  const source = program.getSourceFile(file);
  const checker = program.getTypeChecker();
  const declared = source?.statements.filter(ts.isTypeAliasDeclaration) ?? [];
  const found = declared.find((alias) => alias.name.text === name);
  const type = found && checker.getTypeAtLocation(found.name);
  const members = type?.isUnion() === true ? type.types : [];
  return members.filter((each) => each.isStringLiteral()).map(({ value }) => value);
}
