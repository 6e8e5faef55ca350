/** One application of `http.js`, in a process of its own: says where it listens, and what CPU it has used. */
import 'reflect-metadata';
import {
  Body,
  Controller,
  Get,
  Injectable,
  Module,
  Post,
  Req,
  Res,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { mainThreadCpu, processCpu } from './lib/cpu.js';
import { ISSUER, RESOURCE, serverAsFetch } from './lib/mint.js';

const [, , variant] = process.argv;
/** Another build than this one, to compare the two. */
const PACKAGE = process.env.BENCH_PACKAGE ?? 'authplane-nestjs';
const { AuthplaneGuard, AuthplaneModule, AuthContext, Scopes } = await import(PACKAGE);

const tools = Array.from({ length: 1000 }, (_, i) => ({
  name: `tool_${i}`,
  description: 'Looks something up in the warehouse and returns rows as text',
  inputSchema: { type: 'object', properties: { sql: { type: 'string' } }, required: ['sql'] },
}));
const scopesOfTools = Object.fromEntries([
  ['query', ['tools/query']],
  ...tools.map(({ name }, i) => [name, [i % 2 === 0 ? 'tools/query' : 'tools/admin']]),
]);

function answerTo(message) {
  if (Array.isArray(message)) return message.map(answerTo);
  const { id = null, method } = message;
  const content = [{ type: 'text', text: 'ok' }];
  return { jsonrpc: '2.0', id, result: method === 'tools/list' ? { tools } : { content } };
}

/** `POST /mcp` answers a message, and `GET /mcp?events=100&size=200` streams as many events. */
function application({ imports = [], guards = [], scopes = [], isAsked = false, again = false }) {
  class Endpoint {
    call(message) {
      const answer = answerTo(message);
      return again ? JSON.parse(JSON.stringify(answer)) : answer;
    }

    open() {
      return 'ok';
    }

    stream({ query }, reply) {
      reply.hijack();
      const text = 'x'.repeat(Number(query.size));
      const message = { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text }] } };
      write(reply.raw, `event: message\ndata: ${JSON.stringify(message)}\n\n`, query.events);
    }
  }
  const guarded = [
    ...(guards.length > 0 ? [UseGuards(...guards)] : []),
    ...(scopes.length > 0 ? [Scopes(...scopes)] : []),
  ];
  Body()(Endpoint.prototype, 'call', 0);
  decorate(Endpoint.prototype, 'call', [Post('mcp'), ...guarded]);
  decorate(Endpoint.prototype, 'open', [Get('open')]);
  Req()(Endpoint.prototype, 'stream', 0);
  Res()(Endpoint.prototype, 'stream', 1);
  decorate(Endpoint.prototype, 'stream', [Get('mcp'), ...guarded]);
  Controller()(Endpoint);
  class Application {}
  const asking = { provide: 'asking', useFactory: (caller) => caller, inject: [AuthContext] };
  Module({ imports, controllers: [Endpoint], providers: isAsked ? [asking] : [] })(Application);
  return Application;
}

function write(response, event, events) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  let left = Number(events);
  const go = () => {
    while (left-- > 0) {
      if (response.write(event)) continue;
      response.once('drain', go);
      return;
    }
    response.end();
  };
  go();
}

function decorate(prototype, key, decorators) {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, key);
  for (const decorator of [...decorators].reverse()) decorator(prototype, key, descriptor);
  Object.defineProperty(prototype, key, descriptor);
}

const module = (options) =>
  AuthplaneModule.forRoot({
    issuer: ISSUER,
    fetch: serverAsFetch([JSON.parse(process.env.BENCH_KEY)]),
    resource: RESOURCE,
    scopes: ['tools/query'],
    selfCheck: false,
    ...options,
  });
const elsewhere = { resource: 'https://mcp.example.com/elsewhere', mcp: false };
const guarded = { guards: [AuthplaneGuard], scopes: ['tools/query'] };

/** A guard on one of the compositions of `peers`, in front of the same handler. */
async function guardOf(name) {
  const { verifierOf } = await import('./peers/compositions.js');
  const verify = await verifierOf(name, {
    issuer: ISSUER,
    resource: RESOURCE,
    jwksUri: process.env.BENCH_JWKS,
    jwk: JSON.parse(process.env.BENCH_KEY),
  });
  class PeerGuard {
    async canActivate(context) {
      const request = context.switchToHttp().getRequest();
      const { authorization, dpop } = request.headers;
      try {
        request.auth = await verify({ authorization, dpop });
      } catch {
        throw new UnauthorizedException();
      }
      return request.auth.scope.split(' ').includes('tools/query');
    }
  }
  Injectable()(PeerGuard);
  return PeerGuard;
}

const variants = {
  bare: () => application({}),
  reparsed: () => application({ again: true }),
  async: () => application({ guards: [{ canActivate: async () => true }] }),
  open: () => application({ imports: [module(elsewhere)] }),
  plain: () => application({ imports: [module(elsewhere)], ...guarded }),
  asked: () => application({ imports: [module(elsewhere)], ...guarded, isAsked: true }),
  mcp: () => application({ imports: [module({ mcp: { tools: scopesOfTools } })], ...guarded }),
  hiding: () =>
    application({
      imports: [module({ mcp: { tools: scopesOfTools, list: 'hide' } })],
      ...guarded,
    }),
  bearer: () => application({ imports: [module({ mcp: false })], ...guarded }),
  bound: () => application({ imports: [module({ mcp: false, inboundDPoP: {} })], ...guarded }),
  sibling: async () => application({ guards: [await guardOf('sibling')] }),
  jose: async () => application({ guards: [await guardOf('jose')] }),
  early: () =>
    application({
      imports: [module({ mcp: { tools: scopesOfTools }, earlyRefusal: true })],
      ...guarded,
    }),
};

const adapter = new FastifyAdapter({ bodyLimit: 4_000_000 });
const app = await NestFactory.create(await variants[variant](), adapter, { logger: false });
await app.listen(0, '127.0.0.1');
process.on('message', () => process.send({ main: mainThreadCpu(), process: processCpu() }));
process.on('disconnect', () => process.exit(0));
process.send({ port: app.getHttpServer().address().port });
