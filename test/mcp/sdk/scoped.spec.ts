import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  McpServer as McpServerV1,
  ResourceTemplate as TemplateV1,
} from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpHandler, McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, vi, test } from 'vitest';
import { Logger, Controller, Post, Req, Res, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, AuthplaneOperations } from 'authplane-nestjs';
import {
  type McpServe,
  type PlatformReply,
  type PlatformRequest,
  requires,
  scoped,
  serveMcp,
  withConsent,
} from 'authplane-nestjs/mcp';
import { z } from 'zod';
import { type Platform, platforms } from '../../support/nest/start-app.js';
import { type McpApp, type McpAnswer, startMcpApp } from '../../support/nest/mcp-app.js';

const INFO = { name: 'notes', version: '1' };

/** What ran, and with what. */
let ran: unknown[] = [];
const operationsSeen: unknown[] = [];

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}

function note(what: unknown, result: string) {
  ran.push(what);
  return text(result);
}

const TRASH = z.string().trim().toLowerCase().default('trash');

const moveRule = ({ params }: { params: unknown }) => {
  operationsSeen.push(params);
  const to = (params as { arguments?: { to?: unknown } }).arguments?.to;
  return to === 'trash' ? ['notes:delete'] : ['notes:write'];
};

function v1(operations: AuthplaneOperations, wrap = <S extends object>(server: S): S => server) {
  const server = scoped(wrap(new McpServerV1(INFO)), operations);
  server.registerTool('free', {}, () => note('free', 'free'));
  server.registerTool(
    'add_note',
    { inputSchema: { text: z.string() } },
    requires(['notes:write'], ({ text: given }) => note(['add_note', given], given)),
  );
  server.registerTool(
    'clear',
    {},
    requires({ any: ['notes:admin', 'notes:delete'] }, () => note('clear', 'clear')),
  );
  server.registerTool(
    'move',
    { inputSchema: { to: TRASH } },
    requires(moveRule, ({ to }) => note(['move', to], to)),
  );
  server.registerTool(
    'secret',
    {},
    requires(['notes:secret'], () => note('secret', 'secret'), { list: 'hide' }),
  );
  const contents = (uri: URL) => {
    ran.push(uri.href);
    return { contents: [{ uri: uri.href, text: 'content' }] };
  };
  server.registerResource('all', 'notes://all', {}, requires(['notes:read'], contents));
  server.registerResource(
    'one',
    new TemplateV1('notes://one/{id}', { list: undefined }),
    {},
    requires(['notes:read'], contents),
  );
  server.registerPrompt(
    'summary',
    { argsSchema: { tone: z.string() } },
    requires(['notes:read'], ({ tone }) => {
      ran.push(['summary', tone]);
      return { messages: [{ role: 'user', content: { type: 'text', text: tone } }] };
    }),
  );
  return server;
}

function v2(operations: AuthplaneOperations, wrap = <S extends object>(server: S): S => server) {
  const server = scoped(wrap(new McpServer(INFO)), operations);
  server.registerTool('free', {}, () => note('free', 'free'));
  server.registerTool(
    'add_note',
    { inputSchema: z.object({ text: z.string() }) },
    requires(['notes:write'], ({ text: given }) => note(['add_note', given], given)),
  );
  server.registerTool(
    'clear',
    {},
    requires({ any: ['notes:admin', 'notes:delete'] }, () => note('clear', 'clear')),
  );
  server.registerTool(
    'move',
    { inputSchema: z.object({ to: TRASH }) },
    requires(moveRule, ({ to }) => note(['move', to], to)),
  );
  server.registerTool(
    'secret',
    {},
    requires(['notes:secret'], () => note('secret', 'secret'), { list: 'hide' }),
  );
  const contents = (uri: URL) => {
    ran.push(uri.href);
    return { contents: [{ uri: uri.href, text: 'content' }] };
  };
  server.registerResource('all', 'notes://all', {}, requires(['notes:read'], contents));
  server.registerResource(
    'one',
    new ResourceTemplate('notes://one/{id}', { list: undefined }),
    {},
    requires(['notes:read'], contents),
  );
  server.registerPrompt(
    'summary',
    { argsSchema: z.object({ tone: z.string() }) },
    requires(['notes:read'], ({ tone }) => {
      ran.push(['summary', tone]);
      return { messages: [{ role: 'user', content: { type: 'text', text: tone } }] };
    }),
  );
  return server;
}

