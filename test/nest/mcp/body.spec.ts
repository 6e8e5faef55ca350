import { execFile } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi, test } from 'vitest';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { McpServer } from '@modelcontextprotocol/server';
import {
  All,
  type CallHandler,
  Controller,
  type ExecutionContext,
  Injectable,
  Logger,
  type NestInterceptor,
  Post,
  Req,
  Res,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { AuthplaneGuard, McpEndpoint } from 'authplane-nestjs';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import { z } from 'zod';
import { hasUnreadBody, isParsed, unreadableBody, unreadJson } from '../../../src/nest/mcp/body.js';
import type { KnownClass } from '../../../src/nest/mcp/hosts/mcp-discovery.js';
import { isHostController } from '../../../src/nest/mcp/hosts/mcp-hosts.js';
import { platforms } from '../../support/nest/start-app.js';
import {
  call,
  type McpApp,
  type McpAppOptions,
  request,
  startMcpApp,
} from '../../support/nest/mcp-app.js';

type NodeRequest = IncomingMessage & { raw?: IncomingMessage; body?: unknown; rawBody?: Buffer };
type NodeResponse = ServerResponse & { raw?: ServerResponse; hijack?(): void };

const TOOLS = { write: ['x'] };
const ran: string[] = [];

let server: McpApp | undefined;
afterEach(async () => {
  ran.length = 0;
  await server?.close();
  server = undefined;
});

async function start(options: McpAppOptions): Promise<McpApp> {
  server = await startMcpApp({ mcp: { tools: TOOLS }, ...options });
  return server;
}

function withTools<Server extends McpServer | McpServerV1>(target: Server): Server {
  for (const name of ['read', 'write']) {
    (target as McpServerV1).registerTool(name, { inputSchema: z.object({}).loose() }, () => {
      ran.push(name);
      return { content: [{ type: 'text', text: `${name} ran` }] };
    });
  }
  return target;
}

/** Hosts that are not given the parsed body, and read the bytes themselves. */
const byteReaders = {
  'SDK v1': async (incoming: IncomingMessage, response: ServerResponse) => {
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    await withTools(new McpServerV1({ name: 'v1', version: '1' })).connect(transport);
    await transport.handleRequest(incoming, response);
  },
  'SDK v2': async (incoming: IncomingMessage, response: ServerResponse) => {
    const transport = new NodeStreamableHTTPServerTransport({ enableJsonResponse: true });
    await withTools(new McpServer({ name: 'v2', version: '1' })).connect(transport);
    await transport.handleRequest(incoming, response);
  },
  /** As SDK 1.25 and others: whatever the content type says. */
  'a host that reads the stream': async (incoming: IncomingMessage, response: ServerResponse) => {
    const { rawBody } = incoming as NodeRequest;
    const chunks: Buffer[] = rawBody === undefined ? [] : [rawBody];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const message = JSON.parse(Buffer.concat(chunks).toString()) as ReturnType<typeof call>;
    if (message.method === 'tools/call') ran.push(String(message.params.name));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  },
};
type ByteReader = keyof typeof byteReaders;

@Injectable()
class Reader {
  constructor(readonly name: ByteReader) {}
}

class ReadingController {
  constructor(readonly reader: Reader) {}

  async handle(incoming: NodeRequest, reply: NodeResponse): Promise<void> {
    reply.hijack?.();
    const raw = incoming.raw ?? incoming;
    Object.assign(raw, { rawBody: incoming.rawBody });
    if (incoming.rawBody === undefined) delete (raw as NodeRequest).rawBody;
    await byteReaders[this.reader.name](raw, reply.raw ?? reply);
  }
}

function readingController(path: string, mark: ClassDecorator = () => undefined) {
  @Controller(path)
  @UseGuards(AuthplaneGuard)
  @mark
  class PathController extends ReadingController {
    constructor(reader: Reader) {
      super(reader);
    }

    @All()
    override async handle(@Req() incoming: NodeRequest, @Res() reply: NodeResponse) {
      return super.handle(incoming, reply);
    }
  }
  return PathController;
}

const reading = (name: ByteReader, path = 'mcp', mark?: ClassDecorator) => ({
  controller: readingController(path, mark),
  metadata: { providers: [{ provide: Reader, useValue: new Reader(name) }] },
});

const UTF7 =
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","x":"+ACI,+ACI-name+ACI:+ACI-read"}}';

describe.each(platforms)('the body that is judged is the body that runs, on %s', (platform) => {
  describe.each(Object.keys(byteReaders) as ByteReader[])('%s', (host) => {
    const rawBody = { platform, application: { rawBody: true }, ...reading(host) };

    test('9.1c: a charset that hides another tool from the guard is 415, and nothing runs', async () => {
      const { post } = await start(rawBody);
      for (const charset of ['utf-7', 'UTF-7', '"utf-7"', '"utf\\-7"']) {
        const headers = { 'content-type': `application/json; charset=${charset}` };
        const { status, text } = await post(undefined, { raw: UTF7, headers });
        expect([charset, status]).toEqual([charset, 415]);
        expect(text).not.toContain('ran');
      }
      expect(ran).toEqual([]);
    });

    test('9.1c: with UTF-8, and with the scope, it runs', async () => {
      const { post } = await start(rawBody);
      for (const charset of ['', '; charset=utf-8', ';charset="UTF-8"']) {
        const headers = { 'content-type': `application/json${charset}` };
        expect((await post(call('write'), { headers })).status).toBe(403);
        const { status, text } = await post(call('write'), { headers, scope: 'x' });
        expect([text, status]).toEqual([expect.stringContaining('{'), 200]);
      }
      expect(ran).toEqual(Array(3).fill('write'));
    });

    test('9.1c: the hidden one gives nothing away either', async () => {
      const { post } = await start({ ...rawBody, mcp: { list: 'hide', tools: TOOLS } });
      const headers = { 'content-type': 'application/json; charset=utf-7' };
      expect((await post(undefined, { raw: UTF7, headers })).status).toBe(415);
      expect((await post(call('write'))).text).not.toContain('write ran');
      expect(ran.filter((name) => name === 'write')).toEqual([]);
    });
  });

  test('9.1c: rawBody says what was judged, for every message', async () => {
    const seen: string[] = [];
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class RawController {
      @Post()
      take(@Req() { rawBody }: NodeRequest) {
        seen.push(String(rawBody));
        return {};
      }
    }
    const application = { rawBody: true };
    const { post } = await start({ platform, application, controller: RawController });
    const twice =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","name":"a"}}';
    expect((await post(undefined, { raw: ` ${twice} ` })).status).toBe(201);
    expect(seen).toEqual([twice.replace('"name":"read",', '')]);
  });

  test.each([
    ['JSON in 5,000 levels', '['.repeat(5000) + ']'.repeat(5000)],
    ['a number of which null would be written', '[{"b":-1e400}]'],
  ])('9.9: with rawBody, %s is 400, be the tool hidden or unknown', async (_what, value) => {
    const message = (name: string) =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":{"a":${value}}}}`;
    const host = { platform, application: { rawBody: true }, ...reading('SDK v1') };
    const { post } = await start({ ...host, mcp: { list: 'hide', tools: TOOLS } });
    const answers = [];
    for (const name of ['write', 'wrong', 'read']) {
      const { status, text } = await post(undefined, { raw: message(name) });
      answers.push([status, text]);
    }
    expect(answers).toEqual(
      Array(3).fill([400, expect.stringContaining('has no JSON-RPC body that can be checked')]),
    );
  });

  describe('a body that nobody has judged', () => {
    const stream = (path: string, mark?: ClassDecorator) => ({
      platform,
      ...reading('a host that reads the stream', path, mark),
    });

    async function refused(path: string, contentType: string, body: unknown = call('write')) {
      const url = `${server?.app.url}${path}`;
      const headers = { 'content-type': contentType };
      const { status } = await server!.post(body, { url, headers });
      expect(ran).toEqual([]);
      return status;
    }

    test.each([
      ['text/plain; a=application/json', 'mcp/:org', '/mcp/acme'],
      ['text/plain', 'mcp/:org', '/MCP/%61cme'],
      ['application/jsonx', 'tools', '/tools'],
      ['text/plain; a=application/JSON', 'tools', '/tools'],
    ])('9.1d: %s at %s is refused', async (contentType, route, path) => {
      await start(stream(route));
      expect([400, ...(platform === 'fastify' ? [404, 415] : [])]).toContain(
        await refused(path, contentType),
      );
    });

    test('9.1d: @McpEndpoint() takes no unread body of any type', async () => {
      await start(stream('tools', McpEndpoint()));
      expect(await refused('/tools', 'text/plain')).toBe(400);
    });

    test('9.1d: a parser that leaves the stream to the host', async () => {
      if (platform !== 'fastify') return;
      await start({
        ...stream('mcp/:org'),
        configure: (app) => {
          const fastify = app.getHttpAdapter().getInstance() as {
            addContentTypeParser(type: string, parser: (...args: never[]) => void): void;
          };
          fastify.addContentTypeParser('*', (_: unknown, payload: unknown, done: Done) =>
            done(null, payload),
          );
        },
      });
      expect(await refused('/mcp/acme', 'text/plain; a=application/json')).toBe(400);
    });

    test('9.1d: other bodies are left alone where anything may come', async () => {
      if (platform === 'fastify') return; // takes nothing else by itself
      const { post, app } = await start(stream('tools'));
      const headers = { 'content-type': 'text/plain' };
      await post({ some: 'text' }, { url: `${app.url}/tools`, headers });
      expect(await refused('/tools', 'text/plain', { some: 'text' })).toBe(200);
    });

    test.each(['tools/call', 'tools/list', 'prompts/get', 'resources/read'])(
      '9.1d: %s without "jsonrpc" is judged on every path',
      async (method) => {
        const mcp = {
          list: 'hide' as const,
          tools: { write: { all: ['x'] } },
          prompts: { write: ['x'] },
          resources: { write: ['x'] },
        };
        const { post, app } = await start({
          ...stream('tools'),
          application: { rawBody: true },
          mcp: { ...mcp, list: 'show' },
        });
        const body = { id: 1, method, params: { name: 'write', uri: 'write' } };
        const { status } = await post(body, { url: `${app.url}/tools` });
        expect(status).toBe(method === 'tools/list' ? 200 : 403);
      },
    );

    test('9.1d: bodyParser: false reaches no host, and the log says what to do', async () => {
      if (platform === 'fastify') return; // has a parser of its own
      const debug = vi.spyOn(Logger.prototype, 'debug').mockImplementation(() => undefined);
      await start({ ...stream('other/tools'), application: { bodyParser: false } });
      expect(await refused('/other/tools', 'application/json')).toBe(400);
      const lines = debug.mock.calls.map(([line]) => String(line));
      debug.mockRestore();
      expect(lines).toContainEqual(expect.stringContaining('rawBody: true instead of bodyParser'));
    });

    test("9.1d: MCP-Nest's own controllers, on other paths, take no unread body", async () => {
      if (platform === 'fastify') return;
      /** The class of MCP-Nest has this name, see below. */
      class BoundMcpHttpController {
        @Post()
        post(@Res() response: ServerResponse) {
          ran.push('post');
          response.end();
        }
      }
      @Controller('elsewhere')
      @UseGuards(AuthplaneGuard)
      class NestController extends BoundMcpHttpController {}
      const application = { bodyParser: false };
      // its tools are registered by hand
      const metadata = { providers: [{ provide: 'MCP_STRATEGY', useValue: {} }] };
      await start({ platform, application, controller: NestController, metadata });
      expect(await refused('/elsewhere', 'text/plain')).toBe(400);
    });
  });

  describe('serveMcp', () => {
    @Injectable()
    class Decrypting implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler) {
        const incoming = context.switchToHttp().getRequest<{ body: unknown }>();
        const { secret } = (incoming.body ?? {}) as { secret?: string };
        if (secret !== undefined) incoming.body = JSON.parse(secret);
        return next.handle();
      }
    }

    function serving(path: string) {
      @Controller(path)
      @UseGuards(AuthplaneGuard)
      @UseInterceptors(Decrypting)
      class ServingController {
        @All()
        handle(@Req() incoming: PlatformRequest, @Res() reply: PlatformReply) {
          return serveMcp(incoming, reply, () => async (raw, response, body) => {
            const message = body as Partial<ReturnType<typeof call>> | undefined;
            if (message === undefined)
              return byteReaders['a host that reads the stream'](raw, response);
            if (message.method === 'tools/call') ran.push(String(message.params?.name));
            response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
            return Promise.resolve();
          });
        }
      }
      return ServingController;
    }

    test.each(['mcp', 'tools'])(
      '9.1c: a body that was replaced after the guard is refused, at /%s',
      async (path) => {
        const { post, app } = await start({ platform, controller: serving(path) });
        const url = `${app.url}/${path}`;
        const refused = await post({ secret: JSON.stringify(call('write')) }, { url });
        expect([refused.status, refused.json.error]).toEqual([400, 'invalid_request']);
        expect(ran).toEqual([]);
        expect((await post(call('read'), { url })).status).toBe(200);
        expect((await post(call('write'), { url, scope: 'x' })).status).toBe(200);
        expect(ran).toEqual(['read', 'write']);
      },
    );

    test('9.1d: a body that nobody has parsed, whatever its type', async () => {
      if (platform === 'fastify') return;
      const { post, app } = await start({ platform, controller: serving('tools') });
      const headers = { 'content-type': 'text/plain' };
      const { status } = await post(call('write'), { url: `${app.url}/tools`, headers });
      expect(status).toBe(400);
      expect(ran).toEqual([]);
    });
  });
});

