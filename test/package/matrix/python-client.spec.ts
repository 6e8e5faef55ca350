import { execFile, execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, type McpServer } from '@modelcontextprotocol/server';
import { All, Controller, Injectable, Req, Res, type Type, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, AuthplaneModule, Scopes } from 'authplane-nestjs';
import {
  type McpServe,
  type PlatformReply,
  type PlatformRequest,
  serveMcp,
} from 'authplane-nestjs/mcp';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
  type TokenClaims,
} from 'authplane-nestjs/testing';
import { McpController, mcp, NotesServer } from '../../support/hosts/hosts-sdk-v2.js';
import { SCOPES } from '../../support/hosts/hosts-suite.js';
import { freePort, platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

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

const CALLS = 5;

/** A tool more, which waits until all have come. */
@Injectable()
class MeetingServer extends NotesServer {
  readonly #arrived: (() => void)[] = [];

  override createServer(): McpServer {
    const server = super.createServer();
    server.registerTool('meet', { description: 'Waits for all others' }, async () => {
      await new Promise<void>((resolve) => {
        this.#arrived.push(resolve);
        if (this.#arrived.length >= CALLS) for (const go of this.#arrived.splice(0)) go();
      });
      return { content: [{ type: 'text', text: 'all are here' }] };
    });
    return server;
  }
}

/** As the example, but its answers in 2026-07-28 are streams, too. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('notes:use')
class StreamingController {
  readonly #serve = toNodeHandler(
    createMcpHandler(() => this.notes.createServer(), { responseMode: 'sse' }),
  ) as McpServe;

  constructor(private readonly notes: NotesServer) {}

  @All()
  handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return serveMcp(request, reply, () => this.#serve);
  }
}

describeWithPython.each(platforms)("10.17d: Python's MCP client against %s", (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;
  let mcpUrl: string;

  async function start(controller: Type): Promise<void> {
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
        controllers: [controller],
        providers: [{ provide: NotesServer, useClass: MeetingServer }],
      },
      { platform, port },
    );
  }
  afterEach(async () => {
    await app.close();
    await authorizationServer.close();
  });

  /** Adds a note, which needs `notes:use` for the endpoint and `notes:write` for the tool. */
  function addNote(mode: string, token = ''): Promise<Outcome> {
    return callTool(mode, 'add_note', { note: 'milk' }, token);
  }

  async function callTool(
    mode: string,
    tool: string,
    args: object,
    token: string,
    calls = 1,
  ): Promise<Outcome> {
    const script = join(import.meta.dirname, 'python-client', 'client.py');
    const { stdout } = await promisify(execFile)(python, [
      ...[script, mcpUrl, mode, tool, JSON.stringify(args), token, String(calls)],
    ]);
    return JSON.parse(stdout) as Outcome;
  }

  test.each(['auto', 'legacy'])(
    '10.14b: calls of a client with OAuth run at once, protocol revision: %s',
    async (mode) => {
      await start(StreamingController);
      // It sends the next call when it has the head of the last answer, so each has to come early.
      const { text, isError, error } = await callTool(mode, 'meet', {}, '', CALLS);
      expect(error).toBeUndefined();
      const met = Array.from({ length: CALLS }, () => 'all are here').join('\n');
      expect({ text, isError }).toEqual({ text: met, isError: false });
    },
  );

  const tokenWith = (claims: TokenClaims) =>
    authorizationServer.issueToken({ aud: mcpUrl, ...claims });

  describe.each(['auto', 'legacy'])('protocol revision: %s', (mode) => {
    beforeEach(() => start(McpController));

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
