import { execFile, execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AuthplaneModule } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
  type TokenClaims,
} from 'authplane-nestjs/testing';
import { McpController, mcp, NotesServer } from '../../e2e/apps/hosts-sdk-v2.js';
import { SCOPES } from '../../e2e/apps/hosts-suite.js';
import { freePort, platforms, type RunningApp, startApp } from '../../e2e/apps/start-app.js';

const folder = mkdtempSync(join(tmpdir(), 'authplane-python-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const { AUTHPLANE_PYTHON: INSTALLED } = process.env;
const python = INSTALLED ?? join(folder, 'bin', 'python');

/** Python's SDK in an environment of its own: what a user of it would install. */
function installClient(): boolean {
  if (INSTALLED !== undefined) return true;
  const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'pipe', 'pipe'] };
  try {
    execFileSync('python3', ['-m', 'venv', folder], quiet);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    execFileSync(python, [...pip, 'mcp>=2,<3'], { ...quiet, timeout: 240_000 });
    return true;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true }); // nothing runs after skipped tests
    console.warn(
      `SKIPPED: the tests with Python's MCP client need python3, venv and pip's index: ${String(error)}`,
    );
    return false;
  }
}

const describeWithPython = installClient() ? describe : describe.skip;

interface Outcome {
  /** Scopes that the client asked the authorization server for, each time. */
  readonly asked: readonly string[];
  readonly text?: string;
  readonly isError?: boolean;
  /** What the user of the client reads. */
  readonly error?: string;
}

describeWithPython.each(platforms)("10.17d: Python's MCP client against %s", (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;
  let mcpUrl: string;

  beforeEach(async () => {
    const port = await freePort();
    const baseUrl = `http://127.0.0.1:${port}`;
    mcpUrl = `${baseUrl}/mcp`;
    authorizationServer = await startAuthorizationServer({
      autoApprove: 'alice',
      resources: [{ uri: mcpUrl, scopes: SCOPES }],
    });
    const { issuer } = authorizationServer;
    app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ issuer, baseUrl, devMode: true, scopes: SCOPES, mcp })],
        controllers: [McpController],
        providers: [NotesServer],
      },
      { platform, port },
    );
  });
  afterEach(async () => {
    await app.close();
    await authorizationServer.close();
  });

  /** Adds a note, which needs `notes:use` for the endpoint and `notes:write` for the tool. */
  async function addNote(mode: string, token?: string): Promise<Outcome> {
    const script = join(import.meta.dirname, 'python-client', 'client.py');
    const args = [script, mcpUrl, mode, 'add_note', JSON.stringify({ note: 'milk' })];
    const { stdout } = await promisify(execFile)(
      python,
      token === undefined ? args : [...args, token],
    );
    return JSON.parse(stdout) as Outcome;
  }

  const tokenWith = (claims: TokenClaims) =>
    authorizationServer.issueToken({ aud: mcpUrl, ...claims });

  describe.each(['auto', 'legacy'])('protocol revision: %s', (mode) => {
    test('finds the authorization server from our 401, and steps up inside the call', async () => {
      const { asked, text, isError, error } = await addNote(mode);
      expect(error).toBeUndefined();
      expect({ text, isError }).toEqual({ text: 'alice has added milk', isError: false });
      expect(asked.map((scope) => scope.split(' ').sort())).toEqual([
        ['notes:use'],
        ['notes:use', 'notes:write'],
      ]);
    });

    test('a static token that is good: the call is answered', async () => {
      const token = await tokenWith({ sub: 'bob', scope: 'notes:use notes:write' });
      expect(await addNote(mode, token)).toEqual({
        asked: [],
        text: 'bob has added milk',
        isError: false,
      });
    });

    test('a static token that has ended: the user reads why', async () => {
      const ended = await tokenWith({ scope: 'notes:use', exp: 1_600_000_000, iat: 1_500_000_000 });
      const { error, text } = await addNote(mode, ended);
      expect(text).toBeUndefined();
      expect(error).toContain('The access token is missing, expired, revoked or not valid');
    });

    test('a static token without the scope: the user reads which', async () => {
      const { error, text } = await addNote(mode, await tokenWith({ scope: 'notes:use' }));
      expect(text).toBeUndefined();
      expect(error).toContain('lacks a scope that this operation needs: notes:use notes:write');
    });
  });
});
