/**
 * What a gateway costs the main thread of its process: calls that are passed through and calls of sessions, against a
 * plain forwarder (guard, `fetchAs`, pipe) in the same process; a merged list, against serialising it once; and
 * the heap of callers who are idle. Authorization server, upstreams and clients are other processes.
 */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as send, Agent } from 'node:http';
import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mainThreadCpu, processCpu } from './lib/cpu.js';
import { interleave } from './lib/interleave.js';
import { again, compare, report } from './lib/report.js';

const isFull = process.env.FULL === '1';
const CALLS = 60;
const AT_ONCE = 6;
const ROUNDS = isFull ? 41 : 21;
const MANY = 10;
const TOOLS = 1000;
const IDLE = isFull ? 1000 : 300;
const LISTS = 5;
/** Calls that hang while those to another upstream are timed. */
const HANGING = AT_ONCE;
const HANG_MS = 1500;
const MODERN = '2026-07-28';

const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': {},
};

if (process.argv[2] === 'upstream') upstream();
else if (process.argv[2] === 'server') await authorizationServer();
else if (process.argv[2] === 'client') client();
else await measure();

/**
 * As cheaply as it can be done: `/mcp` speaks 2026-07-28, `/old` has sessions, `/many/N` lists many tools, `/hang`
 * answers no call.
 */
function upstream() {
  const schema = (about) => ({ type: 'object', properties: { day: { description: about } } });
  const many = Array.from({ length: TOOLS }, (_, index) => ({
    name: `tool_${index}`,
    description: `What the tool ${index} does, in a sentence of the usual length of such sentences. `,
    inputSchema: schema('x'.repeat(200)),
  }));
  const echo = [{ name: 'echo', inputSchema: { type: 'object' } }];
  const answers = (isMany) => ({
    'server/discover': { supportedVersions: [MODERN], capabilities: { tools: {} } },
    initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: {} },
    'tools/list': { tools: isMany ? many : echo, ttlMs: 600_000 },
    'tools/call': { content: [{ type: 'text', text: 'x'.repeat(2000) }] },
  });
  const server = createServer(async (incoming, response) => {
    let text = '';
    for await (const chunk of incoming) text += chunk;
    const { id, method } = text === '' ? {} : JSON.parse(text);
    const isOld = incoming.url.startsWith('/old');
    if (id === undefined) return response.writeHead(202).end();
    if (isOld && method === 'server/discover') return response.writeHead(400).end();
    if (incoming.url === '/hang' && method === 'tools/call') return undefined;
    const session =
      isOld && method === 'initialize' ? { 'mcp-session-id': String(Math.random()) } : {};
    response.writeHead(200, { 'content-type': 'application/json', ...session });
    const result = answers(incoming.url.startsWith('/many'))[method] ?? {};
    const modern = isOld ? {} : { resultType: 'complete' };
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { ...modern, ...result } }));
  });
  server.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
}

async function authorizationServer() {
  const { startAuthorizationServer } = await import('authplane-nestjs/testing');
  const [, , , target, resource] = process.argv;
  const policy = { exchangeClients: ['gateway'], runtimeClients: ['gateway'] };
  const grantTypes = ['urn:ietf:params:oauth:grant-type:token-exchange'];
  const targets = [`${target}/mcp`, `${target}/old`];
  const server = await startAuthorizationServer({
    clients: [{ clientId: 'gateway', clientSecret: 'a-secret-of-the-bench', grantTypes }],
    resources: [
      { uri: resource, slug: 'gateway', scopes: ['use'], policy },
      ...targets.map((uri) => ({ uri, scopes: ['echo'], policy })),
    ],
    fronting: targets.map((uri) => ({
      source: resource,
      target: uri,
      scopeMap: { use: ['echo'] },
    })),
  });
  process.on('message', async (sub) => {
    process.send(await server.issueToken({ aud: [resource], scope: 'use', sub }));
  });
  process.send(server.issuer);
}

