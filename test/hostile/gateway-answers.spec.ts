import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import { settled } from '../support/time/settled.js';
import { until } from '../support/time/until.js';
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';

const EVENTS = { 'content-type': 'text/event-stream' };
const JSON_TYPE = { 'content-type': 'application/json' };
const DEEP = 200_000;
/** More than all buffers on the way hold. */
const FLOOD = 200_000_000;

interface Heard {
  readonly status: number;
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly json: any;
}

/** How an upstream answers a call, whose id is `id`. */
type Misdeed = (response: ServerResponse, id: unknown) => void;

const text = (id: unknown, more: string) => `{"jsonrpc":"2.0","id":${JSON.stringify(id)}${more}}`;
const json =
  (more: string): Misdeed =>
  (response, id) =>
    void response.writeHead(200, JSON_TYPE).end(text(id, more));
const events =
  (...all: readonly string[]): Misdeed =>
  (response) =>
    void response.writeHead(200, EVENTS).end(all.map((one) => `data: ${one}\n\n`).join(''));
const deep = `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`;

/** What is no answer at all: the client hears so, in the words of the gateway. */
const NO_ANSWER: Readonly<Record<string, Misdeed>> = {
  'a page with status 200': (response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>secret</h1>'),
  'no type': (response) => void response.writeHead(200).end('{}'),
  'a compressed answer that is cut': (response) => {
    const head = { ...JSON_TYPE, 'content-encoding': 'gzip' };
    response.writeHead(200, head).end(gzipSync('{"secret":1}'.repeat(99)).subarray(0, 20));
  },
  'a redirect': (response) =>
    void response.writeHead(302, { location: 'http://169.254.169.254/secret' }).end(),
  'a page with status 404': (response) => void response.writeHead(404).end('<h1>secret</h1>'),
  'accepted, without a result': (response) => void response.writeHead(202).end(),
  'a line end in a header': (response) => {
    response.socket?.end('HTTP/1.1 200 OK\r\nx: a\rset-cookie: secret=1\r\n\r\n{}');
  },
  'no http': (response) => void response.socket?.end('secret\r\n\r\n'),
  nothing: (response) => void response.socket?.destroy(),
};

/** What only somebody who reads the answer can see: for clients of sessions, and servers with them. */
const UNREADABLE: Readonly<Record<string, Misdeed>> = {
  'no json': (response) => void response.writeHead(200, JSON_TYPE).end('{"secret":'),
  'an event that is no json': events('{"secret":', 'secret'),
  'events without the answer': events(text(999, ',"result":{}'), text('7', ',"result":{}')),
  'neither result nor error': json(''),
  'a result that is none': json(',"result":"secret"'),
  'an error that is none': json(',"error":"secret"'),
  'a result that is nested without an end': json(`,"result":{"content":[],"x":${deep}}`),
  'an event that is nested without an end': (response, id) =>
    events(text(id, `,"result":{"content":[],"x":${deep}}`))(response, id),
  'an event without an end': (response) => {
    response.writeHead(200, EVENTS);
    const piece = `data: ${'x'.repeat(1_000_000)}`;
    for (let pieces = 0; pieces < 12; pieces++) response.write(piece);
    response.end();
  },
};

/** Writes for as long as somebody reads, and says how much that was. */
function flood(response: ServerResponse, sent: { bytes: number; isClosed: boolean }): void {
  const event = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${'x'.repeat(100_000)}"}}\n\n`;
  response.writeHead(200, EVENTS);
  response.once('close', () => (sent.isClosed = true));
  const write = (): void => {
    while (sent.bytes < FLOOD) {
      sent.bytes += event.length;
      if (!response.write(event)) return void response.once('drain', write);
    }
  };
  write();
}

describe('14.8c: what an upstream may answer instead of an answer', () => {
  unhandledRejections();
  let special: Misdeed;
  let pings: unknown[] = [];
  let app: GatewayApp;
  const servers = ['2026-07-28', '2025-11-25'].map((era) =>
    createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        const { id, method, params, result: told } = body === '' ? {} : JSON.parse(body);
        const how = params?.arguments?.how;
        const misdeeds: Readonly<Record<string, Misdeed>> = {
          ...NO_ANSWER,
          ...UNREADABLE,
          special,
        };
        if (how !== undefined) return misdeeds[how]?.(response, id);
        if (told !== undefined) pings.push(told);
        if (id === undefined || told !== undefined) return void response.writeHead(202).end();
        if (method === 'server/discover' && era !== '2026-07-28') {
          return void response.writeHead(400).end();
        }
        const results: Record<string, object> = {
          'server/discover': { supportedVersions: [era], capabilities: { tools: {} } },
          'tools/list': { tools: [{ name: 'run', inputSchema: { type: 'object' } }] },
          'tools/call': { content: [{ type: 'text', text: 'ran' }] },
          initialize: { protocolVersion: era, capabilities: {}, serverInfo: {} },
        };
        const result = { resultType: 'complete', ...results[method] };
        response.writeHead(200, JSON_TYPE).end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      });
    }),
  );
  let wire: (how: string | undefined, name: string, more?: object) => Promise<Heard>;
  beforeAll(async () => {
    const urls = await Promise.all(
      servers.map(async (server) => {
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
      }),
    );
    const upstream = (index: number) =>
      ({ url: urls[index]!, token: none(), breaker: false }) as const;
    app = await startGateway({ gateway: { upstreams: { modern: upstream(0), old: upstream(1) } } });
    wire = await inSession(await app.token());
  });
  afterAll(async () => {
    await app.close();
    for (const server of servers) server.closeAllConnections();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  });

  const modern = (how: string | undefined, name: string, init = {}) =>
    app.ask('tools/call', { name, arguments: { how } }, { id: 7, ...init });

  /** A client of 2025-11-25 as it is on the wire, of which each call has an id of its own. */
  async function inSession(token: string): Promise<typeof wire> {
    let session: string | undefined;
    let id = 100;
    const post = async (method: string, params: object): Promise<Heard> => {
      const response = await fetch(app.mcpUrl, {
        method: 'POST',
        headers: {
          ...{ authorization: `Bearer ${token}`, ...JSON_TYPE },
          accept: 'application/json, text/event-stream',
          ...(session === undefined ? {} : { 'mcp-session-id': session }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }),
      });
      session ??= response.headers.get('mcp-session-id') ?? undefined;
      const answer = await response.text();
      const data = [...answer.matchAll(/^data: (.+)$/gm)].at(-1)?.[1] ?? answer;
      return { status: response.status, text: answer, json: JSON.parse(data) };
    };
    const clientInfo = { name: 'wire', version: '1' };
    const opening = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    await post('initialize', opening);
    return (how, name, more = {}) => post('tools/call', { name, arguments: { how, ...more } });
  }

  const all = [...Object.keys(NO_ANSWER), ...Object.keys(UNREADABLE)];
  const unlike = async (
    names: readonly string[],
    ask: (how: string) => Promise<string>,
    expected: string,
  ) => {
    const heard = await Promise.all(names.map(async (name) => [name, await ask(name)] as const));
    return heard.filter(([, said]) => said !== expected);
  };

  test('a client of 2026-07-28 hears 502, and whose fault it is', async () => {
    const heard = (upstream: string) => async (how: string) => {
      const { status, json } = await modern(how, `${upstream}__run`);
      return `${status} ${json?.id} ${json?.error.message}`;
    };
    const failed = 'gave no answer that can be used';
    const ofModern = await unlike(
      Object.keys(NO_ANSWER),
      heard('modern'),
      `502 7 modern ${failed}`,
    );
    expect(ofModern).toEqual([]);
    expect(await unlike(all, heard('old'), `502 7 old ${failed}`)).toEqual([]);
    expect((await modern(undefined, 'old__run')).json.result.content[0].text).toBe('ran');
  });

  test.each(['modern', 'old'])(
    'a client in a session hears it of %s in a result',
    async (upstream) => {
      const heard = async (how: string) => {
        const { status, json } = await wire(how, `${upstream}__run`);
        return `${status} ${json.result?.isError} ${json.result?.content[0].text}`;
      };
      const failed = `200 true ${upstream} gave no answer that can be used`;
      expect(await unlike(all, heard, failed)).toEqual([]);
    },
  );

  test('a server of 2026-07-28 cannot ask under an id of another server’s question', async () => {
    special = (response, id) =>
      events(
        text('gateway-1', ',"method":"elicitation/create","params":{"message":"Free ice cream?"}'),
        text(id, ',"result":{"content":[{"type":"text","text":"asked"}]}'),
      )(response, id);
    const { text: heard } = await wire('special', 'modern__run');
    expect(heard).toContain('asked');
    expect(heard).not.toContain('elicitation');
  });

  test('a server that pings while a call runs gets its answer, and the call goes on', async () => {
    pings = [];
    special = (response, id) =>
      events(
        text('ping-1', ',"method":"ping"'),
        text(id, ',"result":{"content":[{"type":"text","text":"pinged"}]}'),
      )(response, id);
    const { json } = await modern('special', 'old__run');
    expect(json.result.content[0].text).toBe('pinged');
    await until(() => pings.length === 1);
  });

  test('an answer that may name a task is that of its request', async () => {
    const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
    special = (response, id) =>
      events(
        text(8, ',"result":{"taskId":"of somebody else"}'),
        text(id, ',"result":{"resultType":"complete","content":[]}'),
      )(response, id);
    const { json } = await modern('special', 'modern__run', { capabilities });
    expect(json).toMatchObject({ id: 7, result: { content: [] } });
    special = UNREADABLE['neither result nor error']!;
    expect((await modern('special', 'modern__run', { capabilities })).status).toBe(502);
  });

  test.each(['modern__run', 'old__run'])(
    '14.8b: a client of %s that does not read holds its server back, and ends it when it leaves',
    async (name) => {
      const sent = { bytes: 0, isClosed: false };
      special = (response) => flood(response, sent);
      const gone = new AbortController();
      const asked = { name, arguments: { how: 'special' } };
      const response = await app.fetch('tools/call', asked, { signal: gone.signal });
      const reader = response.body!.getReader();
      await reader.read();
      for (let before = -1; before !== sent.bytes;) {
        before = sent.bytes;
        await settled();
      }
      expect(sent.bytes).toBeLessThan(FLOOD / 2);
      gone.abort();
      await until(() => sent.isClosed);
    },
  );
});
