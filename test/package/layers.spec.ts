import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const IMPORTS = '@typescript-eslint/no-restricted-imports';
const PATHS = 'import-x/no-restricted-paths';
const SYNTAX = 'no-restricted-syntax';
const GLOBALS = 'no-restricted-globals';

/** A file of `src` that need not exist, what it might say, and the rule that refuses it. */
type Snippet = readonly [file: string, code: string, rule: string | null];

const core = 'core/lib/scopes.ts';
const nest = 'nest/http/request.ts';
const mcp = 'mcp/answers/consent.ts';
const gateway = 'gateway/upstream/upstream.ts';
const redis = 'redis/store.ts';
const testing = 'testing/http/reply.ts';

const snippets: readonly Snippet[] = [
  [core, `import type { JWK } from 'jose';`, null],
  [core, `import 'jose';`, IMPORTS],
  [core, `import 'node:crypto';`, IMPORTS],
  [core, `import { hash } from 'node:crypto';`, IMPORTS],
  [core, `import type { KeyObject } from 'node:crypto';`, null],
  [core, `export const net = process.getBuiltinModule('node:net');`, SYNTAX],
  ['core/platform/node.ts', `export const net = process.getBuiltinModule('node:net');`, null],
  [core, `import '../errors/token-errors.js';`, null],
  [core, `import '@nestjs/common';`, IMPORTS],
  [core, `import type { Type } from '@nestjs/common';`, IMPORTS],
  [core, `export { Module } from '@nestjs/common';`, IMPORTS],
  [core, `import 'rxjs';`, IMPORTS],
  [core, `import 'rxjs/operators';`, IMPORTS],
  [core, `import '@modelcontextprotocol/sdk/types.js';`, IMPORTS],
  [core, `import 'authplane-nestjs';`, IMPORTS],
  [core, `import 'undici';`, IMPORTS],
  [core, `import 'fs';`, IMPORTS],
  [core, `export const nest = import('@nestjs/common');`, SYNTAX],
  [core, `import '../../nest/http/request.js';`, PATHS],
  [core, `import type { RequestState } from '../../nest/http/request.js';`, PATHS],
  [core, `import '../../testing/http/reply.js';`, PATHS],
  [core, `import '../../../test/support/servers/http-servers.js';`, PATHS],
  [core, `import '../index.js';`, PATHS],

  [core, `import { request } from 'node:http';`, IMPORTS],
  [core, `import { request } from 'node:https';`, IMPORTS],
  [core, `import { connect } from 'node:net';`, IMPORTS],
  [core, `import { isIP } from 'node:net';`, IMPORTS],
  [core, `import { connect } from 'node:tls';`, IMPORTS],
  [core, `import { lookup } from 'node:dns/promises';`, IMPORTS],
  [core, `import { type Server, request } from 'node:http';`, IMPORTS],
  [core, `import type { Server } from 'node:http';`, null],
  [
    core,
    `import { type Server } from 'node:http';`,
    '@typescript-eslint/no-import-type-side-effects',
  ],
  [core, `export const answer = fetch('https://as.example');`, GLOBALS],
  [core, `export const answer = globalThis.fetch('https://as.example');`, GLOBALS],
  [
    'core/http/socket.ts',
    `import { request } from 'node:http'; import { connect } from 'node:net';`,
    null,
  ],
  ['core/http/socket.ts', `export const answer = fetch('https://as.example');`, null],
  ['core/http/socket.ts', `import '@nestjs/common';`, IMPORTS],

  [nest, `import '@nestjs/common'; import '@nestjs/core'; import 'rxjs';`, null],
  [nest, `import '../../core/lib/scopes.js';`, null],
  [nest, `import '@nestjs/common/constants.js';`, IMPORTS],
  [nest, `import '@nestjs/platform-express';`, IMPORTS],
  [nest, `import '@nestjs/microservices';`, IMPORTS],
  [
    nest,
    `import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';`,
    IMPORTS,
  ],
  [nest, `import type { McpModule } from '@rekog/mcp-nest';`, IMPORTS],
  [nest, `import 'jose';`, IMPORTS],
  [nest, `import { request } from 'node:http';`, IMPORTS],
  [nest, `import '../../core/index.js';`, PATHS],
  [nest, `import '../../index.js';`, PATHS],
  [nest, `import '../../testing/http/reply.js';`, PATHS],

  // 10.11c: one file that logs, one that has the answer of a refusal.
  [nest, `import { Logger } from '@nestjs/common';`, IMPORTS],
  [nest, `import { Injectable, ConsoleLogger as Log } from '@nestjs/common';`, IMPORTS],
  [nest, `import * as common from '@nestjs/common';`, IMPORTS],
  [nest, `export { Logger } from '@nestjs/common';`, IMPORTS],
  [nest, `import { HttpException } from '@nestjs/common';`, IMPORTS],
  [nest, `import { UnauthorizedException } from '@nestjs/common';`, IMPORTS],
  [nest, `import type { ExceptionFilter, LoggerService } from '@nestjs/common';`, null],
  [mcp, `import { Logger } from '@nestjs/common';`, IMPORTS],
  [mcp, `import { ForbiddenException } from '@nestjs/common';`, IMPORTS],
  ['nest/log/package-logger.ts', `import { Logger } from '@nestjs/common';`, null],
  ['nest/log/package-logger.ts', `import { HttpException } from '@nestjs/common';`, IMPORTS],
  ['nest/log/package-logger.ts', `import '@nestjs/platform-express';`, IMPORTS],
  ['nest/refusals/http-refusal.ts', `import { HttpException } from '@nestjs/common';`, null],
  ['nest/refusals/http-refusal.ts', `import { Logger } from '@nestjs/common';`, IMPORTS],

  // 11.1: errors as data.
  [core, `throw new InvalidClaimsError('why');`, SYNTAX],
  [core, `throw new InvalidDPoPProofError('why');`, SYNTAX],
  [nest, `throw new InvalidClaimsError('why');`, SYNTAX],
  [core, `throw new InvalidClaimsError('why', { rule: 'missing' });`, null],

  [mcp, `import '@nestjs/common'; import 'rxjs';`, null],
  [mcp, `import '../../core/lib/scopes.js'; import '../../nest/http/request.js';`, null],
  [mcp, `import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';`, null],
  [mcp, `import type { McpModule } from '@rekog/mcp-nest';`, null],
  [mcp, `import { McpError } from '@modelcontextprotocol/sdk/types.js';`, IMPORTS],
  [mcp, `import { McpModule } from '@rekog/mcp-nest';`, IMPORTS],
  [mcp, `export const sdk = import('@modelcontextprotocol/sdk/types.js');`, SYNTAX],
  [mcp, `import '@nestjs/core';`, IMPORTS],
  [mcp, `import '../../testing/http/reply.js';`, PATHS],
  [mcp, `import '../../core/index.js';`, PATHS],
  ['mcp/index.ts', `import '../core/index.js';`, null],

  [gateway, `import '../../core/lib/scopes.js'; import '../../nest/http/request.js';`, null],
  [gateway, `import '../../mcp/serve-mcp.js';`, null],
  [gateway, `import '@nestjs/core';`, null],
  [gateway, `import '@nestjs/platform-express';`, IMPORTS],
  [gateway, `import type { Server } from '@modelcontextprotocol/server';`, IMPORTS],
  [gateway, `import { request } from 'node:http';`, IMPORTS],
  [gateway, `export const sdk = import('@modelcontextprotocol/server');`, SYNTAX],
  [gateway, `import '../listing/catalogue.js';`, PATHS],
  [mcp, `import '../../gateway/gateway.js';`, PATHS],

  [redis, `import '../core/lib/scopes.js';`, null],
  [redis, `import type { Redis } from 'ioredis';`, null],
  [redis, `import { Redis } from 'ioredis';`, IMPORTS],
  [redis, `import '@nestjs/common';`, IMPORTS],
  [redis, `import '../nest/http/request.js';`, PATHS],

  [testing, `import '../../core/lib/strict-json.js';`, null],
  [testing, `import { createServer } from 'node:http';`, null],
  [testing, `import '@nestjs/testing';`, IMPORTS],
  [testing, `import '../../nest/http/request.js';`, PATHS],
  [testing, `import '../index.js';`, PATHS],

  // 11.4: folders inside a layer, from the ground up.
  ['core/lib/scopes.ts', `import '../token/access-token.js';`, PATHS],
  ['core/token/access-token.ts', `import '../dpop/proof.js';`, PATHS],
  ['core/token/access-token.ts', `import '../discovery/jwks.js';`, null],
  ['core/dpop/proof.ts', `import type { ClientOptions } from '../options.js';`, PATHS],
  ['core/operations/token-cache.ts', `import '../client.js';`, PATHS],
  ['core/client.ts', `import './operations/token-cache.js';`, null],
  ['nest/mcp/state/tasks.ts', `import '../endpoint-rules.js';`, PATHS],
  ['nest/mcp/endpoint-rules.ts', `import './state/tasks.js';`, null],
  ['nest/mcp/hosts/mcp-nest.ts', `import '../answers/lists.js';`, PATHS],
  ['nest/boot/self-check.ts', `import '../authplane.guard.js';`, PATHS],
  ['mcp/answers/consent.ts', `import '../sdk/scoped.js';`, PATHS],
  ['testing/records/clients.ts', `import '../endpoints/discovery.js';`, PATHS],

  ['index.ts', `export * from './core/index.js';`, null],
  ['index.ts', `export * from './nest/authplane.module.js';`, null],
  ['index.ts', `export * from './mcp/index.js';`, IMPORTS],
  ['index.ts', `export * from './testing/index.js';`, IMPORTS],
  ['index.ts', `export * from 'jose';`, IMPORTS],
];

describe('who may import whom', () => {
  const findings = lint(snippets);

  test.each(snippets.map((snippet, index) => [...snippet, findings[index]] as const))(
    'src/%s: %s: %s',
    (_file, _code, rule, found) => {
      if (rule === null) expect(relevant(found)).toEqual([]);
      else expect(relevant(found)).toContain(rule);
    },
  );
});

/** Rules that judge how a snippet is used are not the subject: snippets use nothing. */
const ASIDE = new Set(['@typescript-eslint/no-unused-vars']);

function relevant(rules: readonly string[] = ['not linted']): string[] {
  return rules.filter((rule) => !ASIDE.has(rule));
}

function lint(pieces: readonly Snippet[]): string[][] {
  const input = pieces.map(([file, code]) => ({ file: `src/${file}`, code }));
  const output = execFileSync(process.execPath, ['test/support/package/lint-snippets.js'], {
    input: JSON.stringify(input),
    encoding: 'utf8',
  });
  return JSON.parse(output) as string[][];
}