const CONSENT = { issuer: 'https://auth.example.com' };
const inConsent = <S extends object>(server: S): S => withConsent(server, CONSENT);

type Prepare = (operations: AuthplaneOperations) => Promise<McpServe>;

async function serveV1(server: McpServerV1): Promise<McpServe> {
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  return (...http) => transport.handleRequest(...http);
}

const servers = {
  'SDK v1': (operations) => serveV1(v1(operations)),
  'SDK v1, scoped after withConsent': (operations) => serveV1(v1(operations, inConsent)),
  'SDK v1, scoped before withConsent': (operations) => {
    const outside = <S extends object>(server: S): S => inConsent(scoped(server, operations));
    return serveV1(v1(operations, outside));
  },
  'SDK v2': async (operations) => {
    const handler = toNodeHandler(createMcpHandler(() => v2(operations)));
    v2(operations); // a first server, so that the names are known
    return (request, response, body) => handler(request as never, response, body);
  },
} satisfies Record<string, Prepare>;
type ServerName = keyof typeof servers;

/** Takes the request with `serveMcp`, or hands it to the transport without a second look. */
function controllerOf(name: ServerName, { isRaw = false } = {}) {
  @Controller('mcp')
  @UseGuards(AuthplaneGuard)
  class NotesController {
    constructor(private readonly operations: AuthplaneOperations) {}

    @Post()
    async handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
      if (!isRaw) return serveMcp(request, reply, () => servers[name](this.operations));
      const serve = await servers[name](this.operations);
      reply.hijack?.();
      const raw = (reply.raw ?? reply) as Parameters<McpServe>[1];
      await serve((request.raw ?? request) as Parameters<McpServe>[0], raw, request.body);
    }
  }
  return NotesController;
}

let app: McpApp | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
  ran = [];
  operationsSeen.length = 0;
});

async function start(platform: Platform, name: ServerName, isRaw = false): Promise<McpApp> {
  app = await startMcpApp({ platform, controller: controllerOf(name, { isRaw }) });
  return app;
}

function request(method: string, params: object = {}) {
  return { jsonrpc: '2.0', id: 1, method, params };
}

const call = (name: string, args: object = {}) => request('tools/call', { name, arguments: args });

/** The JSON-RPC error, in a document or in an event. */
function errorIn({ text: body }: McpAnswer): { code: number } {
  const json = /^data: (.+)$/m.exec(body)?.[1] ?? body;
  return (JSON.parse(json) as { error: { code: number } }).error;
}

function expectStepUp(answer: McpAnswer, scope: string): void {
  expect(answer.status).toBe(403);
  expect(answer.headers.get('www-authenticate')).toContain(`scope="${scope}"`);
  expect(ran).toEqual([]);
}

