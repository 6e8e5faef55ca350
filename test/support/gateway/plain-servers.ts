import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** An upstream whose own work is next to nothing, so that many callers can ask it. */
export interface PlainServer {
  readonly url: string;
  /** Requests so far. */
  readonly asked: number;
  /** Tokens that are not for this server, or have expired. */
  readonly wrongTokens: readonly string[];
  /** Subjects of all tokens, and how many tokens each has had. */
  readonly tokens: ReadonlyMap<string, ReadonlySet<string>>;
  /** All bytes that came in on all of its sockets. */
  received(): string;
  stop(): Promise<void>;
}

/** Counts in each session what it is asked. */
export interface CountingServer extends PlainServer {
  /** Forgets all sessions, as a restart does. */
  forget(): void;
}

interface Message {
  readonly id?: number | string;
  readonly method?: string;
}

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly result?: object;
}

type Answering = (message: Message, headers: IncomingHttpHeaders, sub: string) => Answer;

const ACCEPTED = { status: 202 };
const said = (text: string) => ({ content: [{ type: 'text', text }] });
const tool = (name: string) => ({ tools: [{ name, inputSchema: { type: 'object' } }] });

/** Of 2026-07-28, without anything that it remembers. @param now in seconds. */
export function startWhoami(now: () => number): Promise<PlainServer> {
  const results: Readonly<Record<string, object>> = {
    'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
    'tools/list': { ...tool('whoami'), ttlMs: 60_000, cacheScope: 'private' },
  };
  return listen(now, ({ method = '' }, _headers, sub) => {
    const result = method === 'tools/call' ? said(sub) : results[method];
    return { status: 200, result: { resultType: 'complete', ...result } };
  });
}

/** Of 2025-11-25: says for each session how often it was asked, who was the first, and who is this one. */
export async function startCounter(now: () => number): Promise<CountingServer> {
  const sessions = new Map<string, { owner: string; count: number }>();
  const initialized = {
    ...{ protocolVersion: '2025-11-25', capabilities: { tools: {} } },
    serverInfo: { name: 'counter', version: '1' },
  };
  const server = await listen(now, ({ id, method }, headers, sub) => {
    if (method === 'server/discover') return { status: 400 };
    if (method === 'initialize') {
      const opened = crypto.randomUUID();
      sessions.set(opened, { owner: sub, count: 0 });
      return { status: 200, headers: { 'mcp-session-id': opened }, result: initialized };
    }
    const session = sessions.get(String(headers['mcp-session-id']));
    if (session === undefined) return { status: 404 };
    if (method === 'tools/list') return { status: 200, result: tool('count') };
    if (id === undefined) return ACCEPTED;
    return { status: 200, result: said(`${++session.count} of ${session.owner} for ${sub}`) };
  });
  return Object.assign(server, { forget: () => sessions.clear() });
}

async function listen(now: () => number, answering: Answering): Promise<PlainServer> {
  const bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  const wrongTokens: string[] = [];
  const tokens = new Map<string, Set<string>>();
  let asked = 0;
  let url = '';
  const subjectOf = (authorization = '') => {
    const payload = authorization.split('.')[1] ?? '';
    const { sub, aud, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString());
    if (![aud].flat().includes(url) || exp <= now()) wrongTokens.push(authorization);
    tokens.set(sub, (tokens.get(sub) ?? new Set()).add(authorization));
    return String(sub);
  };
  const server = createServer((request, response) => {
    asked++;
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      const message: Message = text === '' ? {} : JSON.parse(text);
      const sub = subjectOf(request.headers.authorization);
      const { status, headers, result } = answering(message, request.headers, sub);
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(result && JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
    });
  });
  server.keepAliveTimeout = 300_000;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  return {
    url,
    get asked() {
      return asked;
    },
    wrongTokens,
    tokens,
    received: () => Buffer.concat(bytes).toString('latin1'),
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
