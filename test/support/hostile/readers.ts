/** Readers of request text, each with a hostile text of any length, for growth.spec.ts. */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { isCanonicalBase64url, parseCompactJws } from '../../../src/core/jws/compact-jws.js';
import {
  headerLines,
  parseCredentials,
  presentedScheme,
} from '../../../src/core/token/credentials.js';
import { canonicalHtu, requestUrl } from '../../../src/core/dpop/htu.js';
import {
  asksForTasks,
  asksForUpdates,
  isJsonRpc,
  listsIn,
  mayMakeTask,
  methodsOf,
  operationsOf,
  tasksOf,
} from '../../../src/core/mcp/json-rpc.js';
import { TokenResponse } from '../../../src/core/operations/token-response.js';
import { Events } from '../../../src/core/events.js';
import { OperationScopes } from '../../../src/core/mcp/operation-scopes.js';
import type { McpOptions } from '../../../src/core/mcp/settings.js';
import { hostName } from '../../../src/core/names/host-name.js';
import { PathTemplate } from '../../../src/core/names/path-template.js';
import { quoted } from '../../../src/core/lib/text.js';
import { fetchAs } from '../../../src/core/operations/fetch-as.js';
import { UriTable } from '../../../src/core/mcp/uri-table.js';
import { copyForRule } from '../../../src/core/mcp/rule-copy.js';
import { signingInput } from '../../../src/core/jws/signing-input.js';
import { deepFreeze, parseStrictJson } from '../../../src/core/lib/strict-json.js';
import { UriReader } from '../../../src/core/mcp/uri-reader.js';
import { unverifiedClaim } from '../../../src/core/jws/unverified-claims.js';
import { verifyDPoPProof } from '../../../src/core/dpop/proof.js';
import { consentResponses } from '../../../src/mcp/answers/consent.js';
import { EventStream } from '../../../src/nest/http/event-stream.js';
import { HiddenNames } from '../../../src/nest/mcp/answers/hidden-names.js';
import { McpSessions } from '../../../src/nest/mcp/state/sessions.js';
import { comparablePath } from '../../../src/nest/http/routes.js';
import { dropHeader, replaceHeader } from '../../../src/nest/http/request.js';
import { hasPlainNameHeader, McpHiding } from '../../../src/nest/mcp/answers/hiding.js';
import { rewritten } from '../../../src/nest/mcp/answers/json-messages.js';
import { McpLists } from '../../../src/nest/mcp/answers/lists.js';
import { parsedText, renewRawBody, unreadableBody } from '../../../src/nest/mcp/body.js';
import { readJson } from '../../../src/nest/mcp/json-reading.js';
import { OperationTable } from '../../../src/nest/mcp/declared-operations.js';
import { OperationJudge } from '../../../src/nest/mcp/operation-judge.js';
import { SentEvents } from '../../../src/nest/mcp/state/sent-events.js';
import { McpState } from '../../../src/nest/mcp/state/server-state.js';
import { McpTasks, withoutTasks } from '../../../src/nest/mcp/state/tasks.js';
import { UnlistedNames } from '../../../src/nest/mcp/answers/unlisted-names.js';
import { goodRules, proofOf, testKey } from '../tokens/dpop-proofs.js';
import { LENGTHS } from './expressions.js';
import { GATEWAY_READERS } from './gateway-readers.js';
import {
  BEGUN_ESCAPES,
  BODY,
  many,
  nested,
  ofJson,
  ofText,
  pieces,
  type Reader,
  reader,
  wide,
} from './making-readers.js';

const message = (method: string, params: unknown) => ({ jsonrpc: '2.0', id: 1, method, params });
const scopes = new OperationScopes(
  ['x://{a}/b/{c}', 'x://secret', 'x://{d}{?q}', '{+all}a'].map((name) => ({
    kind: 'resource',
    name,
    requirement: ['a'],
    hidden: true,
  })),
  true,
);
const issued = new TokenResponse({
  accessToken: 'issued',
  tokenType: 'Bearer',
  expiresIn: undefined,
  scope: undefined,
  issuedTokenType: undefined,
  refreshToken: undefined,
  raw: {},
});