describe.each(platforms)('%s', (platform) => {
  describe.each(Object.keys(servers) as ServerName[])('9.8 scoped(server): %s', (name) => {
    test('the very first request is a step-up, and runs with the scope', async () => {
      const { post } = await start(platform, name);
      expectStepUp(await post(call('add_note', { text: 'a' }), { scope: '' }), 'notes:write');
      const answer = await post(call('add_note', { text: 'a' }), { scope: 'notes:write' });
      expect(answer.status).toBe(200);
      expect(ran).toEqual([['add_note', 'a']]);
    });

    test('one of several scopes, resources, templates, prompts, batches', async () => {
      const { post } = await start(platform, name);
      expectStepUp(await post(call('clear'), { scope: 'notes:read' }), 'notes:admin');
      const read = (uri: string) => request('resources/read', { uri });
      expectStepUp(await post(read('notes://all'), { scope: 'other' }), 'notes:read');
      expectStepUp(await post(read('notes://one/7'), { scope: 'other' }), 'notes:read');
      const prompt = request('prompts/get', { name: 'summary', arguments: { tone: 'calm' } });
      expectStepUp(await post(prompt, { scope: 'other' }), 'notes:read');
      if (name !== 'SDK v2') {
        const batch = [call('free'), { ...call('clear'), id: 2 }];
        expectStepUp(await post(batch, { scope: 'other' }), 'notes:admin');
      }
      expect((await post(call('clear'), { scope: 'notes:delete' })).status).toBe(200);
      expect((await post(read('notes://one/7'), { scope: 'notes:read' })).status).toBe(200);
      expect((await post(prompt, { scope: 'notes:read' })).status).toBe(200);
      expect(ran).toEqual(['clear', 'notes://one/7', ['summary', 'calm']]);
    });

    test('a handler without requires needs nothing', async () => {
      const { post } = await start(platform, name);
      expect((await post(call('free'), { scope: '' })).status).toBe(200);
      expect(ran).toEqual(['free']);
    });

    test.each([{}, { to: 'trash ' }, { to: 'TRASH' }])(
      '9.9c a rule sees what the server has validated: %j is trash',
      async (args) => {
        const { post } = await start(platform, name);
        const answer = await post(call('move', args), { scope: 'notes:write' });
        expect(ran).toEqual([]);
        expect(errorIn(answer)).toMatchObject({
          code: -32003,
          data: { error: 'insufficient_scope', scope: 'notes:delete' },
        });
        const both = await post(call('move', args), { scope: 'notes:write notes:delete' });
        expect(both.json.result.content).toEqual([{ type: 'text', text: 'trash' }]);
        expect(ran).toEqual([['move', 'trash']]);
        expect(operationsSeen).toContainEqual({ name: 'move', arguments: args });
        expect(operationsSeen).toContainEqual({ name: 'move', arguments: { to: 'trash' } });
      },
    );

    test('what is hidden looks as if it did not exist', async () => {
      const { post } = await start(platform, name);
      const hidden = await post(call('secret'), { scope: '' });
      const unknown = await post(call('sécret'), { scope: '' });
      expect(hidden.text).toBe(unknown.text.replaceAll('sécret', 'secret'));
      expect(ran).toEqual([]);
      const list = async (scope: string) => {
        const { json } = await post(request('tools/list'), { scope });
        return (json.result.tools as { name: string }[]).map((tool) => tool.name);
      };
      expect(await list('')).not.toContain('secret');
      expect(await list('notes:secret')).toContain('secret');
    });
  });

  test.each(['SDK v1', 'SDK v2'] as const)(
    '9.8 %s, handed over without serveMcp: the first request is refused where it would run',
    async (name) => {
      const { post } = await start(platform, name, true);
      const first = await post(call('add_note', { text: 'a' }), { scope: '' });
      const sentence = 'The access token lacks a scope that this operation needs: notes:write';
      expect(errorIn(first)).toMatchObject({
        code: -32003,
        message: expect.stringContaining(sentence), // the guard's
        data: { error: 'insufficient_scope', scope: 'notes:write' },
      });
      expectStepUp(await post(call('add_note', { text: 'a' }), { scope: '' }), 'notes:write');
    },
  );
});

/** Changes all that it is asked about, and lets everybody pass. */
const vandal = ({ params, variables }: { params: unknown; variables: object }): string[] => {
  const { arguments: args = {}, variables: ofUri = {} } = params as Record<string, object>;
  const { to, at, amount } = args as { to?: string[]; at?: unknown; amount?: unknown };
  to?.push('evil');
  if (at instanceof Date) at.setTime(0);
  if (amount instanceof Amount && amount.double() !== 14) return ['no copy of its class'];
  for (const one of [args, ofUri, variables]) {
    for (const key of Object.keys(one)) Reflect.set(one, key, 'evil');
  }
  return [];
};

class Amount {
  constructor(readonly cents: number) {}

  double(): number {
    return Reflect.set(this, 'cents', this.cents * 2) ? this.cents : 0;
  }
}

const SENT = {
  to: z.array(z.string()),
  at: z.coerce.date(),
  amount: z.number().transform((cents) => new Amount(cents)),
};

function vandalised(server: McpServerV1 | McpServer): void {
  const contents = (uri: URL, variables: object) => {
    ran.push([uri.href, { ...variables }]);
    return { contents: [{ uri: uri.href, text: 'content' }] };
  };
  const summary = (args: object) => {
    ran.push(['summary', args]);
    return { messages: [] };
  };
  const sending = requires(vandal, (args: object) => note(['send', args], 'sent'));
  const template = 'notes://one/{id}';
  const argsSchema = { tone: z.string() };
  if (server instanceof McpServerV1) {
    server.registerTool('send', { inputSchema: SENT }, sending);
    server.registerResource(
      'one',
      new TemplateV1(template, { list: undefined }),
      {},
      requires(vandal, contents),
    );
    server.registerPrompt('summary', { argsSchema }, requires(vandal, summary));
    return;
  }
  server.registerTool('send', { inputSchema: z.object(SENT) }, sending);
  server.registerResource(
    'one',
    new ResourceTemplate(template, { list: undefined }),
    {},
    requires(vandal, contents),
  );
  server.registerPrompt('summary', { argsSchema: z.object(argsSchema) }, requires(vandal, summary));
}

