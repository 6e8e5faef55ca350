/** Readers of the gateway: of text of its clients, and of what upstreams answer. */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { type Message, messagesOf } from '../../../src/gateway/upstream/reply-messages.js';
import { legacyResult, modernResult } from '../../../src/gateway/legacy/reserved-meta.js';
import { LISTS } from '../../../src/gateway/listing/list-kinds.js';
import { toolSchema } from '../../../src/gateway/local/tool-schema.js';
import { readList } from '../../../src/gateway/listing/list-reader.js';
import { startOf } from '../../../src/gateway/listing/merged-list.js';
import { StoredList, storedList } from '../../../src/gateway/listing/stored-list.js';
import { listenFilter } from '../../../src/gateway/changes/listen-filter.js';
import { exposedName, ownNameIn } from '../../../src/gateway/names/exposed-names.js';
import { isStandIn } from '../../../src/gateway/names/stand-ins.js';
import { HeldTask } from '../../../src/gateway/tasks/held-task.js';
import { UpstreamNames } from '../../../src/gateway/names/upstream-names.js';
import { mappedScopes } from '../../../src/gateway/upstream/scope-map.js';
import { headerText, textOfHeader } from '../../../src/gateway/wire/header-text.js';
import { isModern, modernRequest } from '../../../src/gateway/wire/modern-request.js';
import { readResponse, readText } from '../../../src/gateway/wire/read-message.js';
import { holdsToken, passedOn } from '../../../src/gateway/wire/upstream-request.js';
import { LENGTHS } from './expressions.js';
import { BODY, many, ofJson, ofText, pieces, type Reader, reader, wide } from './making-readers.js';

const MODERN = '2026-07-28';
const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': {},
};

const rule = { scopes: ['x'] };
const names = new UpstreamNames(
  {
    ...{ prefix: 'up', defaultOffered: true },
    tools: { '*a*b*a*': rule, 'a*': rule },
    prompts: {},
    resources: { 'x://*a*b*': rule, 'x://secret*': false },
  } as never,
  64,
);
const prefixed = { prefix: 'up', maxNameLength: 64 };

function modern(method: string, params: object, headers: Readonly<Record<string, string>>) {
  const body = { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } };
  const all = { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...headers };
  return isModern(body, all) && modernRequest(body, all);
}

/** What an upstream sends, in pieces of this length. */
const answered = (length: number, text: string, isEvents: boolean) => {
  const chunks = pieces(text, length).map((piece) => Buffer.from(piece));
  return () =>
    readResponse(Readable.from(chunks), { isEvents, id: 1, maxBytes: 2 * LENGTHS.body }).catch(
      () => 'no answer',
    );
};
const ofAnswer = (length: number, isEvents: boolean, make: (size: number) => string): Reader =>
  reader(BODY, (size) => answered(length, make(size), isEvents));
const repeated = (atom: string) => (size: number) => atom.repeat(Math.ceil(size / atom.length));

const itemsNamed = (name: (index: number) => string) => (size: number) =>
  many(Math.ceil(size / 40), (index) => ({ [LISTS.resourceTemplates.id]: name(index) }));
const ofList = (name: (index: number) => string): Reader =>
  reader(BODY, (size) => {
    const entries = itemsNamed(name)(size);
    return async () => {
      const shape = LISTS.resourceTemplates;
      const raw = await readList(shape, async () => ({ resourceTemplates: entries }), {
        maxPages: 2,
        maxEntries: entries.length,
      });
      const list = storedList(raw, shape, names);
      return [list.find('x://none'), list.matching('x://a/none')];
    };
  });

const argumentsOf = toolSchema(z.object({ list: z.array(z.string()) }));

