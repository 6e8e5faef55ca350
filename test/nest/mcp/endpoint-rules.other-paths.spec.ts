import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { Controller, Get, Injectable, Post, Req, Res, Sse, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, type McpOptions, Public } from 'authplane-nestjs';
import { interval, map } from 'rxjs';
import { z } from 'zod';
import { platforms } from '../../support/nest/start-app.js';
import {
  call,
  type McpApp,
  type PostInit,
  request,
  Runs,
  startMcpApp,
} from '../../support/nest/mcp-app.js';
import { until } from '../../support/time/until.js';

type Platform = (typeof platforms)[number];
type NodeRequest = IncomingMessage & { raw?: IncomingMessage; body?: unknown; query: object };
type NodeResponse = ServerResponse & { raw?: ServerResponse; hijack?(): void };

const TOOLS = ['open', 'write', 'secret'];

@Injectable()
class SseHost {
  readonly runs = new Runs();
  readonly #transports = new Map<unknown, SSEServerTransport>();

  async open(response: ServerResponse): Promise<void> {
    const transport = new SSEServerTransport('/messages', response);
    this.#transports.set(transport.sessionId, transport);
    response.on('close', () => this.#transports.delete(transport.sessionId));
    const server = new McpServer({ name: 'sse', version: '1' });
    for (const name of TOOLS) {
      server.registerTool(name, { inputSchema: z.object({}).loose() }, () => {
        this.runs.push(name);
        return { content: [{ type: 'text', text: `${name} ran` }] };
      });
    }
    await server.connect(transport);
  }

  async take({ raw, body, query }: NodeRequest, request: NodeRequest, response: ServerResponse) {
    const { sessionId } = query as { sessionId?: unknown };
    const transport = this.#transports.get(sessionId);
    if (transport === undefined) return void response.writeHead(404).end('none');
    return transport.handlePostMessage(raw ?? request, response, body);
  }
}

/** HTTP+SSE (2024-11-05) on two paths that are not the resource's, as MCP-Nest 1.9 mounts it. */
@Controller()
@UseGuards(AuthplaneGuard)
class SseController {
  constructor(readonly host: SseHost) {}

  @Get('sse')
  async sse(@Res() reply: NodeResponse) {
    reply.hijack?.();
    await this.host.open(reply.raw ?? reply);
  }

  @Post('messages')
  async messages(@Req() request: NodeRequest, @Res() reply: NodeResponse) {
    reply.hijack?.();
    await this.host.take(request, request, reply.raw ?? reply);
  }
}

/** A stream that no guard has let in, such as one for browsers, which send no token with it. */
@Controller()
class PublicSseController {
  constructor(readonly host: SseHost) {}

  @Get('public-sse')
  @Public()
  @UseGuards(AuthplaneGuard)
  async sse(@Res() reply: NodeResponse) {
    reply.hijack?.();
    await this.host.open(reply.raw ?? reply);
  }
}

/** Somebody's plain API under the same guard. */
@Controller('plain')
@UseGuards(AuthplaneGuard)
class PlainController {
  @Post()
  take(@Req() { body }: { body?: unknown }) {
    return { taken: body ?? null };
  }

  @Get()
  list() {
    return { result: { tools: [{ name: 'secret' }] } };
  }

  @Sse('ticks')
  ticks() {
    return interval(20).pipe(
      map((tick) => ({ data: { tick, result: { tools: [{ name: 'secret' }] } } })),
    );
  }

  @Public()
  @Post('public')
  everybody() {
    return 'public';
  }
}

const RULES: McpOptions = { tools: { write: ['mcp:write'] } };
const HIDING: McpOptions = { list: 'hide', tools: { secret: ['mcp:secret'] } };

let server: McpApp | undefined;
const readers: { cancel(): Promise<void> }[] = [];
afterEach(stop);

async function stop(): Promise<void> {
  for (const reader of readers.splice(0)) await reader.cancel().catch(() => undefined);
  await server?.close();
  server = undefined;
}

describe.each(platforms)('MCP on other paths than the resource, on %s', (platform: Platform) => {
  async function start(mcp?: McpOptions, options: object = {}) {
    server = await startMcpApp({
      platform,
      controller: SseController,
      ...(mcp === undefined ? {} : { mcp }),
      options,
      metadata: { controllers: [PlainController, PublicSseController], providers: [SseHost] },
    });
    return { ...server, ran: server.app.app.get(SseHost).runs };
  }

  const at = (path: string) => `${server?.app.url}${path}`;
  const post = (path: string, body: unknown, init: PostInit = {}) =>
    server!.post(body, { ...init, url: at(path) });

  /** The event stream of a caller, and where to post to. */
  async function open(init: PostInit = {}, path = '/sse') {
    const authorization = await server!.bearer(init.scope ?? '', init.claims);
    const response = await fetch(at(path), {
      headers: { accept: 'text/event-stream', authorization },
    });
    expect(response.status).toBe(200);
    const stream = { text: '', hasEnded: false };
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    readers.push(reader);
    void (async () => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        stream.text += value;
      }
      stream.hasEnded = true;
    })().catch(() => undefined);
    const seen = async (pattern: RegExp) => {
      await until(() => pattern.test(stream.text));
      const found = pattern.exec(stream.text);
      return found?.[1] ?? String(found?.[0]);
    };
    return { stream, seen, endpoint: await seen(/^data: (\/messages\S+)$/m) };
  }