function passesOn(inboundHeaders: Record<string, string>): Promise<unknown> {
  const request = { subjectToken: 'subject', url: 'https://api.example.com/', exchange: {} };
  return fetchAs(
    { ...request, inboundHeaders },
    {
      tokens: { exchange: async () => issued, evictRefused: () => undefined },
      fetch: async () => new Response(),
    },
  );
}

function streamed(text: string, chunk: number): string {
  const stream = new EventStream((data) => `${data} `);
  let out = '';
  for (let at = 0; at < text.length; at += chunk) out += stream.push(text.slice(at, at + chunk));
  return out + stream.end();
}

const key = await testKey('ES256');
const proofReader = (claims: (size: number) => Record<string, unknown>) =>
  reader(LENGTHS.token, (size) => {
    const proof = proofOf(key, { claims: claims(size / 2) });
    return () => verifyDPoPProof(proof, { ...goodRules(key), strictHtu: false });
  });

const hiding = new OperationScopes(
  ['tool', 'resource', 'prompt'].map((kind) => ({
    kind: kind as 'tool',
    name: kind === 'resource' ? 'x://y{+all}' : 'member',
    requirement: ['a'],
    hidden: true,
  })),
  true,
);
const nobody = {
  claims: { hasScope: () => false, scopes: [] as readonly string[] },
  resource: 'https://api.example.com/mcp',
} as never;
const lists = new McpLists(hiding, { namesSchemes: true });
const textOf = (make: (count: number) => unknown, read: (text: string) => unknown) =>
  reader(BODY, (size) => {
    const text = JSON.stringify(make(Math.ceil(size / 40)));
    return () => read(text);
  });
const result = (value: unknown) => ({ jsonrpc: '2.0', id: 1, result: value });

/** An answer that is a stream, and goes nowhere. */
function answerOf(pieces: readonly string[]): () => void {
  return () => {
    const response = Object.assign(new EventEmitter(), {
      getHeader: () => 'text/event-stream',
      writeHead: () => response,
      write: () => true,
      end: () => response,
    }) as unknown as ServerResponse;
    new SentEvents().watch(response, 'alice');
    for (const piece of pieces) response.write(piece);
    response.end();
  };
}
/** A request whose body comes as it is read. */
function unread(chunks: string[]): Readable {
  const waiting = chunks.map((chunk) => Buffer.from(chunk)).reverse();
  const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
  const request = Object.assign(
    new Readable({
      read() {
        const chunk = waiting.pop();
        request.complete = chunk === undefined;
        request.push(chunk ?? null);
      },
    }),
    { method: 'POST', complete: false, headers, rawHeaders: [] },
  );
  return request;
}

const hidingUris: McpOptions = {
  list: 'hide',
  resources: { 'x://y{+all}': ['a'], 'x://y{+all}/z{b}': ['a'] },
};
const judge = new OperationJudge(
  hidingUris,
  new OperationTable(hidingUris, new Events()),
  new McpState(),
  new McpHiding(),
  new Events(),
);

