import { afterEach, describe, expect, it, vi } from 'vitest';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { All, Controller, Logger, Post, Req, Res, UseGuards } from '@nestjs/common';
import fastifyCompress from '@fastify/compress';
import compression from 'compression';
import methodOverride from 'method-override';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import {
  AuthplaneGuard,
  AuthplaneModule,
  AuthplaneOperations,
  AuthplaneResource,
  type McpOptions,
  Scopes,
} from 'authplane-nestjs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { platforms } from '../../../support/nest/start-app.js';
import {
  call,
  type HostName,
  hosts,
  type McpApp,
  type McpAppOptions,
  modern,
  request,
  startMcpApp,
} from '../../../support/nest/mcp-app.js';
import { Template } from '../../../support/nest/mcp-nest-decorators.js';

const HIDDEN: McpOptions = {
  list: 'hide',
  tools: { read: ['mcp:read'], write: ['mcp:write'] },
  resources: {
    'https://example.com/secret': ['r:secret'],
    'calendar://days/{day}': ['r:days'],
  },
  prompts: { briefing: ['p:briefing'] },
};

let server: McpApp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(options: McpAppOptions): Promise<McpApp> {
  server = await startMcpApp(options);
  return server;
}

describe.each(platforms)('hidden operations on %s', (platform) => {
  describe.each(Object.keys(hosts) as HostName[])('%s', (host) => {
    it('a hidden operation is answered like an unknown one, to the byte, and does not run', async () => {
      const { runs } = await start({ platform, host, mcp: HIDDEN });
      const session = await sessionHeaders(host);
      const pairs = [
        [call('write', '~'), 'write', 'wrong'],
        [request('prompts/get', { name: 'briefing' }), 'briefing', 'bruefing'],
        [request('resources/read', { uri: 'https://example.com/secret' }), 'secret', 'sucret'],
        [request('resources/read', { uri: 'calendar://days/monday' }), '/days/', '/deys/'],
        [
          request('resources/read', { uri: 'HTTPS://example.com/%41/../secret' }),
          'secret',
          'sucret',
        ],
        [
          request('completion/complete', {
            ref: { type: 'ref/prompt', name: 'briefing' },
            argument: { name: 'a', value: 'b' },
          }),
          'briefing',
          'bruefing',
        ],
        [[call('open', 1), call('write', 2)], 'write', 'wrong'],
      ] as const;
      for (const [body, name, unknown] of pairs) {
        const asked = JSON.stringify(body);
        const hidden = await exchange(asked, session);
        const missing = await exchange(asked.replace(name, unknown), session);
        expect(hidden.status).toBe(200);
        expect(withoutIds(hidden).replaceAll(name, unknown)).toBe(withoutIds(missing));
        expect(hidden.text).toMatch(/not found/i);
      }
      expect([...runs]).toEqual(['open', 'open']);
    });

    it('9.9: where an open template serves its siblings, a hidden URI is served as one of them', async () => {
      const resources = { 'calendar://days/monday': ['r:monday'] };
      const { runs, post } = await start({ platform, host, mcp: { list: 'hide', resources } });
      const session = await sessionHeaders(host);
      for (const uri of ['calendar://days/monday', 'CALENDAR://days/%6donday']) {
        const asked = JSON.stringify(request('resources/read', { uri }));
        const hidden = await exchange(asked, session);
        const sibling = await exchange(asked.replace('onday', 'onkay'), session);
        expect(withoutIds(hidden).replaceAll('onday', 'onkay')).toBe(withoutIds(sibling));
        expect(sibling.text).toContain('content');
      }
      expect(runs).toHaveLength(4);
      expect(runs.filter((uri) => decodeURIComponent(uri).endsWith('monday'))).toEqual([]);
      const headers = session;
      const body = request('resources/read', { uri: 'calendar://days/monday' });
      await post(body, { scope: 'r:monday', headers });
      expect(runs.at(-1)).toBe('calendar://days/monday');
    });

    it('lists show what the caller may use', async () => {
      const { post } = await start({ platform, host, mcp: HIDDEN });
      const headers = await sessionHeaders(host);
      const list = async (method: string, member: string, id: string, scope: string) => {
        const { json } = await post(request(method), { scope, headers });
        return (json.result[member] as Record<string, string>[]).map((entry) => entry[id]);
      };
      expect(await list('tools/list', 'tools', 'name', '')).toEqual(['open']);
      expect(await list('tools/list', 'tools', 'name', 'mcp:write')).toEqual(['open', 'write']);
      expect(await list('resources/list', 'resources', 'uri', '')).toEqual(['calendar://today']);
      expect(await list('resources/list', 'resources', 'uri', 'r:secret')).toHaveLength(2);
      const templates = ['resources/templates/list', 'resourceTemplates', 'uriTemplate'] as const;
      expect(await list(...templates, '')).toEqual([]);
      expect(await list(...templates, 'r:days')).toEqual(['calendar://days/{day}']);
      expect(await list('prompts/list', 'prompts', 'name', '')).toEqual([]);
      expect(await list('prompts/list', 'prompts', 'name', 'p:briefing')).toEqual(['briefing']);
    });

    it('who has the scope gets everything', async () => {
      const { post, runs } = await start({ platform, host, mcp: HIDDEN });
      const headers = await sessionHeaders(host);
      const answer = await post(call('write'), { scope: 'mcp:write', headers });
      expect(answer.text).toContain('write ran');
      expect(runs).toEqual(['write']);
    });
  });

  it('2026: the header that repeats the name goes along; encoded, too; lists are private', async () => {
    const { runs, post } = await start({ platform, host: 'SDK v2', mcp: HIDDEN });
    const encoded = (name: string) => `=?base64?${Buffer.from(name).toString('base64')}?=`;
    for (const spell of [(name: string) => name, encoded]) {
      const answers = [];
      for (const name of ['write', 'wrong']) {
        const { body, headers } = modern('tools/call', { name });
        const sent = { ...headers, 'mcp-name': spell(name) };
        answers.push(withoutIds(await exchange(JSON.stringify(body), sent)));
      }
      expect(answers[0]?.replaceAll('write', 'wrong')).toBe(answers[1]);
      expect(answers[0]).toContain('-32602');
    }
    const { body, headers } = modern('tools/list', {});
    const { result } = (await post(body, { headers })).json;
    expect(result.tools).toHaveLength(1);
    expect(result.cacheScope).toBe('private');
    expect(runs).toEqual([]);
  });

  it('a shown operation in the same batch is refused, without the scopes of the hidden one', async () => {
    const { post, runs } = await start({
      platform,
      mcp: { tools: { open: ['mcp:open'] } },
      options: { mcp: HIDDEN },
    });
    expect((await post([call('write', 1), call('open', 2)])).status).toBe(200);
    expect(runs).toEqual(['open']);
    const anonymous = await post(call('write'), { scope: null });
    expect(anonymous.headers.get('www-authenticate')).not.toContain('mcp:write');
  });

  it('9.9: what its siblings need is asked of a hidden URI as well', async () => {
    @Controller('days')
    class Days {
      @Template('calendar://days/{day}')
      @Scopes('r:days', { list: 'show' })
      day() {
        return 1;
      }
    }
    const resources = { 'calendar://days/monday': ['r:monday'] };
    const metadata = { controllers: [Days] };
    const { runs } = await start({ platform, mcp: { list: 'hide', resources }, metadata });
    for (const [scope, status] of [['', 403] as const, ['r:days', 200] as const]) {
      const asked = JSON.stringify(request('resources/read', { uri: 'calendar://days/monday' }));
      const hidden = await exchange(asked, {}, 'POST', scope);
      const sibling = await exchange(asked.replace('onday', 'onkay'), {}, 'POST', scope);
      expect(hidden.status).toBe(status);
      expect(withoutIds(hidden).replaceAll('onday', 'onkay')).toBe(withoutIds(sibling));
    }
    expect(runs).toHaveLength(2);
    expect(runs).not.toContain('calendar://days/monday');
  });

  it.each<[string, (uri: string) => string]>([
    ['shortens it', (uri) => `${uri.slice(0, 20)}…`],
    ['shows its end', (uri) => uri.slice(-5)],
    ['counts its characters', (uri) => `${uri.length} characters`],
    ['escapes it for HTML', (uri) => uri.replace(/[^\w ]/g, (one) => `&#${one.charCodeAt(0)};`)],
    ['links it in a URL', (uri) => `/?of=${encodeURIComponent(new URL(uri).href)}`],
    ['knows one scheme', (uri) => (uri.startsWith('calendar://') ? `no ${uri}` : 'what is it?')],
  ])('9.9: a server that %s tells nothing of a hidden URI', async (_, shown) => {
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class QuotingController {
      @Post()
      take(@Req() { body }: { body: { params: { uri: string } } }) {
        const data = { uri: shown(body.params.uri) };
        return { jsonrpc: '2.0', id: 1, error: { code: -32002, message: 'not found', data } };
      }
    }
    await start({
      platform,
      mcp: HIDDEN,
      controller: QuotingController,
      configure: (app) => {
        if (platform === 'express') app.use(compression({ threshold: 0 }));
        else void (app as NestFastifyApplication).register(fastifyCompress, { threshold: 0 });
      },
    });
    const asked = JSON.stringify(request('resources/read', { uri: 'calendar://days/monday/x' }));
    const hidden = await exchange(asked, {});
    const missing = await exchange(asked.replace('days', 'deys'), {});
    expect(withoutIds(hidden).replaceAll('days', 'deys')).toBe(withoutIds(missing));
    expect(missing.text).toContain('not found');
  });

  describe('9.9: what docs/scopes.md says that remains', () => {
    it.each<[string, McpOptions['resources'], string, (uri: string) => string, boolean]>([
      [
        'takes ASCII only',
        HIDDEN.resources,
        'calendar://days/monday',
        (uri) => (/^[ -~]*$/.test(uri) ? 'not found' : 'no ASCII'),
        true,
      ],
      [
        'measures what it has escaped',
        HIDDEN.resources,
        'calendar://days/monday',
        (uri) => `${new URL(uri).href.length} characters`,
        true,
      ],
      [
        'counts, where nothing but the scheme is fixed',
        { 'calendar://{+path}': ['r:days'] },
        'calendar://days/monday',
        (uri) => `${uri.length} characters`,
        true,
      ],
      [
        'repeats it whole, where nothing but the scheme is fixed',
        { 'calendar://{+path}': ['r:days'] },
        'calendar://days/monday',
        (uri) => `no ${uri}`,
        false,
      ],
    ])('a server that %s', async (_, resources, uri, shown, isTold) => {
      const asked: string[] = [];
      @Controller('mcp')
      @UseGuards(AuthplaneGuard)
      class AnsweringController {
        @Post()
        take(@Req() { body }: { body: { params: { uri: string } } }) {
          asked.push(body.params.uri);
          return {
            jsonrpc: '2.0',
            id: 1,
            error: { code: -32002, message: shown(body.params.uri) },
          };
        }
      }
      const mcp: McpOptions = { list: 'hide', resources: resources ?? {} };
      await start({ platform, mcp, controller: AnsweringController });
      const body = JSON.stringify(request('resources/read', { uri }));
      const hidden = await exchange(body, {});
      const missing = await exchange(body.replace('calendar', 'calender'), {});
      const same = withoutIds(hidden).replaceAll('calendar', 'calender') === withoutIds(missing);
      expect(same).toBe(!isTold);
      expect(asked).toHaveLength(2);
      expect(asked).not.toContain(uri); // whatever it says, it was not asked for what is hidden
    });
  });

  it('behind a catch-all that needs scopes, too, it is refused plainly', async () => {
    const resources = { '{+any}': ['r:any'] };
    const { post, runs } = await start({ platform, mcp: { list: 'hide', resources } });
    const answer = await post(request('resources/read', { uri: 'calendar://today' }));
    expect([answer.status, answer.json.error]).toEqual([403, 'access_denied']);
    expect(runs).toEqual([]);
  });

  it('a server that parses the raw body once more finds the same message', async () => {
    const seen: unknown[] = [];
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class RawController {
      @Post()
      take(@Req() { rawBody }: { rawBody: Buffer }) {
        const parsed = JSON.parse(rawBody.toString()) as ReturnType<typeof call>;
        seen.push(parsed.params.name);
        return { unknown: parsed.params.name };
      }
    }
    const authorizationServer = await startAuthorizationServer();
    const resource = 'http://127.0.0.1:3000/mcp';
    const { issuer } = authorizationServer;
    const options = { issuer, resource, devMode: true, mcp: HIDDEN };
    const module = await Test.createTestingModule({
      imports: [AuthplaneModule.forRoot(options)],
      controllers: [RawController],
    }).compile();
    const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
    const app = module.createNestApplication(adapter, { logger: false, rawBody: true });
    await app.listen(0, '127.0.0.1');
    const token = await authorizationServer.issueToken({ aud: [resource] });
    const response = await fetch(`${await app.getUrl()}/mcp`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(call('write')),
    });
    expect(await response.text()).toBe('{"unknown":"write"}');
    expect(Number(response.headers.get('content-length'))).toBe(19);
    expect(seen).toEqual([expect.stringMatching(/^writ[\ufdd0-\ufde9]$/)]);
    await app.close();
    await authorizationServer.close();
  });

  it('hardening: one line in the log for a request, however many operations it hides', async () => {
    const { post } = await start({ platform, mcp: HIDDEN });
    const logged = vi.spyOn(Logger.prototype, 'debug').mockImplementation(() => undefined);
    const calls = [call('write', 1), call('open', 2), call('read', 3), call('write', 4)];
    expect((await post(calls)).status).toBe(200);
    const lines = logged.mock.calls.map(([line]) => String(line));
    logged.mockRestore();
    expect(lines.filter((line) => line.includes('as if there were no such thing'))).toEqual([
      'answered as if there were no such thing: tools/call "write", and 2 more',
    ]);
  });

  it('9.3: the body of a request of any method is hidden as that of a POST', async () => {
    const handled: string[] = [];
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class AnyMethodController {
      @All()
      take(@Req() { body }: { body: ReturnType<typeof call> }) {
        handled.push(String(body.params.name));
        return { unknown: body.params.name };
      }
    }
    await start({
      platform,
      mcp: HIDDEN,
      controller: AnyMethodController,
      // The method of a POST is another one once this has run.
      configure: (app) => app.use(methodOverride('x-method')),
    });
    const body = JSON.stringify(call('write'));
    const methods =
      platform === 'express' ? ['GET', 'DELETE', 'OPTIONS', 'PUT'] : ['DELETE', 'PUT'];
    for (const method of methods) {
      for (const sent of [{ method }, { method: 'POST', headers: { 'x-method': method } }]) {
        const { status, text } = await exchange(body, sent.headers ?? {}, sent.method);
        expect([method, status, text]).toEqual([method, expect.any(Number), '{"unknown":"write"}']);
      }
    }
    expect(handled).toHaveLength(methods.length * 2);
    expect(handled.filter((name) => name === 'write')).toEqual([]);
    // Fastify reads no body of a GET, and nobody else may either.
    if (platform === 'fastify') expect((await exchange(body, {}, 'GET')).status).toBe(400);
  });

  it('9.9, 9.9b: compressed or not, with an ETag or not, in pieces: no answer tells', async () => {
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class WordyController {
      @Post()
      take(@Req() { body }: { body: ReturnType<typeof call> }) {
        const name = String(body.params.name);
        const quoted = JSON.stringify({ name, brief: name.slice(0, 3) });
        return { jsonrpc: '2.0', id: 1, error: { message: quoted.repeat(3), code: -32602 } };
      }
    }
    await start({
      platform,
      mcp: HIDDEN,
      controller: WordyController,
      configure: (app) => {
        if (platform === 'express') app.use(compression({ threshold: 0 }));
        else void (app as NestFastifyApplication).register(fastifyCompress, { threshold: 0 });
      },
    });
    const conditional = { 'if-none-match': '*', 'accept-encoding': 'gzip' };
    const hidden = await exchange(JSON.stringify(call('write')), conditional);
    const missing = await exchange(JSON.stringify(call('wrist')), conditional);
    expect(withoutIds(hidden).replaceAll('write', 'wrist')).toBe(withoutIds(missing));
    expect(hidden.headers.map((name) => name.toLowerCase())).not.toContain('etag');
  });

  it.each(['text/plain', 'text/html; charset=utf-8', 'application/x-own', undefined])(
    '9.9: answers of the type %s do not tell either',
    async (type) => {
      @Controller('mcp')
      @UseGuards(AuthplaneGuard)
      class TextController {
        @Post()
        take(
          @Req() { body }: { body: { params: { name?: string; uri?: string } } },
          @Res() reply: ServerResponse & { raw?: ServerResponse; hijack?(): void },
        ) {
          reply.hijack?.();
          const response = reply.raw ?? reply;
          const name = String(body.params.name ?? body.params.uri);
          response.statusCode = 404;
          if (type !== undefined) response.setHeader('content-type', type);
          response.write('There is no ');
          response.end(`"${name}" (${encodeURIComponent(name)})`);
        }
      }
      await start({ platform, mcp: HIDDEN, controller: TextController });
      const pairs = [
        [call('write', '~'), 'write', 'wrong'],
        [request('resources/read', { uri: 'https://example.com/secret' }), 'secret', 'sucret'],
        [request('resources/read', { uri: 'calendar://days/a"b' }), '/days/', '/deys/'],
      ] as const;
      for (const [body, name, unknown] of pairs) {
        const asked = JSON.stringify(body);
        const hidden = await exchange(asked, {});
        const missing = await exchange(asked.replace(name, unknown), {});
        const replaced = withoutIds(hidden)
          .replaceAll(name, unknown)
          .replaceAll(encodeURIComponent(name), encodeURIComponent(unknown));
        expect(replaced).toBe(withoutIds(missing));
        expect(missing.text).toMatch(/^There is no "/);
      }
    },
  );

  it('AuthplaneOperations tells servers that are wired by hand', async () => {
    const { app, authorizationServer, mcpUrl } = await start({ platform, mcp: HIDDEN });
    const operations = app.app.get(AuthplaneOperations);
    const token = await authorizationServer.issueToken({ aud: [mcpUrl], scope: 'mcp:read' });
    const claims = await app.app.get(AuthplaneResource).verify(token);
    const visible = (name: string) => operations.isVisible({ kind: 'tool', name }, claims);
    expect(['open', 'read', 'write'].map(visible)).toEqual([true, true, false]);
  });

  async function sessionHeaders(host: HostName): Promise<Record<string, string>> {
    if (host !== 'SDK v1 with sessions') return {};
    const initialize = request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    const opened = await server!.post(initialize);
    return { 'mcp-session-id': String(opened.headers.get('mcp-session-id')) };
  }
});

interface Exchange {
  readonly status: number;
  readonly headers: string[];
  readonly text: string;
}

/** All bytes of the answer: `fetch` hides some headers. */
async function exchange(
  body: string,
  headers: Record<string, string>,
  method = 'POST',
  scope = '',
): Promise<Exchange> {
  const authorization = await server!.bearer(scope);
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      server!.mcpUrl,
      {
        method,
        agent: false,
        headers: {
          'content-length': Buffer.byteLength(body),
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'accept-encoding': 'gzip',
          authorization,
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.rawHeaders, text });
        });
      },
    );
    sent.on('error', reject).end(body);
  });
}

/** Without what differs from answer to answer. */
function withoutIds({ status, headers, text }: Exchange): string {
  const date = headers.findIndex((name) => name.toLowerCase() === 'date');
  const kept = headers.filter((_, index) => date === -1 || (index !== date && index !== date + 1));
  return JSON.stringify([status, kept, text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}_?\w*/g, 'id')]);
}
