import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { compileApp, installApp } from '../../support/package/installed-app.js';
import { MCP_NEST_1_9 } from '../../support/package/peers.js';
import { PROJECT } from '../../support/package/packed-package.js';

let boots: Record<string, string>;

beforeAll(async () => {
  const app = installApp('mcp-nest-boot', MCP_NEST_1_9);
  mkdirSync(join(app, 'src'));
  const source = join(PROJECT, 'test/package/matrix/mcp-nest-1.9/boot.ts.txt');
  writeFileSync(join(app, 'src/boot.ts'), readFileSync(source, 'utf8'));
  compileApp(app);
  const authorizationServer = await startAuthorizationServer();
  const env = { ...process.env, NODE_OPTIONS: '', AUTHPLANE_ISSUER: authorizationServer.issuer };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [join(app, 'dist/boot.js')], {
      env,
    });
    boots = JSON.parse(stdout) as Record<string, string>;
  } finally {
    await authorizationServer.close();
  }
});

describe('9.1e: MCP-Nest 1.9 would run another method than it matched; the boot fails', () => {
  test.each([
    [
      'resources of one name',
      'AdminNotes.all and Notes.all share a name (resource "admin://private" and',
    ],
    ['templates of one name', 'AdminTemplates.one and Templates.one share a name'],
    ['tools of one name', 'Tools.write and MoreTools.again share a name (tool "write")'],
    [
      'one token in two modules',
      'PublicBase and AdminBase are provided under one token in several modules',
    ],
  ])('%s', (name, problem) => {
    expect(boots[name]).toContain(problem);
  });
});

describe('9.1g: MCP-Nest 1.9 has other operations than the decorators say; the boot fails', () => {
  test.each([
    ['a name that changes', 'serves LateTools.late as tool "after", its decorator said "before"'],
    [
      'members of an instance',
      'serves InstanceTools.run as tool "of_object", and no class that Nest knows',
    ],
    ['an object of a factory', 'serves "run" as tool "of_object", and no class that Nest knows'],
    [
      'tools in a module without McpModule',
      'no server of MCP-Nest 1 has the tool "write" of Tools.write: import McpModule in its module',
    ],
    ['a name in the options that no server has', 'mcp: no server has the tool "wirte"'],
  ])('%s', (name, problem) => {
    expect(boots[name]).toContain(problem);
  });
});

test.each([
  'resources of two names',
  'one of these modules',
  'a class in two modules',
  'a name in the options that is registered by hand',
])('no false alarm: %s', (name) => {
  expect(boots[name]).toBe('started');
});