describe('what a rule judges is what runs', () => {
  test.each(['SDK v1', 'SDK v2'])('%s: validated arguments that a rule changes', async (sdk) => {
    const made = (operations: AuthplaneOperations): Promise<McpServe> | McpServe => {
      if (sdk === 'SDK v1') {
        const server = scoped(new McpServerV1(INFO), operations);
        vandalised(server);
        return serveV1(server);
      }
      const serve = toNodeHandler(
        createMcpHandler(() => {
          const server = scoped(new McpServer(INFO), operations);
          vandalised(server);
          return server;
        }),
      );
      return (raw, response, body) => serve(raw as never, response, body);
    };

    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class Vandalised {
      constructor(private readonly operations: AuthplaneOperations) {}

      @Post()
      handle(@Req() raw: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
        return serveMcp(raw, reply, () => made(this.operations));
      }
    }
    app = await startMcpApp({ platform: 'express', controller: Vandalised });
    const sent = { to: ['ann'], at: '2026-01-02T00:00:00.000Z', amount: 7 };
    const answers = [
      await app.post(call('send', sent)),
      await app.post(request('resources/read', { uri: 'notes://one/7' })),
      await app.post(request('prompts/get', { name: 'summary', arguments: { tone: 'calm' } })),
    ];
    expect(answers.map(({ text: body }) => body)).not.toContainEqual(
      expect.stringContaining('error'),
    );
    expect(ran).toEqual([
      ['send', { to: ['ann'], at: new Date(sent.at), amount: new Amount(7) }],
      ['notes://one/7', { id: '7' }],
      ['summary', { tone: 'calm' }],
    ]);
  });
});

describe('what is registered', () => {
  test('a renamed tool, and a replaced handler, keep their needs', async () => {
    @Controller('mcp')
    @UseGuards(AuthplaneGuard)
    class Renaming {
      constructor(private readonly operations: AuthplaneOperations) {}

      @Post()
      handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
        return serveMcp(request, reply, () => {
          const server = scoped(new McpServerV1(INFO), this.operations);
          const tool = server.registerTool(
            'before',
            {},
            requires(['a'], () => note('before', 'before')),
          );
          tool.update({ name: 'after', callback: () => note('after', 'after') });
          return serveV1(server);
        });
      }
    }
    app = await startMcpApp({ platform: 'fastify', controller: Renaming });
    expectStepUp(await app.post(call('after'), { scope: '' }), 'a');
    expect((await app.post(call('after'), { scope: 'a' })).status).toBe(200);
    expect(ran).toEqual(['after']);
  });

  test('scoped takes an McpServer, before anything is registered, and only once', () => {
    const operations = {} as AuthplaneOperations;
    expect(() => scoped({}, operations)).toThrow(/McpServer/);
    const late = new McpServerV1(INFO);
    late.registerTool('early', {}, () => text(''));
    expect(() => scoped(late, operations)).toThrow(/before/);
    const server = scoped(new McpServerV1(INFO), operations);
    const { registerTool } = server;
    expect(scoped(server, operations).registerTool).toBe(registerTool);
  });

  test('names without end are no longer learned, and still refused', async () => {
    const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    try {
      const { post } = (app = await startMcpApp({
        platform: 'fastify',
        controller: controllerOf('SDK v1', { isRaw: true }),
      }));
      const operations = app.app.app.get(AuthplaneOperations);
      for (let count = 0; count < 10_050; count++) {
        operations.declare({ kind: 'tool', name: `tool-${count}`, scopes: ['a'] });
      }
      const warnings = warn.mock.calls.filter(([message]) =>
        String(message).includes('requires()'),
      );
      expect(warnings).toHaveLength(1);
      const answer = await post(call('add_note', { text: 'a' }), { scope: '' });
      expect(errorIn(answer).code).toBe(-32003);
      expect(ran).toEqual([]);
    } finally {
      warn.mockRestore();
    }
  });
});