type Done = (error: null, body: unknown) => void;

describe('mcp-body', () => {
  const incoming = (headers: Record<string, string>, method = 'POST') =>
    ({ headers, method, readableDidRead: false }) as unknown as IncomingMessage;
  const json = { 'content-type': 'application/json', 'content-length': '2' };

  it('tells a parsed body from an unread one', () => {
    expect(isParsed({}, incoming(json))).toBe(false);
    expect(isParsed({}, incoming({}))).toBe(true);
    expect(isParsed([1], incoming(json))).toBe(true);
    for (const body of [undefined, null, 'text', Buffer.from('{}'), { pipe: () => 0 }]) {
      expect(isParsed(body, incoming({}))).toBe(false);
    }
    expect(hasUnreadBody(incoming({ 'transfer-encoding': 'chunked' }))).toBe(true);
    expect(hasUnreadBody(incoming({ 'content-length': '0' }))).toBe(false);
  });

  it('9.3: the body of a GET that nobody has read is refused as well; a GET without one is not', () => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      expect(unreadableBody({ raw: incoming(json, method) })).toBeInstanceOf(Error);
      expect(unreadableBody({ raw: incoming({}, method) })).toBeUndefined();
    }
  });

  it.each([
    ['application/json', undefined],
    ['application/json; charset=utf-8', undefined],
    ['application/json; charset = "utf-8" ; x=y', undefined],
    ['application/json;CHARSET=UTF8', undefined],
    ['application/json; charset=utf-7', 415],
    ['application/json; charset="utf\\-7"', 415],
    ['application/json; charset', 415],
    ["application/json; charset*=utf-8''utf-7", 415],
    ['application/json; x="; charset=utf-8"; charset=utf-16le', 415],
    ['application/json; charset=utf-8x', 415],
  ])('%s', (type, status) => {
    const raw = incoming({ 'content-type': type });
    for (const problem of [
      unreadableBody({ raw, body: { a: 1 } }),
      unreadJson({ raw, body: { a: 1 } }, { isBelowEndpoint: false }),
    ]) {
      expect(problem?.name).toBe(status === undefined ? undefined : 'UnsupportedCharsetError');
    }
  });

  it('9.1d: what McpHttpControllerFor of MCP-Nest returns is known by its name', async () => {
    const program =
      "import('@rekog/mcp-nest').then(({ McpHttpControllerFor }) =>" +
      ' console.log(McpHttpControllerFor({ httpHandlers: {} }).name))';
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program]);
    const made = { [stdout.trim()]: class {} }[stdout.trim()];
    const known = {
      type: made,
      isController: true,
      library: undefined,
      runsElsewhere: false,
      module: {},
      methods: [],
    };
    expect(isHostController(known as KnownClass)).toBe(true);
  });

  it('an application without MCP operations keeps its bodies', async () => {
    const { post } = await startMcpApp({
      platform: 'express',
      ...reading('a host that reads the stream', 'mcp/:org'),
    }).then((started) => (server = started));
    const url = `${server!.app.url}/mcp/acme`;
    const headers = { 'content-type': 'text/plain' };
    expect((await post(request('ping'), { url, headers })).status).toBe(200);
  });
});
