import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { StandInAuthorizationServer } from 'authplane-nestjs/testing';

/** Which revision of the protocol the messages are of: with `initialize`, or 2026-07-28. */
export type Era = '2025' | '2026';

export interface HostServer {
  readonly mcpUrl: string;
  readonly authorizationServer: StandInAuthorizationServer;
  close(): Promise<void>;
}

export interface Message {
  readonly method: string;
  readonly params?: object;
}

export interface Caller {
  /** Scopes of the token; `null`: no token. */
  readonly scope: string | null;
  readonly user?: string;
  readonly client?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The message in it, be it a document or an event. */
  readonly message: Readonly<Record<string, unknown>>;
}

/** What is left of an answer when headers do not matter. */
export type RawAnswer = Pick<Answer, 'status' | 'text'>;

const STREAM_MS = 100;

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** Raw requests to an MCP server, as a client of that era sends them. */
export class RawClient {
  #session: Readonly<Record<string, string>> = {};

  constructor(
    readonly server: HostServer,
    readonly era: Era,
  ) {}

  /** Hosts with sessions answer nothing before. */
  async openSession(caller: Caller): Promise<string> {
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
    };
    const opened = await this.send({ method: 'initialize', params }, caller);
    const id = opened.headers.get('mcp-session-id');
    if (id === null) throw new Error(`no session: ${opened.status} ${opened.text}`);
    this.#session = { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' };
    return id;
  }

  send(message: Message, caller: Caller): Promise<Answer> {
    return this.#fetch('POST', caller, this.#body(message, 1), this.#headers(message));
  }

  batch(messages: readonly Message[], caller: Caller): Promise<Answer> {
    const [first] = messages;
    const body = messages.map((message, index) => this.#body(message, index + 1));
    return this.#fetch('POST', caller, body, first === undefined ? {} : this.#headers(first));
  }

  /** Opens a stream or ends a session. */
  async bodiless(
    method: 'GET' | 'DELETE',
    caller: Caller,
    headers: Record<string, string> = {},
  ): Promise<number> {
    const response = await this.#request(method, caller, undefined, headers);
    await response.body?.cancel();
    return response.status;
  }

  /** A request of any method that has a body, which `fetch` does not send with a GET. */
  async withBody(method: string, message: Message, caller: Caller): Promise<RawAnswer> {
    const body = JSON.stringify(this.#body(message, 1));
    const headers = await this.#requestHeaders(method, caller, body, this.#headers(message));
    return new Promise((resolve, reject) => {
      const length = { 'content-length': Buffer.byteLength(body) };
      httpRequest(this.server.mcpUrl, { method, agent: false, headers: { ...headers, ...length } })
        .on('response', (response) => void rawAnswer(response).then(resolve, reject))
        .on('error', reject)
        .end(body);
    });
  }

  #body({ method, params }: Message, id: number): object {
    const full = this.era === '2026' ? { ...params, _meta: ENVELOPE } : params;
    return { jsonrpc: '2.0', id, method, ...(full === undefined ? {} : { params: full }) };
  }

  #headers({ method, params = {} }: Message): Record<string, string> {
    if (this.era === '2025') return {};
    const { name, uri, taskId } = params as { name?: string; uri?: string; taskId?: string };
    const named = name ?? uri ?? taskId;
    return {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(named === undefined ? {} : { 'mcp-name': named }),
    };
  }

  async #fetch(
    method: string,
    caller: Caller,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Answer> {
    const response = await this.#request(method, caller, body, headers);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, message: messageIn(text) };
  }

  async #request(
    method: string,
    caller: Caller,
    body: unknown,
    ofMessage: Record<string, string>,
  ): Promise<Response> {
    return fetch(this.server.mcpUrl, {
      method,
      headers: await this.#requestHeaders(method, caller, body, ofMessage),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async #requestHeaders(
    method: string,
    { scope, user = 'alice', client = 'client-1', headers = {} }: Caller,
    body: unknown,
    ofMessage: Record<string, string>,
  ): Promise<Record<string, string>> {
    const { authorizationServer, mcpUrl } = this.server;
    const claims = { sub: user, client_id: client, aud: [mcpUrl], scope: scope ?? '' };
    const authorization = `Bearer ${await authorizationServer.issueToken(claims)}`;
    return {
      accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(scope === null ? {} : { authorization }),
      ...this.#session,
      ...ofMessage,
      ...headers,
    };
  }
}

async function rawAnswer(response: IncomingMessage): Promise<RawAnswer> {
  // A stream that a GET has opened stays open.
  const isStream = response.headers['content-type']?.includes('text/event-stream') === true;
  if (isStream) setTimeout(() => response.destroy(), STREAM_MS);
  let text = '';
  try {
    for await (const chunk of response) text += String(chunk);
  } catch (error) {
    if (!isStream) throw error;
  }
  return { status: response.statusCode ?? 0, text };
}

function messageIn(text: string): Answer['message'] {
  const json = /^data: ?(\{.+)$/m.exec(text)?.[1] ?? text;
  try {
    return JSON.parse(json) as Answer['message'];
  } catch {
    return {};
  }
}
