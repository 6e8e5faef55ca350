import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, type McpServer } from '@modelcontextprotocol/server';
import { All, Controller, Injectable, Req, Res, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, Scopes } from 'authplane-nestjs';
import {
  type McpServe,
  type PlatformReply,
  type PlatformRequest,
  serveMcp,
} from 'authplane-nestjs/mcp';
import type { TokenClaims } from 'authplane-nestjs/testing';
import { NotesServer } from '../../support/hosts/hosts-sdk-v2.js';
import { platforms } from '../../support/nest/start-app.js';
import { LineProcess } from '../../support/package/line-process.js';
import {
  type NotesApp,
  recordRequests,
  sendPlainRefusals,
  startNotesApp,
} from '../../support/package/notes-app.js';

const folder = mkdtempSync(join(tmpdir(), 'authplane-python-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a user of Python installs, in an environment of its own. */
interface Environment {
  readonly packages: readonly string[];
  /** The variable that names one which is there already. */
  readonly variable: string;
}
const ENVIRONMENTS = {
  mcp2: { packages: ['mcp>=2,<3', 'fastmcp>=4,<5'], variable: 'AUTHPLANE_PYTHON' },
  mcp1: { packages: ['mcp>=1.30,<2'], variable: 'AUTHPLANE_PYTHON_1' },
} satisfies Record<string, Environment>;

/** Gives the program, or `undefined` and says why. */
function install({ packages, variable }: Environment): string | undefined {
  const { [variable]: installed } = process.env;
  if (installed !== undefined) return installed;
  const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'pipe', 'pipe'] };
  const python = join(folder, variable, 'bin', 'python');
  try {
    execFileSync('python3', ['-m', 'venv', join(folder, variable)], quiet);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    execFileSync(python, [...pip, ...packages], { ...quiet, timeout: 240_000 });
    return python;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true }); // nothing runs after skipped tests
    console.warn(
      `SKIPPED: the tests with ${packages.join(' and ')} need python3, venv and pip's index: ${String(error)}`,
    );
    return undefined;
  }
}

const mcp2 = install(ENVIRONMENTS.mcp2);
const mcp1 = install(ENVIRONMENTS.mcp1);

interface PythonClient {
  readonly name: string;
  readonly python: string | undefined;
  readonly script: string;
  /** How it chooses the protocol revision. */
  readonly mode: 'auto' | 'legacy';
  /** What the user reads of a 401 and a 403 with a token from a configuration. */
  readonly ended: string;
  readonly narrow: string;
}

const WHY = {
  ended: 'The access token is missing, expired, revoked or not valid',
  narrow: 'lacks a scope that this operation needs: notes:use notes:write',
};
const MCP_2: PythonClient = {
  ...{ name: 'mcp 2', python: mcp2, script: 'client.py', mode: 'auto', ...WHY },
};
const FASTMCP: PythonClient = { ...MCP_2, name: 'fastmcp 4', script: 'client_fastmcp.py' };
const CLIENTS: readonly PythonClient[] = [
  MCP_2,
  { ...MCP_2, name: 'mcp 2, 2025 era', mode: 'legacy' },
  FASTMCP,
  { ...FASTMCP, name: 'fastmcp 4, 2025 era', mode: 'legacy' },
  {
    ...{ name: 'mcp 1', python: mcp1, script: 'client_1.py', mode: 'legacy' },
    ended: '401 Unauthorized', // it reads no body, and its connection ends
    narrow: '403 Forbidden',
  },
];

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

/** Adds a note, which needs `notes:use` for the endpoint and `notes:write` for the tool. */
function addNote(client: PythonClient, { mcpUrl }: NotesApp, token = ''): Promise<Outcome> {
  return callTool(client, mcpUrl, ['add_note', { note: 'milk' }, token]);
}

/** One for each script, with a new user for each call. */
const processes = new Map<string, LineProcess>();
afterAll(() => Promise.all([...processes.values()].map((each) => each.close())));

