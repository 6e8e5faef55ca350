import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import ts from 'typescript';

import {
  cleanUp,
  client,
  failure,
  later,
  listen,
  lookupOf,
  sendJson,
  serve,
  serveRaw,
} from '../../support/servers/http-servers.js';

const HOST = 'as.example.com';
const run = promisify(execFile);
const directory = mkdtempSync(path.join(tmpdir(), 'authplane-http-'));
const openssl = hasOpenssl();
const withOpenssl = openssl ? describe : describe.skip;

beforeAll(compileClient);
afterEach(cleanUp);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

withOpenssl('T52 TLS', () => {
  beforeAll(() => {
    authority();
    certificate('good', { names: `DNS:${HOST},IP:127.0.0.1` });
    certificate('other', { names: 'DNS:other.example.com' });
    certificate('expired', { names: `DNS:${HOST}`, days: -1 });
    selfSigned();
  });

  it('is accepted with a certificate of a trusted authority for that name', async () => {
    trustOurAuthority();
    const names: unknown[] = [];
    const port = await serveTls('good', {}, (socket) => names.push(socket.servername));
    const http = client({ lookup: lookupOf('127.0.0.1') });
    expect((await http.getJson(`https://${HOST}:${port}/`)).json).toEqual({
      host: `${HOST}:${port}`,
    });
    expect(names).toEqual([HOST]);
  });

  it('is checked against the address when the URL has one, without a name in SNI', async () => {
    trustOurAuthority();
    const names: unknown[] = [];
    const port = await serveTls('good', {}, (socket) => names.push(socket.servername));
    expect((await client().getJson(`https://127.0.0.1:${port}/`)).status).toBe(200);
    expect(names).toEqual([false]);
  });

  it('works over the next address when the first is dead', async () => {
    trustOurAuthority();
    const port = await serveTls('good');
    const http = client({ lookup: lookupOf('127.0.0.2', '127.0.0.3', '127.0.0.1') });
    expect((await http.getJson(`https://${HOST}:${port}/`)).status).toBe(200);
  });

  it.each([
    ['other', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['expired', 'CERT_HAS_EXPIRED'],
    ['self', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('is refused with the certificate "%s", also the second time', async (name, code) => {
    trustOurAuthority();
    const port = await serveTls(name);
    const http = client({ lookup: lookupOf('127.0.0.1') });
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await failure(http.getJson(`https://${HOST}:${port}/`));
      expect(error.reason).toBe('connection');
      expect(error.message).toContain(code);
    }
  });

  it('is refused with a certificate of an authority that nobody trusts', async () => {
    const port = await serveTls('good');
    const http = client({ lookup: lookupOf('127.0.0.1') });
    const error = await failure(http.getJson(`https://${HOST}:${port}/`));
    expect(error.message).toContain('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  it('is refused with a self-signed certificate in spite of NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
    const url = `https://${HOST}:${await serveTls('self')}/`;
    const { stdout } = await runScript(getting(url), {
      env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    });
    expect(stdout).toMatch(/^connection .*DEPTH_ZERO_SELF_SIGNED_CERT/);
  });

  it('is accepted with an authority from NODE_EXTRA_CA_CERTS', async () => {
    const url = `https://${HOST}:${await serveTls('good')}/`;
    const { stdout } = await runScript(getting(url), {
      env: { NODE_EXTRA_CA_CERTS: file('ca.crt') },
    });
    expect(stdout).toBe('200\n');
  });

  it('is refused below version 1.2', async () => {
    trustOurAuthority();
    const port = await serveTls('good', {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const http = client({ lookup: lookupOf('127.0.0.1') });
    const error = await failure(http.getJson(`https://${HOST}:${port}/`));
    expect(error.reason).toBe('connection');
  });

  it('is not resumed: every connection checks the certificate', async () => {
    trustOurAuthority();
    const sockets: TLSSocket[] = [];
    const resumed: boolean[] = [];
    const port = await serveTls('good', { maxVersion: 'TLSv1.2' }, (socket) => {
      sockets.push(socket);
      resumed.push(socket.isSessionReused());
    });
    const http = client({ lookup: lookupOf('127.0.0.1') });
    await http.getJson(`https://${HOST}:${port}/`);
    await Promise.all(sockets.map((socket) => once(socket.end(), 'close'))); // on both sides
    await http.getJson(`https://${HOST}:${port}/`);
    expect(resumed).toEqual([false, false]);
  });
});

describe('a process', () => {
  it('exits after close, and before it when nothing is in flight', async () => {
    const { url } = await serve((_, response) => sendJson(response, {}));
    for (const close of ['http.close();', '']) {
      const { stdout } = await runScript(`
        const http = new OutboundHttp({ devMode: true, timeoutMs: 60_000 });
        console.log((await http.getJson('${url}')).status);
        ${close}`);
      expect(stdout).toBe('200\n');
    }
  });

  it('exits after close with requests in flight, and none is an unhandled rejection', async () => {
    const { url } = await serve(() => undefined);
    const { stdout } = await runScript(`
      const http = new OutboundHttp({ devMode: true, timeoutMs: 60_000, maxSockets: 1 });
      const all = Promise.allSettled([http.getJson('${url}'), http.getJson('${url}')]);
      setTimeout(() => http.close(), 100);
      console.log((await all).map(({ reason }) => reason.reason).join());`);
    expect(stdout).toBe('closed,closed\n');
  });
});

describe('the surroundings of the process', () => {
  it('T55 have no say over the route: proxy variables', async () => {
    const proxy = await serve((_, response) => response.writeHead(500).end());
    const target = await serve((_, response) => sendJson(response, {}));
    const { stdout } = await runScript(getting(`http://${HOST}:${target.port}/`), {
      env: {
        NODE_USE_ENV_PROXY: '1',
        http_proxy: proxy.url,
        HTTP_PROXY: proxy.url,
        ALL_PROXY: proxy.url,
      },
    });
    expect(stdout).toBe('200\n');
    expect(proxy.sockets).toHaveLength(0);
  });

  it('T53 have no say over the size of headers: --max-http-header-size', async () => {
    const { url } = await serve((_, response) => {
      response.setHeader('x', 'y'.repeat(20_000));
      sendJson(response, {});
    });
    const { stdout } = await runScript(getting(url), { flags: ['--max-http-header-size=1000000'] });
    expect(stdout).toMatch(/^connection .*HPE_HEADER_OVERFLOW/);
  });

  it('have no say over the parser: --insecure-http-parser', async () => {
    const { url } = await serveRaw((socket) => {
      socket.once('data', () => {
        socket.end(
          'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
        );
      });
    });
    const { stdout } = await runScript(getting(url), { flags: ['--insecure-http-parser'] });
    expect(stdout).toMatch(/^connection .*HPE_/);
  });
});

/** What NODE_EXTRA_CA_CERTS does at the start of a process. */
function trustOurAuthority(): void {
  const tls = createRequire(import.meta.url)('node:tls') as typeof import('node:tls');
  const original = tls.createSecureContext;
  const ca = readFileSync(file('ca.crt'));
  tls.createSecureContext = (options) => original({ ca, ...options });
  later(() => (tls.createSecureContext = original));
}

async function serveTls(
  name: string,
  options: ServerOptions = {},
  onSecure: (socket: TLSSocket) => void = () => undefined,
): Promise<number> {
  const pair = { key: readFileSync(file(`${name}.key`)), cert: readFileSync(file(`${name}.crt`)) };
  const server = createServer({ ...pair, ...options }, (request, response) => {
    sendJson(response, { host: request.headers.host });
  });
  server.on('secureConnection', onSecure);
  return (await listen(server, '127.0.0.1', 0)).port;
}

function file(name: string): string {
  return path.join(directory, name);
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn('SKIPPED: the TLS cases need the openssl command, which is not installed');
    return false;
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function callOpenssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
}

function authority(): void {
  callOpenssl('req', '-x509', ...NEW_KEY, ...output('ca'), '-subj', '/CN=test authority');
}

function selfSigned(): void {
  const extension = ['-addext', `subjectAltName=DNS:${HOST}`];
  callOpenssl('req', '-x509', ...NEW_KEY, ...output('self'), '-subj', `/CN=${HOST}`, ...extension);
}

function certificate(name: string, { names, days = 1 }: { names: string; days?: number }): void {
  writeFileSync(file(`${name}.ext`), `subjectAltName=${names}\n`);
  callOpenssl(
    'req',
    '-new',
    ...NEW_KEY,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    '/CN=x',
  );
  const signer = [
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-extfile',
    `${name}.ext`,
  ];
  const files = ['-in', `${name}.csr`, '-out', `${name}.crt`];
  callOpenssl('x509', '-req', ...files, ...signer, '-days', String(days));
}

function output(name: string): string[] {
  return ['-keyout', `${name}.key`, '-out', `${name}.crt`, '-days', '1'];
}

/** The client as plain JavaScript, so that a process of its own can run it. */
function compileClient(): void {
  writeFileSync(file('package.json'), '{"type":"module"}');
  compileWithImports('core/http/client.js');
}

function compileWithImports(name: string): void {
  if (existsSync(file(name))) return;
  const source = readFileSync(path.resolve('src', name.replace(/js$/, 'ts')), 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  mkdirSync(path.dirname(file(name)), { recursive: true });
  writeFileSync(file(name), outputText);
  for (const { fileName } of ts.preProcessFile(outputText).importedFiles) {
    if (fileName.startsWith('.')) compileWithImports(path.join(path.dirname(name), fileName));
  }
}

/** A script that prints the status or the failure of one GET; every name is on loopback. */
function getting(url: string): string {
  return `
    const lookup = async () => [{ address: '127.0.0.1', family: 4 }];
    const http = new OutboundHttp({ devMode: true, lookup });
    await http.getJson('${url}').then(
      ({ status }) => console.log(status),
      ({ reason, message }) => console.log(reason, message),
    );`;
}

interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  readonly flags?: readonly string[];
}

async function runScript(body: string, { env = {}, flags = [] }: Surroundings = {}) {
  const script = `import { OutboundHttp } from './core/http/client.js';\n${body}`;
  writeFileSync(file('script.js'), script);
  return run(process.execPath, [...flags, file('script.js')], {
    env: { PATH: process.env.PATH, ...env },
    timeout: 10_000,
  });
}
