/** A real Redis server, and copies of this package in other processes, for the Redis spec. */

import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

import { hearProcess } from '../canary/setup.js';
import { freePort } from './free-port.js';

const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/authplane/', import.meta.url));
const SOURCES = fileURLToPath(new URL('../../../src/', import.meta.url));

/** Says so, loudly, when there is no server to test with. */
export function hasRedisServer(): boolean {
  const found = spawnSync('redis-server', ['--version']).status === 0;
  if (!found) console.warn('SKIPPED: the Redis tests need redis-server on the PATH');
  return found;
}

/** A server on loopback that can be stopped and started again on the same port. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'authplane-redis-'));
  #process: ChildProcess | undefined;
  port = 0;

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.port ||= await freePort();
    const options = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.#process = spawn(
      'redis-server',
      ['--port', String(this.port), '--dir', this.#folder, ...options],
      { stdio: 'ignore' },
    );
    await untilReachable(this.port);
  }

  /** `SIGSTOP` leaves the connections open and answers nothing. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const exited = once(running, 'exit');
    running.kill('SIGKILL');
    await exited;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Between client and server; connections can be made to die without a sign, as a balancer lets them. */
export class Relay {
  readonly #pairs = new Set<[Socket, Socket]>();
  #server: Server | undefined;
  port = 0;

  async start(target: number): Promise<void> {
    const server = createServer((client) => {
      const upstream = connect(target, '127.0.0.1');
      const pair: [Socket, Socket] = [client, upstream];
      this.#pairs.add(pair);
      for (const socket of pair) socket.on('error', () => undefined);
      client.on('close', () => upstream.destroy() && this.#pairs.delete(pair));
      client.pipe(upstream).pipe(client);
    }).listen(0, '127.0.0.1');
    this.#server = server;
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
  }

  /** The connections of now swallow everything; new ones work. */
  silence(): void {
    for (const [client, upstream] of this.#pairs) {
      client.unpipe(upstream);
      upstream.unpipe(client);
      client.resume();
    }
  }

  async stop(): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#server?.close();
  }
}

export type Library = 'ioredis' | 'redis';

/** What each process is told once, as its arguments. */
export interface ProcessOptions {
  readonly url: string;
  readonly issuer: string;
  readonly resource: string;
}

export interface SignedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
}

/** What the processes answered to the copies of one request, all together. */
export interface Outcome {
  accepted: number;
  replays: number;
  /** The store gave no answer in time: nothing is known of that copy. */
  unavailable: number;
}

/** Processes that protect one resource, with a replay store of their own each, on one Redis. */
export class ResourceProcesses {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];

  constructor() {
    mkdirSync(CACHE, { recursive: true }); // inside the project, so that its packages are found
    this.#folder = mkdtempSync(join(CACHE, 'processes-'));
  }

  async start(libraries: readonly Library[], options: ProcessOptions): Promise<void> {
    for (const entry of ['redis/index.ts', 'core/index.ts']) transpile(entry, this.#folder);
    const script = join(this.#folder, 'child.mjs');
    writeFileSync(join(this.#folder, 'package.json'), '{"type":"module"}');
    writeFileSync(script, CHILD);
    for (const library of libraries) {
      const child = fork(script, [library, JSON.stringify(options)], {
        execArgv: [],
        silent: true,
      });
      hearProcess(child);
      this.#children.push(child);
      await once(child, 'message');
    }
  }

  /** So many copies of one request to each process, asked of all of them at once. */
  async send(request: SignedRequest, copies: number): Promise<Outcome> {
    const total: Outcome = { accepted: 0, replays: 0, unavailable: 0 };
    const ask = async (child: ChildProcess): Promise<void> => {
      const answer = once(child, 'message');
      child.send({ request, copies });
      const [{ accepted, replays, unavailable, others }] = await answer;
      if (others.length > 0) throw new Error(`a copy was answered ${others.join()}`);
      total.accepted += accepted;
      total.replays += replays;
      total.unavailable += unavailable;
    };
    await Promise.all(this.#children.map(ask));
    return total;
  }

  async stop(): Promise<void> {
    for (const child of this.#children.splice(0)) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const CHILD = `
import { AuthplaneClient } from './core/index.js';
import { redisReplayStore } from './redis/index.js';
const [library, options] = process.argv.slice(2);
const { url, issuer, resource } = JSON.parse(options);
const packages = await import(library);
const redis = library === 'ioredis' ? new packages.Redis(url) : packages.createClient({ url });
redis.on('error', () => undefined);
if (library === 'redis') await redis.connect();
else await redis.ping();
const client = await AuthplaneClient.create({ issuer, devMode: true });
const inboundDPoP = { required: true, replayStore: redisReplayStore(redis) };
const guarded = client.resource({ resource, scopes: [], inboundDPoP });
process.on('message', async ({ request, copies }) => {
  const answers = await Promise.all(
    Array.from({ length: copies }, () =>
      guarded.authenticate(request).then(() => 'accepted', (error) => error.code),
    ),
  );
  const take = (code) => answers.filter((answer) => answer === code).length;
  const known = ['accepted', 'dpop_replay_detected', 'replay_store_unavailable'];
  const [accepted, replays, unavailable] = known.map(take);
  const others = answers.filter((answer) => !known.includes(answer));
  process.send({ accepted, replays, unavailable, others });
});
process.send('ready');
`;

/** The file and all it imports, as JavaScript that plain Node runs. */
function transpile(file: string, folder: string, done = new Set<string>()): void {
  if (done.has(file)) return;
  done.add(file);
  const source = readFileSync(join(SOURCES, file), 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  });
  const target = join(folder, file.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
  for (const [, path = ''] of outputText.matchAll(/from '(\..+?)\.js'/g)) {
    const imported = join(SOURCES, dirname(file), `${path}.ts`);
    transpile(relative(SOURCES, imported), folder, done);
  }
}

async function untilReachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await isReachable(port)) return;
    await pause(25);
  }
  throw new Error('redis-server did not start');
}

function isReachable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
