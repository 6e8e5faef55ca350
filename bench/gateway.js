/**
 * CPU of the gateway's process for one call that is passed through, against a plain forwarder (guard,
 * `fetchAs`, pipe) in the same process. Authorization server, upstream and client are other processes.
 * `npm run bench`. Figures are ratios of this run on this machine; quote no others.
 */
import 'reflect-metadata';
import { Buffer } from 'node:buffer';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as send, Agent } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { median } from './lib/statistics.js';

const CALLS = 60;
const AT_ONCE = 6;

if (process.argv[2] === 'upstream') await upstream();
else if (process.argv[2] === 'server') await authorizationServer();
else if (process.argv[2] === 'client') client();
else await measure();

/** Answers what an MCP server of 2026-07-28 answers, as cheaply as it can be done. */
async function upstream() {
  const result = { content: [{ type: 'text', text: 'x'.repeat(2000) }] };
  const answers = {
    'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
    'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }], ttlMs: 600_000 },
    'tools/call': result,
  };
  const server = createServer(async (incoming, response) => {
    let text = '';
    for await (const chunk of incoming) text += chunk;
    const { id, method } = JSON.parse(text);
    response.writeHead(200, { 'content-type': 'application/json' });
    const answer = { resultType: 'complete', ...answers[method] };
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: answer }));
  });
  server.listen(0, '127.0.0.1', () =>
    process.send(`http://127.0.0.1:${server.address().port}/mcp`),
  );
}

async function authorizationServer() {
  const { startAuthorizationServer } = await import('authplane-nestjs/testing');
  const [, , , target, resource] = process.argv;
  const policy = { exchangeClients: ['gateway'], runtimeClients: ['gateway'] };
  const grantTypes = ['urn:ietf:params:oauth:grant-type:token-exchange'];
  const server = await startAuthorizationServer({
    clients: [{ clientId: 'gateway', clientSecret: 'a-secret-of-the-bench', grantTypes }],
    resources: [
      { uri: resource, slug: 'gateway', scopes: ['use'], policy },
      { uri: target, scopes: ['echo'], policy },
    ],
    fronting: [{ source: resource, target, scopeMap: { use: ['echo'] } }],
  });
  const token = await server.issueToken({ aud: [resource], scope: 'use' });
  process.send({ issuer: server.issuer, token });
}

/** Makes so many calls, so many at once, and says when they are over. */
function client() {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  process.on('message', async ({ url, token, name }) => {
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name,
        arguments: { day: 'fri' },
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    });
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': name,
      'content-length': Buffer.byteLength(body),
    };
    const one = () =>
      new Promise((resolve, reject) => {
        const outgoing = send(url, { method: 'POST', headers, agent }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
          response.resume().on('end', resolve);
        });
        outgoing.on('error', reject).end(body);
      });
    for (let done = 0; done < CALLS; done += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, one));
    }
    process.send('done');
  });
}

async function child(...args) {
  const process_ = fork(fileURLToPath(import.meta.url), args);
  const [said] = args[0] === 'client' ? [] : await once(process_, 'message');
  return { process: process_, said };
}

async function measure() {
  const { NestFactory } = await import('@nestjs/core');
  const { FastifyAdapter } = await import('@nestjs/platform-fastify');
  const { Module } = await import('@nestjs/common');
  const { AuthplaneModule } = await import('authplane-nestjs');
  const { AuthplaneGatewayModule, exchange } = await import('authplane-nestjs/gateway');
  const resource = 'http://127.0.0.1:8899/mcp';
  const target = await child('upstream');
  const server = await child('server', target.said, resource);
  const load = await child('client');
  const { issuer, token } = server.said;

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
        upstreams: { up: { url: target.said, token: exchange({ scope: 'echo' }) } },
      }),
    ],
    controllers: [await forwarder(target.said)],
  })(BenchModule);
  const app = await NestFactory.create(BenchModule, new FastifyAdapter(), { logger: false });
  await app.listen(8899, '127.0.0.1');

  const run = (path, name) => async () => {
    load.process.send({ url: `http://127.0.0.1:8899${path}`, token, name });
    const before = process.cpuUsage();
    await once(load.process, 'message');
    const { user, system } = process.cpuUsage(before);
    return (user + system) / CALLS;
  };
  const cases = { forwarder: run('/plain', 'echo'), gateway: run('/mcp', 'up__echo') };
  for (const one of Object.values(cases)) for (let times = 0; times < 5; times++) await one();
  const times = { forwarder: [], gateway: [] };
  for (let round = 0; round < 20; round++) {
    for (const [name, one] of Object.entries(cases)) times[name].push(await one());
  }
  for (const [name, each] of Object.entries(times)) {
    console.log(`${name.padEnd(12)} ${median(each).toFixed(0).padStart(6)} µs of CPU per call`);
  }
  console.log(
    `gateway / forwarder ${median(times.gateway.map((one, i) => one / times.forwarder[i])).toFixed(2)}  (goal 1.15)`,
  );
  await app.close();
  for (const { process: one } of [target, server, load]) one.kill();
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
