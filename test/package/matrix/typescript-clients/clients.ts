import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { freePort } from '../../../support/nest/start-app.js';
import { LineProcess, PATIENCE_MS } from '../../../support/package/line-process.js';
import { installPackages } from '../../../support/package/installed-app.js';
import { PROJECT } from '../../../support/package/packed-package.js';

/** Some of the clients need a newer Node than this package; it is in the registry, too. */
const NODE = `node-${process.platform}-${process.arch}`;

const PACKAGES = {
  '@ai-sdk/mcp': '2.0.99',
  '@apify/mcpc': '0.2.6',
  '@langchain/core': '1.x',
  '@langchain/mcp-adapters': '1.1.4',
  '@mastra/mcp': '2.0.0',
  '@modelcontextprotocol/inspector': '2.12.0',
  '@openai/agents': '0.20.0',
  'mcp-remote': '0.15.1',
  mcporter: '0.12.3',
  [NODE]: '24.x',
  zod: '4.x',
};

/** One call of `add_note`. */
export interface Call {
  readonly mcpUrl: string;
  readonly issuer: string;
  readonly note: string;
  /** From a configuration. Without one the client has to find the authorization server. */
  readonly token?: string;
}

export interface Outcome {
  /** Scopes that the client asked the authorization server for, each time. */
  readonly asked: readonly string[];
  /** What the tool answered. */
  readonly text?: string;
  /** What the user of the client reads in its place. */
  readonly error?: string;
}

interface Printed {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Clients of TypeScript, all in one folder. A command runs for each call, with a home of its own. */
export class TypeScriptClients {
  readonly #node: string;
  readonly #tools: string;
  readonly #libraries: LineProcess[] = [];
  #mcpcIsFree: Promise<void> = Promise.resolve();

