import { isJsonObject, member } from '../../core/lib/members.js';
import { OutboundStreams, type StreamRequest } from '../../core/http/streams.js';
import type { InMemoryServer } from '../options/in-memory-server.js';
import type { GatewayCaller } from '../options/gateway-caller.js';
import type { ResolvedUpstream } from '../options/upstream-options.js';
import type { AnswerBody } from '../wire/answer-head.js';
import { MemoryAnswer, MemoryTransport } from './memory-transport.js';

/** A request, and who makes it. */
export interface OutboundRequest extends StreamRequest {
  readonly caller: GatewayCaller;
}

/** How requests get to an upstream. */
export interface UpstreamTransport {
  send(request: OutboundRequest): Promise<AnswerBody>;
  /** No new connections; those that are in use end with their calls. */
  close(): void;
}

/** Over the network, or to servers in this process. */
export function transportTo(
  { url, server, trusted }: Pick<ResolvedUpstream, 'url' | 'server' | 'trusted'>,
  devMode: boolean,
): UpstreamTransport {
  return server === undefined
    ? new OutboundStreams(new URL(url), { devMode, trusted })
    : new MemoryServers(server);
}

interface MemorySession {
  readonly server: InMemoryServer;
  readonly transport: MemoryTransport;
}

const SESSION = 'mcp-session-id';
const EVENTS = { 'content-type': 'text/event-stream' };

/** Servers in this process, one for each session, asked as those of the revisions with sessions are over HTTP. */
class MemoryServers {
  readonly #make: () => InMemoryServer | Promise<InMemoryServer>;
  readonly #sessions = new Map<string, MemorySession>();

  constructor(make: () => InMemoryServer | Promise<InMemoryServer>) {
    this.#make = make;
  }

  /** @throws what making a server throws */
  async send(request: OutboundRequest): Promise<MemoryAnswer> {
    const { method, headers, body = '', signal } = request;
    const message: unknown = method === 'POST' ? JSON.parse(body) : {}; // made by the gateway itself
    if (!isJsonObject(message)) return ended(400);
    const isFirst = member(message, 'method') === 'initialize';
    const { [SESSION]: id = '' } = headers;
    const session = isFirst ? await this.#open() : this.#sessions.get(id);
    if (session === undefined) return ended(id === '' ? 400 : 404);
    if (method === 'DELETE') return this.#end(session);
    const { transport } = session;
    const answer = new MemoryAnswer(200, { ...EVENTS, [SESSION]: transport.sessionId });
    signal.addEventListener('abort', () => answer.destroy(), { once: true });
    if (method === 'GET') {
      transport.standalone = answer;
      return answer;
    }
    const isRequest = Object.hasOwn(message, 'id') && Object.hasOwn(message, 'method');
    if (isRequest) transport.answer(member(message, 'id'), answer);
    transport.onmessage?.(message, { authInfo: authInfoOf(request.caller) });
    return isRequest ? answer : ended(202);
  }

  /** Those that are running end with the sessions of their clients. */
  close(): void {
    // There are no connections to drop.
  }

  async #open(): Promise<MemorySession> {
    const server = await this.#make();
    const transport = new MemoryTransport();
    await server.connect(transport as never); // of whichever SDK
    const session = { server, transport };
    this.#sessions.set(transport.sessionId, session);
    return session;
  }

  async #end({ server, transport }: MemorySession): Promise<MemoryAnswer> {
    this.#sessions.delete(transport.sessionId);
    await server.close().catch(() => undefined); // its own affair
    return ended(200);
  }
}

function ended(status: number): MemoryAnswer {
  return new MemoryAnswer(status, { 'content-type': 'application/json' }).end();
}

/** As the SDKs hand it to handlers; never the token, which is for the gateway alone. */
function authInfoOf({ claims }: GatewayCaller) {
  const { sub, issuer, clientId, scopes } = claims;
  return { token: '', clientId, scopes: [...scopes], extra: { sub, issuer } };
}