/** Sends so many messages, so many at once, and says when they are answered, and how long each took. */
function client() {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  process.on('message', async ({ url, messages, isRefused = false }) => {
    const times = [];
    const one = ({ headers, body }) =>
      new Promise((resolve, reject) => {
        const since = performance.now();
        const outgoing = send(url, { method: 'POST', headers, agent }, (response) => {
          if (response.statusCode !== 200 && !isRefused)
            reject(new Error(`${body} is answered ${response.statusCode}`));
          response.resume().on('end', () => {
            times.push(performance.now() - since);
            resolve(response.headers['mcp-session-id']);
          });
        });
        outgoing.on('error', reject).end(body);
      });
    let answered;
    for (let done = 0; done < messages.length; done += AT_ONCE) {
      [answered] = await Promise.all(messages.slice(done, done + AT_ONCE).map(one));
    }
    process.send({ session: answered, times });
  });
}

async function child(...args) {
  const process_ = fork(fileURLToPath(import.meta.url), args, { execArgv: [] });
  const [said] = args[0] === 'client' ? [] : await once(process_, 'message');
  return { process: process_, said };
}

function ended() {
  throw new Error('a process of the bench has ended');
}

async function ask({ process: one }, message) {
  one.send(message);
  const stop = new globalThis.AbortController();
  const heard = (event) => once(one, event, { signal: stop.signal });
  try {
    const [answer] = await Promise.race([heard('message'), heard('exit').then(ended)]);
    return answer;
  } finally {
    stop.abort();
  }
}

function message(method, params, token, more = {}) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'content-length': Buffer.byteLength(body),
    ...more,
  };
  return { headers, body };
}

function modern(method, params, token) {
  return message(method, { ...params, _meta: META }, token, {
    'mcp-protocol-version': MODERN,
    'mcp-method': method,
    ...(params.name === undefined ? {} : { 'mcp-name': params.name }),
  });
}

async function measure() {
  const resource = 'http://127.0.0.1:8899/mcp';
  const target = await child('upstream');
  const server = await child('server', target.said, resource);
  const load = await child('client');
  const app = await application({ resource, target: target.said, issuer: server.said });
  const token = await ask(server, 'user-1');

  const base = 'http://127.0.0.1:8899';
  const sendTo = (path, messages) => ask(load, { url: new URL(path, base).href, messages });
  const slice = (path, one, count = CALLS) => {
    const messages = Array.from({ length: count }, () => one);
    return async () => {
      const before = { main: mainThreadCpu(), process: processCpu(), wall: performance.now() };
      await sendTo(path, messages);
      return {
        wall: ((performance.now() - before.wall) * 1000) / count,
        main: (mainThreadCpu() - before.main) / count,
        process: (processCpu() - before.process) / count,
      };
    };
  };
  const args = { day: 'fri' };
  const opening = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} };
  const { session } = await sendTo('/mcp', [message('initialize', opening, token)]);
  const inSession = (name) =>
    message('tools/call', { name, arguments: args }, token, { 'mcp-session-id': session });
  const forwarded = modern('tools/call', { name: 'echo', arguments: args }, token);
  const calls = {
    forwarder: slice('/plain', forwarded),
    [again('forwarder')]: slice('/plain', forwarded),
    'passed through': slice(
      '/mcp',
      modern('tools/call', { name: 'up__echo', arguments: args }, token),
    ),
    'session to session': slice('/mcp', inSession('old__echo')),
    'session to 2026-07-28': slice('/mcp', inSession('up__echo')),
    '2026-07-28 to session': slice(
      '/mcp',
      modern('tools/call', { name: 'old__echo', arguments: args }, token),
    ),
    'direct, without a gateway': slice(`${target.said}/mcp`, forwarded),
  };
  const most = (limit) => ({ metric: 'main', most: limit });
  const goals = {
    'passed through': most(1.15),
    'session to session': most(1.5),
    'session to 2026-07-28': most(1.5),
    '2026-07-28 to session': most(1.5),
  };
  const rows = compare(await interleave(calls, { rounds: ROUNDS, warmUps: 5 }), {
    base: 'forwarder',
    goals,
  });
  report('gateway', 'One call of a tool through the gateway', rows);

  await besideHanging({
    token,
    hundred: (one) =>
      sendTo(
        '/mcp',
        Array.from({ length: 100 }, () => one),
      ),
  });

  const list = modern('tools/list', {}, token);
  const text = await listed(resource, list);
  const parsed = JSON.parse(text);
  assert.equal(parsed.result.tools.length, MANY * TOOLS + 3);
  const serialise = async () => {
    const before = { main: mainThreadCpu(), process: processCpu(), wall: performance.now() };
    for (let times = 0; times < LISTS; times++) JSON.stringify(parsed);
    return {
      wall: ((performance.now() - before.wall) * 1000) / LISTS,
      main: (mainThreadCpu() - before.main) / LISTS,
      process: (processCpu() - before.process) / LISTS,
    };
  };
  const lists = {
    'serialised once': serialise,
    [again('serialised once')]: serialise,
    'listed, warm': slice('/mcp', list, LISTS),
  };
  const listRows = compare(await interleave(lists, { rounds: isFull ? 21 : 9 }), {
    base: 'serialised once',
    goals: { 'listed, warm': most(3) },
  });
  report('gateway-list', `A list of ${MANY} upstreams with ${TOOLS} tools each`, listRows);

  await heap(server, sendTo);
  await heapOfSessions(server, sendTo);
  await app.close();
  for (const { process: one } of [target, server, load]) one.kill();
}