export const GATEWAY_READERS: Readonly<Record<string, Reader>> = {
  'gateway: a name in a header': ofText(LENGTHS.header, 'd3Jp', (value) =>
    textOfHeader(`=?base64?${value}?=`),
  ),
  'gateway: blanks in a header': ofText(LENGTHS.header, ' \t', (value) => textOfHeader(value)),
  'gateway: a name for a header': ofText(BODY, 'name', headerText),
  'gateway: a name for a header, to encode': ofText(BODY, 'né', headerText),
  'gateway: a request': reader(BODY, (size) => {
    const params = { name: 'a', arguments: wide(size / 20) };
    return () => modern('tools/call', params, { 'mcp-name': 'a' });
  }),
  'gateway: a request whose header has the name': ofText(LENGTHS.header, 'a', (name) =>
    modern('tools/call', { name }, { 'mcp-name': headerText(`${name}é`) }),
  ),
  'gateway: a version': ofText(LENGTHS.header, '2', (version) =>
    isModern({}, { 'mcp-protocol-version': version }),
  ),
  'gateway: headers to pass on': reader(LENGTHS.header, (size) => {
    const headers = Object.fromEntries(many(size / 16, (at) => [`mcp-param-${at}`, 'a']));
    return () => passedOn({ ...headers, traceparent: '0-'.repeat(size / 4) });
  }),
  'gateway: a request that may hold the token': ofText(BODY, 'eyJhbGciOi', (body) =>
    holdsToken({ headers: { 'mcp-name': body }, body }, `${'eyJhbGciOi'.repeat(100)}.signature`),
  ),
  'gateway: a name that may be a stand-in': ofText(BODY, 'n', isStandIn),
  'gateway: a name that is too long': ofText(BODY, 'n', (name) => [
    exposedName(name, prefixed),
    ownNameIn(`up__${name}`, 'up'),
  ]),
  'gateway: a name under globs': ofText(BODY, 'ab', (name) => [
    names.tools.offer(name),
    names.tools.mayHave(`up__${name}`),
    names.demandsOf('tool', `up__${name}`),
  ]),
  ...Object.fromEntries(
    ['a/b/', '%41', '/', '{?', '{a'].map((atom) => [
      `gateway: a URI of ${atom} under globs`,
      ofText(BODY, atom, (uri) => [
        names.resource(`x://${uri}`),
        names.demandsOf('resource', `x://${uri}`),
      ]),
    ]),
  ),
  'gateway: arguments of a tool of its own': ofJson(
    (n) => ({ ...wide(n), list: many(n, (index) => index) }),
    (args) => argumentsOf.check(args),
  ),
  'gateway: what to listen to': ofJson(
    (n) => ({ notifications: { ...wide(n), resourceSubscriptions: many(n, () => 'x://y') } }),
    listenFilter,
  ),
  'gateway: answers to what a task asks': ofJson(wide, (responses) =>
    new HeldTask({ taskId: 't' } as never, {} as never).update(responses, {} as never),
  ),
  'gateway: metadata of many names': ofJson(
    (n) => ({ ...wide(n), _meta: wide(n) }),
    (params) => [
      legacyResult(params as Message),
      modernResult(params as Message, 'resources/read'),
    ],
  ),
  'gateway: messages of an upstream with sessions': reader(BODY, (size) => {
    const chunks = pieces('data: {"id":2}\n\n'.repeat(size / 16), 1000).map((one) =>
      Buffer.from(one),
    );
    return async () => {
      let count = 0;
      const body = Readable.from(chunks) as never;
      const reply = { status: 200, isEvents: true, body };
      for await (const one of messagesOf({ error: () => new Error() } as never, reply))
        count += Number(one['id']);
      return count;
    };
  }),
  'gateway: a cursor': ofText(BODY, 'eyJr', (cursor) => startOf(cursor, 'tools', [])),
  'gateway: an answer': ofAnswer(65_536, false, repeated('{"id":')),
  'gateway: an answer in small pieces': ofAnswer(7, false, repeated('"id":1,')),
  'gateway: an answer that is too long': reader(BODY, (size) => {
    const chunks = pieces('a'.repeat(size), 7).map((piece) => Buffer.from(piece));
    return () => readText(Readable.from(chunks), size - 1).catch(() => 'too long');
  }),
  'gateway: an event of one line': ofAnswer(7, true, (size) => `data: ${'a'.repeat(size)}\n\n`),
  'gateway: an event of many lines': ofAnswer(65_536, true, repeated('data: a\n')),
  'gateway: many events': ofAnswer(1000, true, repeated('data: {"id":2}\r\n\r\n')),
  'gateway: a stream of line ends': ofAnswer(7, true, repeated('\r')),
  'gateway: a list': ofList((index) => `x://a/${index}/{b}`),
  'gateway: a list of one name': ofList(() => 'x://a/{b}'),
  ...Object.fromEntries(
    ['{?', '{', '{a', '{a}', '%41', '/'].map((atom) => [
      `gateway: a template of ${atom}`,
      ofText(BODY, atom, (text) =>
        new StoredList([
          { name: text, own: text, text, verdict: {} as never, isBlocked: false },
        ]).matching('x://a'),
      ),
    ]),
  ),
  'gateway: a challenge of an upstream': ofText(LENGTHS.header, 'scope="a b ', (challenge) =>
    mappedScopes(`Bearer error="insufficient_scope", ${challenge}"`, {
      upstream: { options: { scopeMap: { x: ['a'] } }, names } as never,
      strategy: () => undefined,
      caller: { claims: { hasScope: () => false } } as never,
    }),
  ),
};