  const initialize = request('initialize', {
    protocolVersion: '2024-11-05',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  });

  it('HTTP+SSE: a missing scope is a 403 that names it, and nothing runs; with it the tool runs', async () => {
    const { ran } = await start(RULES);
    const { endpoint, seen } = await open();
    expect((await post(endpoint, initialize)).status).toBe(202);
    for (const body of [call('write', 2), [call('open', 2), call('write', 3)]]) {
      const refused = await post(endpoint, body);
      expect([refused.status, refused.json]).toEqual([
        403,
        { error: 'insufficient_scope', scope: 'mcp:write' },
      ]);
      expect(refused.headers.get('www-authenticate')).toContain('scope="mcp:write"');
    }
    const anonymous = await post(endpoint, call('write', 2), { scope: null });
    expect(anonymous.headers.get('www-authenticate')).toContain('scope="mcp:write"');
    expect([...ran]).toEqual([]);
    expect((await post(endpoint, call('write', 4), { scope: 'mcp:write' })).status).toBe(202);
    await seen(/write ran/);
    expect([...ran]).toEqual(['write']);
  });

  it('HTTP+SSE: nobody uses the session of another user or client', async () => {
    for (const rules of [RULES, { tools: { other: ['x'] } }]) {
      const { ran } = await start(rules);
      const { endpoint } = await open({ claims: { sub: 'alice' } });
      for (const claims of [{ sub: 'bob' }, { sub: 'alice', client_id: 'another' }]) {
        for (const path of [endpoint, endpoint.replace('sessionId', 'sessionId[]')]) {
          const refused = await post(path, call('open'), { claims });
          expect([refused.status, refused.json.error.message]).toEqual([404, 'Session not found']);
        }
      }
      expect([...ran]).toEqual([]);
      const own = await post(endpoint, call('open'), { claims: { sub: 'alice' } });
      expect(own.status).toBe(202);
      await stop();
    }
  });

  it('HTTP+SSE: what is hidden is not listed and does not run; who has the scope sees it', async () => {
    const { ran } = await start(HIDING);
    const { endpoint, seen, stream } = await open();
    await post(endpoint, initialize);
    await seen(/"id":1/);
    expect((await post(endpoint, request('tools/list', {}, 2))).status).toBe(202);
    await seen(/"id":2/);
    expect(stream.text).toContain('"open"');
    expect(stream.text).not.toContain('"secret"');
    expect((await post(endpoint, call('secret', 3))).status).toBe(202);
    expect((await post(endpoint, call('sekret', 4))).status).toBe(202);
    await seen(/"id":4/);
    const [hidden, unknown] = [3, 4].map(
      (id) => stream.text.split('\n').find((line) => line.includes(`"id":${id}`)) ?? '',
    );
    expect(hidden?.replace('secret', 'sekret').replace('"id":3', '"id":4')).toBe(unknown);
    expect([...ran]).toEqual([]);

    const powerful = await open({ scope: 'mcp:secret' });
    await post(powerful.endpoint, initialize, { scope: 'mcp:secret' });
    await post(powerful.endpoint, request('tools/list', {}, 2), { scope: 'mcp:secret' });
    await powerful.seen(/"secret"/);
    await post(powerful.endpoint, call('secret', 3), { scope: 'mcp:secret' });
    await powerful.seen(/secret ran/);
  });