async function callTool(
  { python = '', script, mode }: PythonClient,
  mcpUrl: string,
  args: readonly unknown[],
): Promise<Outcome> {
  const file = join(import.meta.dirname, 'python-client', script);
  const known = processes.get(script);
  const client = known ?? new LineProcess({ program: python, args: ['-B', file] });
  processes.set(script, client);
  return (await client.ask({ arguments: [mcpUrl, mode, ...args] })) as Outcome;
}

let app: NotesApp;
afterEach(() => app.close());

const withScopesOf = (text: Outcome['asked']) => text.map((scope) => scope.split(' ').sort());

describe.each(platforms)("10.17d: Python's clients against %s", (platform) => {
  const tokenWith = (claims: TokenClaims) =>
    app.authorizationServer.issueToken({ aud: app.mcpUrl, ...claims });

  (mcp2 === undefined ? test.skip : test).each(CLIENTS.slice(0, 2))(
    '10.14b: calls of a client with OAuth run at once: $name',
    async (client) => {
      const controller = StreamingController;
      app = await startNotesApp({ platform, controller, server: MeetingServer });
      // It sends the next call when it has the head of the last answer, so each has to come early.
      const call = ['meet', {}, '', CALLS];
      const { text, isError, error } = await callTool(client, app.mcpUrl, call);
      expect(error).toBeUndefined();
      const met = Array.from({ length: CALLS }, () => 'all are here').join('\n');
      expect({ text, isError }).toEqual({ text: met, isError: false });
    },
  );

  for (const client of CLIENTS) {
    (client.python === undefined ? describe.skip : describe)(client.name, () => {
      beforeEach(async () => {
        app = await startNotesApp({ platform });
      });

      test('finds the authorization server from our 401, and steps up inside the call', async () => {
        const { asked, text, isError, error } = await addNote(client, app);
        expect(error).toBeUndefined();
        expect({ text, isError }).toEqual({ text: 'alice has added milk', isError: false });
        expect(withScopesOf(asked)).toEqual([['notes:use'], ['notes:use', 'notes:write']]);
      });

      test('a static token that is good: the call is answered', async () => {
        const token = await tokenWith({ sub: 'bob', scope: 'notes:use notes:write' });
        expect(await addNote(client, app, token)).toEqual({
          asked: [],
          text: 'bob has added milk',
          isError: false,
        });
      });

      test('a static token that has ended: the user reads what the client shows of it', async () => {
        const times = { exp: 1_600_000_000, iat: 1_500_000_000 };
        const ended = await tokenWith({ scope: 'notes:use', ...times });
        const { error, text } = await addNote(client, app, ended);
        expect(text).toBeUndefined();
        expect(error).toContain(client.ended);
      });

      test('a static token without the scope: the user reads what the client shows of it', async () => {
        const narrow = await tokenWith({ scope: 'notes:use' });
        const { error, text } = await addNote(client, app, narrow);
        expect(text).toBeUndefined();
        expect(error).toContain(client.narrow);
      });
    });
  }
});

for (const client of CLIENTS) {
  (client.python === undefined ? test.skip : test)(
    `10.17d: discovery and step-up are those of a plain body: ${client.name}`,
    async () => {
      const seen = [];
      for (const plain of [false, true]) {
        const requests: string[] = [];
        app = await startNotesApp({
          platform: 'fastify',
          configure: (nest) => {
            recordRequests(nest, (line) => requests.push(line));
            if (plain) sendPlainRefusals(nest);
          },
        });
        const outcome = await addNote(client, app);
        const sent = requests.filter((line) => !line.startsWith('GET /mcp ')); // may be on its way
        seen.push({ ...outcome, requests: [...new Set(sent)] });
        if (!plain) await app.close();
      }
      expect(seen[0]).toMatchObject({ text: 'alice has added milk' });
      expect(seen[0]?.requests).toContain('GET /.well-known/oauth-protected-resource/mcp 200');
      expect(seen[1]).toEqual(seen[0]);
    },
  );
}
