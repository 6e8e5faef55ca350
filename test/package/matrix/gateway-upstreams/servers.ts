import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../../../support/nest/start-app.js';
import { installPackages } from '../../../support/package/installed-app.js';
import { PROJECT } from '../../../support/package/packed-package.js';

/** MCP servers that nobody here wrote, each a process of its own. */
export interface ForeignServers {
  /** By name: where it listens. */
  readonly urls: Readonly<Record<ForeignServer, string>>;
  /** The folder that the file system server shows. */
  readonly files: string;
  /** Puts the files there anew, and forgets what the memory server knows. */
  reset(): void;
  stop(): void;
}

export type ForeignServer = 'everything' | 'filesystem' | 'memory' | 'fast';

const VERSIONS = {
  '@modelcontextprotocol/server-everything': '2026.8.31',
  '@modelcontextprotocol/server-filesystem': '2026.8.31',
  '@modelcontextprotocol/server-memory': '2026.8.31',
  fastmcp: '4.20.16',
  'mcp-proxy': '6.7.19',
  zod: '4.x',
};

export async function startForeignServers(folder: string): Promise<ForeignServers> {
  installPackages(folder, VERSIONS);
  const files = join(folder, 'files');
  const memory = join(folder, 'memory.jsonl');
  const source = join(PROJECT, 'test/package/matrix/gateway-upstreams/fastmcp.mjs.txt');
  copyFileSync(source, join(folder, 'fast.mjs'));
  const reset = (): void => {
    rmSync(files, { recursive: true, force: true });
    mkdirSync(join(files, 'sub'), { recursive: true });
    writeFileSync(join(files, 'a.txt'), 'one\ntwo\nthree\n');
    writeFileSync(join(files, 'p.png'), Buffer.from('iVBORw0KGgo=', 'base64'));
    writeFileSync(memory, '');
  };
  reset();
  const dist = (name: string) =>
    join(folder, 'node_modules/@modelcontextprotocol', name, 'dist/index.js');
  const proxy = join(folder, 'node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs');
  /** Speaks the revisions with sessions, as the servers behind it do. */
  const bridged = (port: string, ...server: string[]) => [
    proxy,
    ...['--port', port, '--host', '127.0.0.1', '--server', 'stream', '--no-modern'],
    ...['--', process.execPath, ...server],
  ];
  const ports = {
    everything: String(await freePort()),
    filesystem: String(await freePort()),
    memory: String(await freePort()),
    fast: String(await freePort()),
  };
  const commands: Record<ForeignServer, string[]> = {
    everything: [dist('server-everything'), 'streamableHttp'],
    filesystem: bridged(ports.filesystem, dist('server-filesystem'), files),
    memory: bridged(ports.memory, dist('server-memory')),
    fast: [join(folder, 'fast.mjs')],
  };
  const children: ChildProcess[] = [];
  const stop = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  try {
    for (const name of Object.keys(commands) as ForeignServer[]) {
      const env = { ...process.env, NODE_OPTIONS: '', PORT: ports[name], MEMORY_FILE_PATH: memory };
      children.push(spawn(process.execPath, commands[name], { env, cwd: folder, stdio: 'ignore' }));
      await listening(Number(ports[name]));
    }
  } catch (error) {
    stop();
    throw error;
  }
  const urlOf = (name: ForeignServer) => `http://127.0.0.1:${ports[name]}/mcp`;
  return {
    urls: {
      everything: urlOf('everything'),
      filesystem: urlOf('filesystem'),
      memory: urlOf('memory'),
      fast: urlOf('fast'),
    },
    files,
    reset,
    stop,
  };
}

async function listening(port: number): Promise<void> {
  const end = Date.now() + 30_000;
  while (Date.now() < end) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
      socket.once('error', () => resolve(false));
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on port ${port}`);
}