  constructor(private readonly folder: string) {
    installPackages(folder, PACKAGES);
    this.#node = this.#file(NODE, 'bin/node');
    copyFileSync(
      join(PROJECT, 'test/package/matrix/typescript-clients/client.mjs.txt'),
      join(folder, 'client.mjs'),
    );
    // What opens a browser does nothing: the user of these tests reads the link.
    this.#tools = join(folder, 'tools');
    mkdirSync(this.#tools);
    for (const name of ['xdg-open', 'open']) {
      writeFileSync(join(this.#tools, name), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    }
  }

  /** Libraries, each in one process for all of its calls: see `client.mjs.txt`. */
  library(name: string): (call: Call) => Promise<Outcome> {
    const args = [join(this.folder, 'client.mjs'), name];
    const { env } = this.#home();
    const client = new LineProcess({ program: this.#node, args, cwd: env['HOME'], env });
    this.#libraries.push(client);
    return async ({ mcpUrl: url, ...call }) => (await client.ask({ url, ...call })) as Outcome;
  }

  async close(): Promise<void> {
    await Promise.all(this.#libraries.map((client) => client.close()));
  }

  readonly inspector = async ({ mcpUrl, note, token }: Call): Promise<Outcome> => {
    const home = this.#home();
    const script = this.#file('@modelcontextprotocol/inspector', 'clients/launcher/build/index.js');
    const tool = [
      '--method',
      'tools/call',
      '--tool-name',
      'add_note',
      '--tool-arg',
      `note=${note}`,
    ];
    const how =
      token === undefined
        ? ['--callback-url', `http://127.0.0.1:${await freePort()}/callback`]
        : ['--header', `Authorization: Bearer ${token}`, '--stored-auth-only'];
    const printed = await home.run([
      script,
      '--cli',
      mcpUrl,
      '--transport',
      'http',
      ...tool,
      ...how,
    ]);
    return home.outcome(printed);
  };

  readonly mcporter = async ({ mcpUrl, note, token }: Call): Promise<Outcome> => {
    const home = this.#home();
    const script = this.#file('mcporter', 'dist/cli.js');
    const tool = [`${mcpUrl}.add_note`, `note=${note}`, '--allow-http'];
    const how =
      token === undefined ? [] : ['--no-oauth', '--header', `Authorization=Bearer ${token}`];
    return home.outcome(await home.run([script, 'call', ...tool, ...how]));
  };

  /** One call after the other: two of its log-ins at once take the same port. */
  readonly mcpc = (call: Call): Promise<Outcome> => {
    const outcome = this.#mcpcIsFree.then(() => this.#mcpc(call));
    this.#mcpcIsFree = outcome.then(
      () => undefined,
      () => undefined,
    );
    return outcome;
  };

  /** Signs in by a command of its own; a process in the background keeps the connection. */
  async #mcpc({ mcpUrl, note, token }: Call): Promise<Outcome> {
    const home = this.#home();
    const mcpc = (...args: string[]) => home.run([this.#file('@apify/mcpc', 'bin/mcpc'), ...args]);
    if (token === undefined) await mcpc('login', mcpUrl);
    const how = token === undefined ? [] : ['-H', `Authorization: Bearer ${token}`];
    const connected = await mcpc('--json', 'connect', mcpUrl, '@notes', ...how);
    try {
      if (connected.status !== 0) return home.outcome(connected);
      return home.outcome(
        await mcpc('--json', '@notes', 'tools-call', 'add_note', `note:=${note}`),
      );
    } finally {
      home.endMcpc();
    }
  }

  /** A proxy: whichever client is in front of it speaks to its standard input. */
  readonly mcpRemote = async ({ mcpUrl, note, token }: Call): Promise<Outcome> => {
    const home = this.#home();
    const how = token === undefined ? [] : ['--header', `Authorization: Bearer ${token}`];
    const transport = new StdioClientTransport({
      command: this.#node,
      args: [this.#file('mcp-remote', 'dist/proxy.js'), mcpUrl, '--allow-http', ...how],
      env: home.env,
      stderr: 'pipe',
    });
    const log = home.read(transport.stderr as Readable);
    const client = new Client({ name: 'stdio', version: '1' });
    try {
      await client.connect(transport);
      const result = await client.callTool({ name: 'add_note', arguments: { note } });
      return { asked: home.asked, text: JSON.stringify(result.content) };
    } catch (error) {
      return { asked: home.asked, error: `${String(error)}\n${log()}` };
    } finally {
      await client.close();
    }
  };

  #home(): Home {
    const path = [this.#tools, join(this.#node, '..'), process.env['PATH']].join(delimiter);
    const home = new Home(this.#node, mkdtempSync(join(this.folder, 'home-')), path);
    home.env['NODE_COMPILE_CACHE'] = join(this.folder, 'compiled'); // large programs, started often
    return home;
  }

  #file(name: string, path: string): string {
    return join(this.folder, 'node_modules', name, path);
  }
}

/** A user without anything stored, who follows each link that a program prints; the server approves by itself. */
class Home {
  readonly asked: string[] = [];
  readonly env: Record<string, string>;
  readonly #visited = new Set<string>();

  constructor(
    private readonly node: string,
    folder: string,
    path: string,
  ) {
    this.env = { HOME: folder, PATH: path, BROWSER: 'true', NO_COLOR: '1', LANG: 'C.UTF-8' };
    this.env['MCP_AUTO_OPEN_ENABLED'] = 'true'; // the Inspector signs in without a terminal
  }

  async run(args: readonly string[]): Promise<Printed> {
    const child: ChildProcess = spawn(this.node, args, {
      cwd: this.env['HOME'],
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
    });
    const stdout = this.read(child.stdout as Readable);
    const stderr = this.read(child.stderr as Readable);
    const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
    if (signal !== null) throw new Error(`${args.join(' ')} hung:\n${stdout()}${stderr()}`);
    return { status, stdout: stdout(), stderr: stderr() };
  }

  /** As `mcpc close` does, which takes a second to load. */
  endMcpc(): void {
    const file = join(this.env['HOME'] ?? '', '.mcpc/sessions.json');
    const sessions = existsSync(file) ? readFileSync(file, 'utf8') : '';
    for (const [, pid] of sessions.matchAll(/"pid": *(\d+)/g)) kill(Number(pid));
  }

  outcome({ status, stdout, stderr }: Printed): Outcome {
    const { asked } = this;
    return status === 0 ? { asked, text: stdout } : { asked, error: stdout + stderr };
  }

  /** Gives what was read so far. */
  read(stream: Readable): () => string {
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (const [link] of text.matchAll(/http:\S+\/authorize\?\S+(?=\s)/g)) this.#visit(link);
    });
    return () => text;
  }

  #visit(link: string): void {
    if (this.#visited.has(link)) return;
    this.#visited.add(link);
    this.asked.push(new URL(link).searchParams.get('scope') ?? '');
    void goBack(link);
  }
}

/** If it has not ended by itself. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The browser: from the server that approves to the program, which may not listen yet. */
async function goBack(link: string): Promise<void> {
  const { headers } = await fetch(link, { redirect: 'manual' });
  const callback = headers.get('location');
  const end = Date.now() + PATIENCE_MS;
  while (callback !== null && Date.now() < end) {
    const page = await fetch(callback).catch(() => undefined);
    if (page !== undefined) return;
    await setTimeout(100);
  }
}
