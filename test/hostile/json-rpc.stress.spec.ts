import { createRequire } from 'node:module';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  McpServer as McpServerV1,
  ResourceTemplate as TemplateV1,
} from '@modelcontextprotocol/sdk/server/mcp.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import {
  completable as completableV2,
  McpServer,
  parseJSONRPCMessage,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { AuthplaneError, InvalidRequestError } from 'authplane-nestjs/core';
import { z } from 'zod';
import { type FoundOperation, isJsonRpc, operationsOf } from '../../src/core/mcp/json-rpc.js';
import { OperationScopes } from '../../src/core/mcp/operation-scopes.js';
import { requirementsOf } from '../../src/core/mcp/settings.js';
import { platforms } from '../support/nest/start-app.js';
import { startMcpApp } from '../support/nest/mcp-app.js';

const isFull = process.env['AUTHPLANE_STRESS'] !== undefined;
/** All together; each dispatcher gets others. */
const BODIES = isFull ? 100_000 : 8_000;
const HTTP_BODIES = isFull ? 1000 : 200;

/** A handler runs under the name that its scope has, so that both sides can be compared. */
const TOOLS = ['open', 'admin', 'constructor ', 'Admin', 'ａdmin', 'a'.repeat(10_000)];
const FIXED = ['config://app', 'https://example.com/secret', 'file:///x'];
const TEMPLATES = ['users://{id}', 'file:///{+path}', 'https://example.com/{a}/{b}'];
/** In the spelling of MCP-Nest. */
const NEST_TEMPLATES = ['users://{id}', 'file:///{path*}', 'https://example.com/{a}/{b}'];
const PROMPTS = ['brief', 'toString '];
const NAMED = [...TOOLS, ...FIXED, ...TEMPLATES, ...NEST_TEMPLATES, ...PROMPTS];

function scopesOf(templates: readonly string[], looseUris: boolean): OperationScopes {
  const tools = table('tool', TOOLS);
  const resources = { ...table('resource', FIXED), ...table('resource', templates) };
  const prompts = table('prompt', PROMPTS);
  return new OperationScopes(requirementsOf({ tools, resources, prompts }), looseUris);
}

function table(kind: string, names: readonly string[]): Record<string, string[]> {
  return Object.fromEntries(names.map((name) => [name, [scopeOf(kind, name)]]));
}

function scopeOf(kind: string, name: string): string {
  return `${kind}:${NAMED.indexOf(name)}`;
}