/** The slowest of a hundred calls to one upstream while another has calls that it does not answer. */
async function besideHanging({ token, hundred }) {
  const other = await child('client');
  const named = (name) => modern('tools/call', { name, arguments: {} }, token);
  const held = Array.from({ length: HANGING }, () => named('hang__echo'));
  const timed = async () => {
    const before = { main: mainThreadCpu(), process: processCpu() };
    const { times } = await hundred(named('up__echo'));
    return {
      wall: times.sort((one, more) => one - more)[Math.ceil(times.length * 0.99) - 1] * 1000,
      main: (mainThreadCpu() - before.main) / times.length,
      process: (processCpu() - before.process) / times.length,
    };
  };
  const beside = async () => {
    const hung = ask(other, { url: 'http://127.0.0.1:8899/mcp', messages: held, isRefused: true });
    await setTimeout(50); // they are under way
    const found = await timed();
    await hung;
    return found;
  };
  const cases = { alone: timed, [again('alone')]: timed, 'beside some that hang': beside };
  const rows = compare(await interleave(cases, { rounds: isFull ? 21 : 11 }), {
    base: 'alone',
    goals: { 'beside some that hang': { metric: 'wall', most: 1.2 } },
  });
  report('gateway-hanging', 'The slowest of a hundred calls, while another upstream hangs', rows);
  other.process.kill();
}

/** Callers who have listed and called, and do nothing now. */
async function heap(server, sendTo) {
  if (globalThis.gc === undefined) return;
  const visit = async (count, name) => {
    for (let index = 0; index < count; index++) {
      const token = await ask(server, `${name}-${index}`);
      const call = modern('tools/call', { name: 'up__echo', arguments: {} }, token);
      await sendTo('/mcp', [modern('tools/list', {}, token), call]);
    }
    for (let times = 0; times < 3; times++) globalThis.gc();
    return process.memoryUsage().heapUsed;
  };
  await visit(20, 'warm');
  const before = await visit(0, 'none');
  const after = await visit(IDLE, 'idle');
  const bytes = (after - before) / IDLE;
  console.log(
    `\nheap of an idle caller of ${MANY + 3} upstreams: ${(bytes / 1000).toFixed(1)} kB (goal <= 15)`,
  );
}