  it('HTTP+SSE: a stream that was opened unseen has no lists to show, if any are to be shortened', async () => {
    const { ran } = await start(HIDING);
    const { endpoint } = await open({}, '/public-sse');
    expect((await post(endpoint, request('tools/list'))).status).toBe(404);
    await stop();

    await start(RULES);
    const shown = await open({}, '/public-sse');
    expect((await post(shown.endpoint, call('open'), { claims: { sub: 'alice' } })).status).toBe(
      202,
    );
    expect((await post(shown.endpoint, call('open'), { claims: { sub: 'bob' } })).status).toBe(404);
    expect([...ran]).toEqual([]);
  });

  it('HTTP+SSE: sessionBinding: false leaves sessions to the server', async () => {
    await start({ ...RULES, sessionBinding: false });
    const { endpoint } = await open({ claims: { sub: 'alice' } });
    expect((await post(endpoint, call('open'), { claims: { sub: 'bob' } })).status).toBe(202);
  });

  it('T25: its stream ends with the token', async () => {
    await start(RULES, { clockSkewSeconds: 0 });
    const exp = Math.ceil(Date.now() / 1000) + 2;
    const { stream } = await open({ claims: { exp } });
    expect(stream.hasEnded).toBe(false);
    await until(() => stream.hasEnded);
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(exp);
  });

  it('a request that names a session of MCP is read as one, and needs a body that can be', async () => {
    await start(RULES);
    const { endpoint } = await open();
    const headers = { 'content-type': 'text/plain' };
    const { status, json } = await post(endpoint, undefined, {
      raw: JSON.stringify(call('write')),
      headers,
    });
    expect([status, json.error]).toEqual([400, 'invalid_request']);
  });

  it('hardening: a message inside a JSON string, which the SDK would parse once more', async () => {
    const { ran } = await start(RULES);
    const { endpoint } = await open({}, '/public-sse');
    const raw = JSON.stringify(JSON.stringify(call('write')));
    expect((await post(endpoint, undefined, { raw })).status).toBe(400);
    expect((await post('/plain', undefined, { raw })).status).toBe(400);
    expect([...ran]).toEqual([]);
    if (platform === 'fastify') {
      const plain = await post('/plain', undefined, { raw: '"{some text"' });
      expect([plain.status, plain.json]).toEqual([201, { taken: '{some text' }]);
    }
  });

  describe("somebody's plain API", () => {
    it.each([{}, [], { method: 'tools', params: { name: 'write' } }, [...Array(200).keys()]])(
      'a body that is no JSON-RPC is not looked at: %j',
      async (body) => {
        await start({ ...RULES, allowedOrigins: ['https://app.example.com'] });
        const headers = { origin: 'https://other.example' };
        for (const path of ['/plain', '/plain?sessionId=1']) {
          const { status, json } = await post(path, body, { headers });
          expect([status, json]).toEqual([201, { taken: body }]);
        }
      },
    );

    it('a body that is none is not asked for', async () => {
      await start(RULES);
      const authorization = await server!.bearer();
      const response = await fetch(at('/plain'), { method: 'POST', headers: { authorization } });
      expect(response.status).toBe(201);
    });

    it('JSON-RPC is judged, be it alone or in a batch, for every origin', async () => {
      const mcp = { ...RULES, allowedOrigins: ['https://app.example.com'] };
      await start(mcp);
      expect((await post('/plain', call('write'))).json.scope).toBe('mcp:write');
      expect((await post('/plain', [{}, call('write')])).json.scope).toBe('mcp:write');
      expect((await post('/plain', call('open'))).status).toBe(201);
      const headers = { origin: 'https://other.example' };
      expect((await post('/plain', call('open'), { headers })).status).toBe(403);
      expect((await post('/plain/public', call('write'), { headers, scope: null })).text).toBe(
        'public',
      );
    });

    it('without MCP operations nothing is looked at', async () => {
      await start();
      expect((await post('/plain', Array(101).fill(call('write')))).status).toBe(201);
    });

    it('documents and event streams are left as they are', async () => {
      await start(HIDING, { clockSkewSeconds: 0 });
      const exp = Math.floor(Date.now() / 1000) + 2;
      const authorization = await server!.bearer('', { exp });
      const headers = { authorization, origin: 'https://other.example' };
      const list = await fetch(at('/plain?sessionId=1'), { headers });
      expect(await list.text()).toBe('{"result":{"tools":[{"name":"secret"}]}}');
      const response = await fetch(at('/plain/ticks'), { headers });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      readers.push(reader);
      let text = '';
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        text += next.value; // until its token ends
      }
      expect(text).toMatch(/data: \{"tick":0,"result":\{"tools":\[\{"name":"secret"\}\]\}\}/);
    });
  });
});