const SCOPES_OF_NEST = scopesOf(NEST_TEMPLATES, true);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('what the guard lets through is what the dispatcher runs', () => {
  it.each([
    [BODIES / 2, 20_261_121, 'SDK v1', startV1, scopesOf(TEMPLATES, false)],
    [BODIES / 4, 20_261_122, 'SDK v2', startV2, scopesOf(TEMPLATES, false)],
    [BODIES / 4, 20_261_123, 'that with the lookup of MCP-Nest 2', startMcpNest, SCOPES_OF_NEST],
  ])(
    '%d generated bodies (seed %d) against the dispatcher of %s',
    async (bodies, seed, _, startDispatcher, scopes) => {
      vi.spyOn(console, 'warn').mockImplementation(() => undefined); // of the SDK, about names
      const random = generator(seed);
      const dispatcher = await startDispatcher();
      const count = { parsed: 0, refused: 0, dispatched: 0, ran: 0 };
      for (let index = 0; index < bodies; index++) {
        const body = parse(bodyText(random), index % 2 === 0);
        if (body === undefined) continue;
        count.parsed++;
        const operations = seen(body);
        if (operations === undefined) {
          count.refused++;
          continue;
        }
        const needed = new Set(operations.flatMap((one) => scopes.announcedNeeds(one).all));
        const ran = await dispatcher.dispatch(body);
        if (ran === undefined) continue;
        count.dispatched++;
        count.ran += ran.length;
        // On other paths than the resource's it would not even be read.
        if (ran.length > 0 && !isJsonRpc(body)) throw new Error(`missed: ${JSON.stringify(body)}`);
        for (const scope of ran) {
          if (!needed.has(scope)) throw new Error(`${scope} ran unseen: ${JSON.stringify(body)}`);
        }
      }
      expect(count.parsed).toBeGreaterThan(bodies / 2);
      expect(count.refused).toBeGreaterThan(bodies / 200);
      expect(count.ran).toBeGreaterThan(bodies / 20);
    },
    1_800_000,
  );

  const hosts = ['SDK v1 with JSON answers', 'SDK v2'] as const;
  it.each(platforms.flatMap((platform) => hosts.map((host) => [platform, host] as const)))(
    `${HTTP_BODIES} of them over HTTP on %s to %s: nothing runs, nothing is 5xx`,
    async (platform, host) => {
      const tools = { open: ['never'], read: ['never'], write: ['never'] };
      const resources = { '{+any}': ['never'] };
      const mcp = { tools, resources, prompts: { briefing: ['never'] } };
      const server = await startMcpApp({ platform, host, mcp });
      const authorization = await server.bearer();
      const random = generator(7);
      const statuses = new Map<number, number>();
      const names = ['open', 'read', 'write', 'briefing'];
      const uris = ['calendar://today', 'calendar://days/1', 'https://example.com/secret'];
      for (let index = 0; index < HTTP_BODIES; index++) {
        const raw = bodyText(random, { names, uris });
        if (raw.length > 90_000) continue;
        const init = { raw, scope: null, headers: { authorization } };
        const { status } = await server.post(undefined, init);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
      expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
      expect(statuses.get(403)).toBeGreaterThan(HTTP_BODIES / 10);
      expect([...server.runs]).toEqual([]);
      await server.close();
    },
    600_000,
  );
});

/** `undefined`: refused. Anything but the one typed error fails the test. */
function seen(body: unknown): FoundOperation[] | undefined {
  try {
    return operationsOf(body);
  } catch (error) {
    expect(error).toBeInstanceOf(AuthplaneError);
    expect(error).toBeInstanceOf(InvalidRequestError);
    return undefined;
  }
}

/** As the body parsers do: Express with `JSON.parse`, Fastify with one that refuses `__proto__`. */
function parse(text: string, asExpress: boolean): unknown {
  try {
    const body: unknown = asExpress ? JSON.parse(text) : secureJsonParse(text);
    return typeof body === 'object' && body !== null ? body : undefined;
  } catch {
    return undefined;
  }
}

const secureJsonParse = (
  createRequire(createRequire(import.meta.url).resolve('fastify'))('secure-json-parse') as {
    parse(text: string): unknown;
  }
).parse;

interface Dispatcher {
  /** Scopes of what ran; `undefined` when the transport refuses the body before. */
  dispatch(body: unknown): Promise<string[] | undefined>;
}

interface Registering {
  registerTool(name: string, config: object, handler: () => unknown): unknown;
  registerPrompt(name: string, config: object, handler: () => unknown): unknown;
  registerResource(name: string, uri: unknown, config: object, read: () => unknown): unknown;
}

interface Connecting {
  connect(transport: never): Promise<void>;
}

type Record_ = (kind: string, name: string) => void;

function startV1(): Promise<Dispatcher> {
  const server = new McpServerV1({ name: 'hostile', version: '1' });
  const parseMessage = (message: unknown) => JSONRPCMessageSchema.parse(message);
  return dispatcherOf(server, parseMessage, (record) =>
    registerAll(server, TemplateV1, completable, record),
  );
}

function startV2(): Promise<Dispatcher> {
  const server = new McpServer({ name: 'hostile', version: '1' });
  return dispatcherOf(server, parseJSONRPCMessage, (record) =>
    registerAll(server, ResourceTemplate, completableV2, record),
  );
}

/** Its handlers, around its own code for URIs: the package as a whole wants an application. */
function startMcpNest(): Promise<Dispatcher> {
  const { server } = new McpServer({ name: 'hostile', version: '1' });
  server.registerCapabilities({ tools: {}, resources: {}, prompts: {} });
  return dispatcherOf(server, parseJSONRPCMessage, (record) => {
    server.setRequestHandler('tools/call', ({ params: { name } }) => {
      if (TOOLS.includes(name)) record('tool', name);
      return { content: [] };
    });
    server.setRequestHandler('prompts/get', ({ params: { name } }) => {
      if (PROMPTS.includes(name)) record('prompt', name);
      return { messages: [] };
    });
    server.setRequestHandler('resources/read', ({ params: { uri } }) => {
      const templates = NEST_TEMPLATES.map((uriTemplate) => ({ uriTemplate }));
      const template = mcpNest.matchResourceTemplateByUri(templates, uri)?.template.uriTemplate;
      const resources = FIXED.map((one) => ({ uri: one }));
      const found = template ?? mcpNest.matchResourceByUri(resources, uri)?.resource.uri;
      if (found !== undefined) record('resource', found);
      return { contents: [] };
    });
  });
}

const mcpNest = createRequire(import.meta.url)(
  '@rekog/mcp-nest/dist/mcp/transport/resource-matcher.js',
) as {
  matchResourceByUri(of: object[], uri: string): { resource: { uri: string } } | undefined;
  matchResourceTemplateByUri(
    of: object[],
    uri: string,
  ): { template: { uriTemplate: string } } | undefined;
};

function registerAll(
  to: object,
  Template: new (uri: string, callbacks: never) => object,
  complete: (schema: never, callback: never) => unknown,
  record: Record_,
): void {
  const server = to as Registering;
  for (const name of TOOLS) {
    server.registerTool(name, { inputSchema: z.object({}).loose() }, () => {
      record('tool', name);
      return { content: [] };
    });
  }
  for (const uri of FIXED) {
    server.registerResource(uri, uri, {}, () => {
      record('resource', uri);
      return { contents: [] };
    });
  }
  for (const template of TEMPLATES) {
    const offer = () => {
      record('resource', template);
      return [];
    };
    const callbacks = { list: undefined, complete: { id: offer, path: offer, a: offer } };
    server.registerResource(template, new Template(template, callbacks as never), {}, () => {
      record('resource', template);
      return { contents: [] };
    });
  }
  for (const name of PROMPTS) {
    const offer = () => {
      record('prompt', name);
      return [];
    };
    const day = complete(z.string().optional() as never, offer as never);
    const argsSchema = to instanceof McpServerV1 ? { day } : z.object({ day: day as z.ZodString });
    server.registerPrompt(name, { argsSchema }, () => {
      record('prompt', name);
      return { messages: [] };
    });
  }
}

async function dispatcherOf(
  server: Connecting,
  parseMessage: (message: unknown) => unknown,
  register: (record: Record_) => void,
): Promise<Dispatcher> {
  let ran: string[] = [];
  register((kind, name) => ran.push(scopeOf(kind, name)));
  const transport = {
    onmessage: undefined as ((message: unknown, extra: object) => void) | undefined,
    start: async () => undefined,
    send: async () => undefined,
    close: async () => undefined,
  };
  await server.connect(transport as never);
  return {
    async dispatch(body) {
      const messages = messagesOf(body, parseMessage);
      if (messages === undefined) return undefined;
      ran = [];
      for (const message of messages) transport.onmessage?.(message, {});
      await new Promise((resolve) => setImmediate(resolve));
      return ran;
    },
  };
}

/** As the SDKs' HTTP transports read a parsed body. */
function messagesOf(
  body: unknown,
  parseMessage: (message: unknown) => unknown,
): unknown[] | undefined {
  const list: unknown[] = Array.isArray(body) ? body : [body];
  if (list.length > 100) return undefined;
  try {
    return list.map(parseMessage);
  } catch {
    return undefined;
  }
}

// ---- raw JSON text: what an object cannot express, such as a member twice, is in it --------------------

type Random = (below: number) => number;

/** Mulberry32: the same bodies in every run. */
function generator(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const METHODS = [
  'tools/call',
  'tools/call',
  'tools/call',
  'resources/read',
  'resources/read',
  'resources/subscribe',
  'prompts/get',
  'completion/complete',
  'subscriptions/listen',
  'tools/list',
  'ping',
  'initialize',
  'constructor',
];
const JUNK = ['constructor', '__proto__', 'toString', 'hasOwnProperty', '', 'nothing'];
const NAMES = [...TOOLS.slice(0, 5), ...TOOLS.slice(0, 5), ...PROMPTS, ...PROMPTS, ...JUNK];
const URIS = [
  ...FIXED,
  ...TEMPLATES,
  'users://1',
  'USERS://1/../2',
  'file:///a/../x',
  'FILE:///y',
  'https://EXAMPLE.com:443/secret',
  'https://example.com/./secret',
  ' https://example.com/sec\tret',
  'https://example.com/1/2',
  TOOLS[5] ?? '',
  ...JUNK,
];

interface Pools {
  readonly names: readonly string[];
  readonly uris: readonly string[];
}

function bodyText(random: Random, pools: Pools = { names: NAMES, uris: URIS }): string {
  const one = () => messageText(random, pools);
  switch (random(12)) {
    case 0:
    case 1:
      return `[${repeat(random(4), one).join(',')}]`;
    case 2:
      return `[[${one()}],${one()}]`;
    case 3:
      return random(20) === 0 ? `[${repeat(95 + random(10), one).join(',')}]` : one();
    case 4:
      return `${['\ufeff', ' \n', ''][random(3)]}${one()}${['', '{}', ' '][random(3)]}`;
    default:
      return one();
  }
}

function messageText(random: Random, pools: Pools): string {
  const id = ['1', '"a"', 'null', '1.5', '{}', '-1', '1e400'][random(random(4) === 0 ? 7 : 2)];
  const members = [
    member(random, 'jsonrpc', random(30) === 0 ? '"1.0"' : '"2.0"'),
    ...(random(15) === 0 ? [] : [member(random, 'id', id ?? '1')]),
    ...twice(random, () => member(random, 'method', methodText(random))),
    ...twice(random, () => member(random, 'params', paramsText(random, pools))),
  ];
  if (random(40) === 0) members.push(`"__proto__":{"method":"tools/call"}`);
  if (random(40) === 0) members.push(`"result":{}`);
  return `{${shuffled(random, members).join(',')}}`;
}

function methodText(random: Random): string {
  const method = METHODS[random(METHODS.length)] ?? '';
  switch (random(25)) {
    case 0:
      return text(random, method.toUpperCase());
    case 1:
      return text(random, `${method} `);
    case 2:
      return `[${text(random, method)}]`;
    case 3:
      return ['null', '1', '{}', 'true'][random(4)] ?? 'null';
    default:
      return text(random, method);
  }
}

function paramsText(random: Random, { names, uris }: Pools): string {
  const name = () => nameText(random, random(20) === 0 ? [TOOLS[5] ?? ''] : names);
  const uri = () => nameText(random, uris);
  const members = [
    ...twice(random, () => member(random, 'name', name())),
    ...twice(random, () => member(random, 'uri', uri())),
    `"arguments":${random(20) === 0 ? '{"__proto__":{"a":1}}' : '{}'}`,
    `"ref":{"type":"${random(2) === 0 ? 'ref/prompt' : 'ref/resource'}",${shuffled(random, [
      ...twice(random, () => member(random, 'name', name())),
      ...twice(random, () => member(random, 'uri', uri())),
    ]).join(',')}}`,
    `"argument":{"name":"${['day', 'id', 'path', 'a'][random(4)]}","value":"x"}`,
    `"notifications":{"resourceSubscriptions":[${repeat(random(3), uri).join(',')}]}`,
  ];
  if (random(12) === 0) members.push(`"__proto__":{"name":${name()},"uri":${uri()}}`);
  if (random(12) === 0) members.push(`"constructor":{"prototype":{"name":${name()}}}`);
  if (random(20) === 0) members.push(`"task":{"ttl":1}`, `"_meta":{"progressToken":1}`);
  const params = `{${shuffled(
    random,
    members.filter(() => random(25) !== 0),
  ).join(',')}}`;
  return random(40) === 0 ? `[${params}]` : params;
}

function nameText(random: Random, names: readonly string[]): string {
  const name = names[random(names.length)] ?? '';
  switch (random(20)) {
    case 0:
      return `[${text(random, name)}]`;
    case 1:
      return `{"toString":${text(random, name)}}`;
    case 2:
      return ['null', '0', 'true', '[]', '{}'][random(5)] ?? 'null';
    case 3:
      return text(
        random,
        [name.toUpperCase(), ` ${name}`, `${name}\u0000`, `${name}/`][random(4)] ?? '',
      );
    default:
      return text(random, name);
  }
}

function member(random: Random, name: string, value: string): string {
  return `${random(50) === 0 ? text(random, [name.toUpperCase(), `${name}\u0000`][random(2)] ?? '') : text(random, name)}:${value}`;
}

/** Now and then a member is there twice, and the last one counts. */
function twice(random: Random, make: () => string): string[] {
  return random(10) === 0 ? [make(), make()] : [make()];
}

/** With or without escapes, which mean the same. */
function text(random: Random, value: string): string {
  if (value.length > 1000 || random(6) !== 0) return JSON.stringify(value);
  const escaped = Array.from({ length: value.length }, (_, index) =>
    random(3) === 0
      ? `\\u${value.charCodeAt(index).toString(16).padStart(4, '0')}`
      : JSON.stringify(value[index]).slice(1, -1),
  );
  return `"${escaped.join('')}"`;
}

function shuffled(random: Random, list: readonly string[]): string[] {
  const left = [...list];
  return list.map(() => left.splice(random(left.length), 1)[0] ?? '');
}

function repeat(times: number, make: () => string): string[] {
  return Array.from({ length: times }, make);
}