/** Clients in sessions, each of which has called two upstreams, and do nothing now. */
async function heapOfSessions(server, sendTo) {
  if (globalThis.gc === undefined) return;
  const opening = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} };
  const visit = async (count, name) => {
    for (let index = 0; index < count; index++) {
      const token = await ask(server, `${name}-${index}`);
      const { session } = await sendTo('/mcp', [message('initialize', opening, token)]);
      const asked = (method, params) =>
        message(method, params, token, { 'mcp-session-id': session });
      await sendTo('/mcp', [
        asked('tools/call', { name: 'up__echo', arguments: {} }),
        asked('tools/call', { name: 'old__echo', arguments: {} }),
      ]);
    }
    for (let times = 0; times < 3; times++) globalThis.gc();
    return process.memoryUsage().heapUsed;
  };
  await visit(20, 'warm-session');
  const before = await visit(0, 'none');
  const bytes = ((await visit(IDLE, 'session')) - before) / IDLE;
  console.log(`heap of a session with two upstreams: ${(bytes / 1000).toFixed(1)} kB (goal <= 80)`);
}

async function listed(url, { headers, body }) {
  const response = await globalThis.fetch(url, { method: 'POST', headers: { ...headers }, body });
  return response.text();
}

async function application({ resource, target, issuer }) {
  const { NestFactory } = await import('@nestjs/core');
  const { FastifyAdapter } = await import('@nestjs/platform-fastify');
  const { Module } = await import('@nestjs/common');
  const { AuthplaneModule } = await import('authplane-nestjs');
  const { AuthplaneGatewayModule, exchange, none } = await import('authplane-nestjs/gateway');
  const token = exchange({ scope: 'echo' });
  const many = Array.from({ length: MANY }, (_, index) => [
    `many-${index}`,
    { url: `${target}/many/${index}`, token: none(), listTimeoutMs: 60_000 },
  ]);
  class BenchModule {}
  Module({
    imports: [
      AuthplaneModule.forRoot({
        issuer,
        resource,
        devMode: true,
        asCredentials: { clientId: 'gateway', clientSecret: 'a-secret-of-the-bench' },
      }),
      AuthplaneGatewayModule.forRoot({
        path: 'mcp',
        pageSize: 100_000,
        upstreams: {
          up: { url: `${target}/mcp`, token },
          old: { url: `${target}/old`, token },
          hang: { url: `${target}/hang`, token: none(), timeoutMs: HANG_MS, breaker: false },
          ...Object.fromEntries(many),
        },
      }),
    ],
    controllers: [await forwarder(`${target}/mcp`)],
  })(BenchModule);
  const app = await NestFactory.create(BenchModule, new FastifyAdapter(), { logger: false });
  await app.listen(8899, '127.0.0.1');
  return app;
}

/** What one would write without a gateway: docs/proxy.md. */
async function forwarder(url) {
  const { Controller, Inject, Post, Req, Res, UseGuards } = await import('@nestjs/common');
  const { AuthContext, AuthplaneClient, AuthplaneGuard } = await import('authplane-nestjs');
  const { serveMcp } = await import('authplane-nestjs/mcp');
  class PlainController {
    constructor(authplane, caller) {
      this.authplane = authplane;
      this.caller = caller;
    }

    handle(request, reply) {
      return serveMcp(request, reply, async (signal) => {
        const answer = await this.authplane.fetchAs({
          subjectToken: this.caller.token,
          exchange: { resources: [url], scope: 'echo' },
          url,
          inboundHeaders: request.headers,
          init: {
            method: 'POST',
            signal,
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(request.body),
          },
        });
        return async (_request, response) => {
          response.statusCode = answer.status;
          response.setHeader('content-type', answer.headers.get('content-type'));
          await pipeline(Readable.fromWeb(answer.body), response);
        };
      });
    }
  }
  const { prototype } = PlainController;
  Inject(AuthplaneClient)(PlainController, undefined, 0);
  Inject(AuthContext)(PlainController, undefined, 1);
  Req()(prototype, 'handle', 0);
  Res()(prototype, 'handle', 1);
  Post()(prototype, 'handle', Object.getOwnPropertyDescriptor(prototype, 'handle'));
  UseGuards(AuthplaneGuard)(PlainController);
  Controller('plain')(PlainController);
  return PlainController;
}
