/**
 * What the benches of the gateway run against: an application with a gateway and a plain forwarder, and in processes of
 * their own, upstreams, the authorization server and clients. This file is started anew for each of those.
 */
import 'reflect-metadata';
import { Buffer } from 'node:buffer';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as send, Agent } from 'node:http';
import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const RESOURCE = 'http://127.0.0.1:8899/mcp';
export const MANY = 10;
export const TOOLS = 1000;
const AT_ONCE = 6;
const MODERN = '2026-07-28';

const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': {},
};

const JSON_TYPE = { 'content-type': 'application/json' };
const BROKEN = {
  '/hangs': () => undefined,
  '/slow': (response) => trickle(response.writeHead(200, JSON_TYPE)),
  '/garbage': (response) => response.writeHead(200, JSON_TYPE).end('}'.repeat(2000)),
};

const ROLES = { upstream, server: authorizationServer, client };
if (process.argv[1] === fileURLToPath(import.meta.url)) await ROLES[process.argv[2]]();

/**
 * As cheaply as it can be done: `/mcp` speaks 2026-07-28, `/old` has sessions, `/many/N` lists many tools. Calls are
 * not answered by `/hangs`, in a second by `/slow`, and by `/garbage` with what is no JSON.
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
    const broken = method === 'tools/call' ? BROKEN[incoming.url] : undefined;
    if (broken !== undefined) return broken(response);
    const session =
      isOld && method === 'initialize' ? { 'mcp-session-id': String(Math.random()) } : {};
    response.writeHead(200, { ...JSON_TYPE, ...session });
    const result = answers(incoming.url.startsWith('/many'))[method] ?? {};
    const modern = isOld ? {} : { resultType: 'complete' };
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { ...modern, ...result } }));
  });
  server.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
}

/** An answer in twenty pieces, one each 50 ms. */
async function trickle(response) {
  const content = [{ type: 'text', text: 'x'.repeat(2000) }];
  const result = { resultType: 'complete', content };
  const text = JSON.stringify({ jsonrpc: '2.0', id: 1, result });
  const size = Math.ceil(text.length / 20);
  for (let at = 0; at < text.length; at += size) {
    response.write(text.slice(at, at + size));
    await setTimeout(50);
  }
  response.end();
}

async function authorizationServer() {
  const { startAuthorizationServer } = await import('authplane-nestjs/testing');
  const [, , , target] = process.argv;
  const policy = { exchangeClients: ['gateway'], runtimeClients: ['gateway'] };
  const grantTypes = ['urn:ietf:params:oauth:grant-type:token-exchange'];
  const targets = [`${target}/mcp`, `${target}/old`];
  const server = await startAuthorizationServer({
    clients: [{ clientId: 'gateway', clientSecret: 'a-secret-of-the-bench', grantTypes }],
    resources: [
      { uri: RESOURCE, slug: 'gateway', scopes: ['use'], policy },
      ...targets.map((uri) => ({ uri, scopes: ['echo'], policy })),
    ],
    fronting: targets.map((uri) => ({
      source: RESOURCE,
      target: uri,
      scopeMap: { use: ['echo'] },
    })),
  });
  process.on('message', async (sub) => {
    process.send(await server.issueToken({ aud: [RESOURCE], scope: 'use', sub }));
  });
  process.send(server.issuer);
}

/**
 * Sends messages, six at once, and says when they are answered, and how long each took. With `everyMs` it sends them
 * again and again, whatever the answer, until it is told to stop.
 */
function client() {
  const agent = new Agent({ keepAlive: true });
  let isStopped = false;
  process.on('message', async (told) => {
    if (told.isStopped) isStopped = true;
    else process.send(await (told.everyMs === undefined ? all(told) : repeated(told)));
  });

  async function all({ url, messages }) {
    const answers = [];
    for (let done = 0; done < messages.length; done += AT_ONCE) {
      const some = messages.slice(done, done + AT_ONCE);
      answers.push(...(await Promise.all(some.map((one) => answerTo(url, one, agent)))));
    }
    const wrong = answers.findIndex(({ status }) => status !== 200);
    if (wrong >= 0) throw new Error(`${messages[wrong].body}: ${answers[wrong].status}`);
    return { session: answers.at(-1)?.session, times: answers.map(({ took }) => took) };
  }

  async function repeated({ url, messages, everyMs }) {
    const answers = [];
    for (isStopped = false; !isStopped;) {
      const some = messages.map((one) => answerTo(url, one, agent));
      answers.push(...(await Promise.all([Promise.all(some), setTimeout(everyMs)]))[0]);
    }
    return { statuses: [...new Set(answers.map(({ status }) => status))] };
  }
}

function answerTo(url, { headers, body }, agent) {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = send(url, { method: 'POST', headers, agent }, (response) => {
      const { statusCode: status, headers: own } = response;
      response.resume().on('end', () => {
        resolve({ status, session: own['mcp-session-id'], took: performance.now() - since });
      });
    });
    outgoing.on('error', reject).end(body);
  });
}

export async function child(...args) {
  const process_ = fork(fileURLToPath(import.meta.url), args, { execArgv: [] });
  const [said] = args[0] === 'client' ? [] : await once(process_, 'message');
  return { process: process_, said };
}

export async function ask({ process: one }, message) {
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

function ended() {
  throw new Error('a process of the bench has ended');
}

export function message(method, params, token, more = {}) {
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

export function modern(method, params, token) {
  return message(method, { ...params, _meta: META }, token, {
    'mcp-protocol-version': MODERN,
    'mcp-method': method,
    ...(params.name === undefined ? {} : { 'mcp-name': params.name }),
  });
}

export async function application({ issuer, target, more = {} }) {
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
        resource: RESOURCE,
        devMode: true,
        asCredentials: { clientId: 'gateway', clientSecret: 'a-secret-of-the-bench' },
      }),
      AuthplaneGatewayModule.forRoot({
        path: 'mcp',
        pageSize: 100_000,
        upstreams: {
          up: { url: `${target}/mcp`, token },
          old: { url: `${target}/old`, token },
          ...Object.fromEntries(many),
          ...more,
        },
      }),
    ],
    controllers: [await forwarder(`${target}/mcp`), await openProxy(`${target}/mcp`)],
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

/** The least that passes requests on: it knows nobody, and sends everybody's to one server. */
async function openProxy(url) {
  const { Controller, Post, Req, Res } = await import('@nestjs/common');
  const agent = new Agent({ keepAlive: true });
  class OpenController {
    handle(request, reply) {
      const body = JSON.stringify(request.body);
      const headers = {
        'content-type': 'application/json',
        accept: request.headers.accept,
        'content-length': Buffer.byteLength(body),
      };
      const outgoing = send(url, { method: 'POST', agent, headers }, (answer) => {
        reply.hijack();
        const { 'content-type': type } = answer.headers;
        pipeline(answer, reply.raw.writeHead(answer.statusCode, { 'content-type': type }));
      });
      outgoing.on('error', (error) => reply.raw.destroy(error)).end(body);
    }
  }
  const { prototype } = OpenController;
  Req()(prototype, 'handle', 0);
  Res()(prototype, 'handle', 1);
  Post()(prototype, 'handle', Object.getOwnPropertyDescriptor(prototype, 'handle'));
  Controller('open')(OpenController);
  return OpenController;
}