/** Loops and whole readers; attempts to throw are theirs. */
export const READERS: Readonly<Record<string, Reader>> = {
  'an Authorization header': ofText(LENGTHS.header, 'Bearer a ', (value) =>
    parseCredentials(['Authorization', value]),
  ),
  'a scheme of many letters': ofText(LENGTHS.header, 'B', (value) =>
    presentedScheme(['Authorization', value]),
  ),
  'many header lines': reader(LENGTHS.header, (size) => {
    const lines = Array.from({ length: size / 4 }, () => ['a', 'b']).flat();
    return () => headerLines(lines, 'authorization');
  }),
  'a token of dots': ofText(LENGTHS.token, '.', parseCompactJws),
  'a token of letters': ofText(LENGTHS.token, 'eyJ', parseCompactJws),
  'a token that is too long': ofText(BODY, 'eyJ.', parseCompactJws),
  'a segment of a token': ofText(LENGTHS.token, 'A-', isCanonicalBase64url),
  'what names a token': ofText(BODY, 'a.', signingInput),
  'a claim nobody has verified': ofText(BODY, 'a.', (token) => unverifiedClaim(token, 'exp')),
  'htu with many segments': ofText(LENGTHS.token, '/..', (path) =>
    canonicalHtu(`https://h${path}`),
  ),
  'htu with many escapes': ofText(LENGTHS.token, '%41', (path) =>
    canonicalHtu(`https://h/${path}`),
  ),
  'htu with a long authority': ofText(LENGTHS.token, 'a.', (host) =>
    canonicalHtu(`https://${host}`),
  ),
  'a request target': ofText(LENGTHS.header, '/a/..', (path) => requestUrl('https://h', '', path)),
  'a host name': ofText(LENGTHS.header, 'a.', hostName),
  'a host name of letters': ofText(LENGTHS.header, 'a', hostName),
  ...Object.fromEntries(
    ['/a', '/', 'a', '%41', '/mcp/a'].map((atom) => [
      `a path of ${atom} for a template`,
      ofText(LENGTHS.header, atom, (path) =>
        new PathTemplate('/mcp/:profile/:other').match(`/mcp/a${path}`),
      ),
    ]),
  ),
  'a path to compare': ofText(LENGTHS.header, '/%2e%2e', comparablePath),
  'session ids in a query': ofText(LENGTHS.header, 'sessionId=a&', (query) =>
    new McpSessions().names({ url: `/?${query}`, headers: {} } as IncomingMessage),
  ),
  'nested JSON': ofText(BODY, '[', (text) => parseStrictJson(Buffer.from(text))),
  'wide JSON': ofJson(wide, (value) => parseStrictJson(Buffer.from(JSON.stringify(value)))),
  'a JSON text of quotes': ofText(BODY, '"a":', (text) => parseStrictJson(Buffer.from(text))),
  'operations in a nested body': ofJson((n) => message('tools/call', nested(n)), operationsOf),
  'operations in a wide body': ofJson((n) => message('tools/call', wide(n)), operationsOf),
  'operations in a batch': ofJson((n) => Array.from({ length: n }, () => ({})), operationsOf),
  'arguments in a list for a rule': ofJson((n) => many(n, () => [0]), copyForRule),
  'arguments that are wide for a rule': ofJson(wide, copyForRule),
  'many subscriptions': ofJson(
    (n) =>
      message('subscriptions/listen', {
        notifications: { resourceSubscriptions: Array.from({ length: n }, () => 'x://y') },
      }),
    operationsOf,
  ),
  'a long name': ofText(BODY, 'n', (name) => {
    const [operation] = operationsOf(message('tools/call', { name }));
    return operation && scopes.knows(operation);
  }),
  'is it JSON-RPC': ofJson((n) => Array.from({ length: n }, () => ({ a: 1 })), isJsonRpc),
  'does it ask for lists': ofJson((n) => message('tools/list', wide(n)), listsIn),
  'does it ask for updates': ofJson(
    (n) => message('subscriptions/listen', wide(n)),
    asksForUpdates,
  ),
  ...Object.fromEntries(
    ['{?', '{?{', '/', 'a', '://', '%41', '%', 'x://a/b/', ':a'].map((atom) => [
      `a resource URI of ${atom}`,
      ofText(LENGTHS.uri, atom, (uri) =>
        scopes.knows({ kind: 'resource', name: uri.slice(0, 8192) }),
      ),
    ]),
  ),
  'a table of templates': reader(LENGTHS.uri, (size) => {
    const table = new UriTable([['x://{a}a{b}a{c}a{d}a{e}!', 1]], true);
    return () => table.find(`x://${'a'.repeat(size - 10)}`);
  }),
  'variables of a template': reader(LENGTHS.uri, (size) => {
    const read = new UriReader('x://{a}a{b}a{+c}a{d*}a{e}!', true);
    return () => read.read(`x://${'a'.repeat(size - 10)}`);
  }),
  'an event of one line': ofText(BODY, 'a', (text) => streamed(`data: ${text}\n\n`, 65_536)),
  'an event in small pieces': ofText(BODY, 'a', (text) => streamed(`data: ${text}\n\n`, 7)),
  'an event of many lines': ofText(BODY, 'data: a\n', (text) => streamed(`${text}\n`, 65_536)),
  'many events': ofText(BODY, 'data: a\r\n\r\n', (text) => streamed(text, 1000)),
  'a stream of line ends': ofText(BODY, '\r', (text) => streamed(`data: a${text}`, 65_536)),
  'an answer to restore': reader(BODY, (size) => {
    const names = new HiddenNames();
    const text = `${names.standInFor({ kind: 'resource', name: 'secret' }).slice(0, -1)} `.repeat(
      size / 40,
    );
    return () => names.restore(text);
  }),
  ...Object.fromEntries(
    BEGUN_ESCAPES.map((piece) => [
      `an answer of ${JSON.stringify(piece)} to restore`,
      ofText(BODY, piece, (text) => new HiddenNames().restore(text)),
    ]),
  ),
  'text for a log line': ofText(BODY, '\u0000', (text) => quoted(text)),
  'inbound headers like tokens': ofText(LENGTHS.header, 'eyJ-', (value) => passesOn({ a: value })),
  'inbound headers like tokens, with dots': ofText(LENGTHS.header, 'eyJ.', (value) =>
    passesOn({ a: `${value}!` }),
  ),
  'many inbound headers': reader(LENGTHS.header, (size) => {
    const names = Array.from({ length: size / 8 }, (_, index) => `x-${index}`);
    const headers = Object.fromEntries(names.map((name) => [name, 'a']));
    return () => passesOn({ ...headers, connection: names.join(',') });
  }),
  'a JSON text of blanks': ofText(BODY, '"a" \n', (text) => parseStrictJson(Buffer.from(text))),
  'claims that are wide': ofJson(wide, deepFreeze),
  'tasks in a wide body': ofJson((n) => message('tasks/get', wide(n)), tasksOf),
  'tasks in a batch': ofJson((n) => many(n, () => message('tasks/get', { taskId: 'a' })), tasksOf),
  'a body that may make a task': ofJson((n) => message('tools/call', wide(n)), mayMakeTask),
  'does it ask for tasks': ofJson((n) => many(n, () => message('x', {})), asksForTasks),
  'methods in a batch': ofJson((n) => many(n, () => message('vendor/run', {})), methodsOf),
  'depth of a body': ofJson(nested, (body) =>
    unreadableBody({ body, rawBody: Buffer.of(), headers: {}, method: 'POST' } as never),
  ),
  'a content type of charsets': ofText(LENGTHS.header, 'charset=utf-8;', (type) =>
    unreadableBody({ body: { a: 1 }, headers: { 'content-type': type }, method: 'POST' } as never),
  ),
  'a body that is text': ofText(BODY, '[1,', parsedText),
  'a raw body to renew': ofJson(
    (n) => many(n, () => message('ping', {})),
    (body) => renewRawBody({ body, rawBody: '' }),
  ),
  'a header that is dropped': reader(LENGTHS.header, (size) => () => {
    const rawHeaders = many(size / 2, () => ['a', 'b']).flat();
    dropHeader({ headers: {}, rawHeaders } as unknown as IncomingMessage, 'a');
  }),
  'a header that is replaced': reader(LENGTHS.header, (size) => () => {
    const rawHeaders = many(size / 2, () => ['a', 'b']).flat();
    replaceHeader({ headers: {}, rawHeaders } as unknown as IncomingMessage, 'a', 'c');
  }),
  'a body that nobody has read, in small pieces': reader(BODY, (size) => {
    const text = JSON.stringify(many(size / 2, () => 1));
    return () => readJson(unread(pieces(text, 7)) as never);
  }),
  'a body that nobody has read, and that is no JSON': reader(BODY, (size) => {
    const text = '['.repeat(size);
    return () => readJson(unread(pieces(text, 65_536)) as never);
  }),
  'a name in a header': ofText(LENGTHS.header, '=?base64?', (value) =>
    hasPlainNameHeader({ headers: { 'mcp-name': value } } as never),
  ),
  'a name in a header, encoded': ofText(LENGTHS.header, 'd3Jp', (value) =>
    hasPlainNameHeader({ headers: { 'mcp-name': `=?base64?${value}?=` } } as never),
  ),
  'the stand-in of a name': ofText(BODY, 'A', (name) => new HiddenNames().standInFor({ name })),
  ...Object.fromEntries(
    ['a/', '%41', 'a', '/', 'A', '\u0000'].map((atom) => [
      `stand-ins of a URI of ${JSON.stringify(atom)}`,
      ofText(LENGTHS.uri, atom, (text) => [
        ...new HiddenNames().standInsFor({ kind: 'resource', name: `x://y/${text}` }),
      ]),
    ]),
  ),
  'names to hide': ofJson(
    (n) => many(n, (index) => message('tools/call', { name: `member${index}` })),
    (body) => {
      const hider = new McpHiding();
      const found = (body as object[]).flatMap((one) => operationsOf(one));
      const request = { body, headers: {}, rawHeaders: [] };
      hider.hide(
        request,
        found.map((one) => hider.hidden(one)),
      );
    },
  ),
  'hidden URIs in a batch': reader(BODY, (size) => {
    const uri = `x://y${'/a'.repeat(size / 300)}`;
    const body = many(100, () => message('resources/read', { uri }));
    const operations = operationsOf(body);
    const request = { operations, tasks: [], lists: [] } as never;
    return () => judge.judge(request, nobody);
  }),
  'a list in an answer': textOf(
    (n) => result({ tools: many(n, (index) => ({ name: `member${index}` })) }),
    (text) => rewritten(text, (one) => new UnlistedNames([{ kind: 'tool', name: 'a' }]).see(one)),
  ),
  ...Object.fromEntries(
    (['tools', 'resources', 'resourceTemplates', 'prompts'] as const).map((member) => [
      `${member} for a caller`,
      textOf(
        (n) =>
          result({
            [member]: many(n, (index) => ({
              name: `member${index}`,
              uri: `x://y/${index}`,
              uriTemplate: `x://y/{a${index}}`,
              _meta: { securitySchemes: [] },
            })),
          }),
        (text) => rewritten(text, (one) => lists.forCaller(one, nobody)),
      ),
    ]),
  ),
  'lists in a batch': textOf(
    (n) => many(n, () => result({ tools: [{ name: 'member' }] })),
    (text) => rewritten(text, (one) => lists.forCaller(one, nobody)),
  ),
  'updates in a batch': textOf(
    (n) => many(n, () => message('notifications/resources/updated', { uri: 'x://y/z' })),
    (text) => rewritten(text, (one) => lists.forCaller(one, nobody)),
  ),
  'an update of a long URI': ofText(LENGTHS.uri, 'x://y/', (uri) =>
    lists.forCaller(message('notifications/resources/updated', { uri }), nobody),
  ),
  'an answer in depth': ofText(BODY, '[', (text) => rewritten(text, (one) => one)),
  'tasks that answers make': textOf(
    (n) => many(n, (index) => result({ task: { taskId: `task-${index}` } })),
    (text) => {
      const tasks = new McpTasks();
      rewritten(text, (one) => tasks.learn(one, 'alice', { all: [], anyOf: [] }));
    },
  ),
  'a list of tasks': textOf(
    (n) => result({ tasks: many(n, (index) => ({ taskId: `task-${index}` })) }),
    (text) => rewritten(text, (one) => withoutTasks(one, (id) => id.endsWith('7'))),
  ),
  'event ids in small pieces': ofText(BODY, 'id: 1\n', (text) => answerOf(pieces(text, 7))()),
  'an event id without an end': ofText(BODY, 'id: 1', (text) => answerOf(pieces(text, 7))()),
  'event ids of many events': reader(BODY, (size) => {
    const data = 'a'.repeat(180);
    return answerOf(many(Math.ceil(size / 200), (index) => `id: ${index}\ndata: ${data}\n\n`));
  }),
  'a Last-Event-ID': ofText(LENGTHS.header, 'a', (id) =>
    new SentEvents().dropForeign(
      { headers: { 'last-event-id': id }, rawHeaders: ['Last-Event-ID', id] } as never,
      'alice',
    ),
  ),
  'answers of a user': ofJson(wide, consentResponses),
  'a proof of dots': ofText(LENGTHS.token, '.', (proof) => verifyDPoPProof(proof, goodRules(key))),
  'a proof of letters': ofText(LENGTHS.token / 3, 'eyJ', (proof) =>
    verifyDPoPProof(`${proof}.${proof}.a`, goodRules(key)),
  ),
  'a signed proof with a long htu': proofReader((size) => ({
    htu: `https://h${'/..'.repeat(size / 3)}`,
  })),
  'a signed proof with a long jti': proofReader((size) => ({ jti: 'a'.repeat(size) })),
  'a signed proof with a long nonce': proofReader((size) => ({ nonce: 'a.'.repeat(size / 2) })),
  'a signed proof with many claims': proofReader((size) => wide(size / 20)),
  'a signed proof with deep claims': proofReader((size) => ({ deep: nested(size / 20) })),
  ...GATEWAY_READERS,
};
