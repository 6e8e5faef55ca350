import type { IncomingMessage, ServerResponse } from 'node:http';
import { endStream, isEventStream, onResponseHead } from '../../http/response-head.js';
import { urlsOf } from '../../http/request.js';
import { type Owner, StateOwners } from './state-owners.js';

const SESSION = 'mcp-session-id';
const NONE: readonly string[] = Object.freeze([]);
/** Where the query begins and ends, and what parts it, is not the same for all servers. */
const SEPARATOR = /[?&;#]/;
const MAX_ID_LENGTH = 256;
/** Of the HTTP+SSE transport of 2024-11-05, as the SDKs name it. Some parsers take brackets for lists. */
const SESSION_PARAMETER = /^sessionId(?:\[|$)/;

/**
 * Learns from the answers of servers who opens and ends their sessions. One for the whole application: a
 * server may stand behind several of its resources.
 */
export class McpSessions {
  readonly #owners = new StateOwners();
  /** Event streams of sessions that are still nobody's. */
  readonly #openStreams = new Map<string, Set<ServerResponse>>();

  /** Whether this request names a session that somebody else has opened. */
  isForeign(request: IncomingMessage, owner: Owner): boolean {
    return sessionIdsOf(request).some((id) => this.#owners.isForeign(id, owner));
  }

  /** Whether this request names a session that is not known to be this owner's. */
  namesOther(request: IncomingMessage, owner: Owner): boolean {
    return sessionIdsOf(request).some((id) => !this.#owners.isOf(id, owner));
  }

  /**
   * A session that was opened without a caller becomes that of its first one. Its streams, which no credential
   * has opened and none would end, are over: the client comes back for them with what it has now.
   */
  handOver(request: IncomingMessage, from: Owner, to: Owner): void {
    for (const id of sessionIdsOf(request)) {
      if (this.#owners.handOver(id, from, to)) this.#openStreams.get(id)?.forEach(endStream);
    }
  }

  /** Of a GET without a caller, for as long as the session is nobody's. */
  watchOpenStream(request: IncomingMessage, response: ServerResponse, nobody: Owner): void {
    const id = sessionIdOf(request);
    if (id === undefined) return;
    onResponseHead(response, 'content-type', (_status, type = '') => {
      if (!isEventStream(type)) return;
      if (this.#owners.isOf(id, nobody)) this.#keepOpenStream(id, response);
      else setImmediate(() => endStream(response)); // its head is still to be sent
    });
  }

  #keepOpenStream(id: string, response: ServerResponse): void {
    const streams = this.#openStreams.get(id) ?? new Set();
    this.#openStreams.set(id, streams.add(response));
    response.once('close', () => {
      streams.delete(response);
      if (streams.size === 0) this.#openStreams.delete(id);
    });
  }

  /** Whether this request names a session, so that it is certainly one to an MCP server. */
  names(request: IncomingMessage): boolean {
    return sessionIdsOf(request).some((id) => this.#owners.knows(id));
  }

  /** Whether it names a session whose answers go to an event stream that was not seen to open. */
  namesUnseenStream(request: IncomingMessage): boolean {
    return sessionParametersOf(request).some((id) => !this.#owners.knows(id));
  }

  watch(request: IncomingMessage, response: ServerResponse, owner: Owner): void {
    const { method } = request;
    const asked = sessionIdOf(request);
    const [unseen, ...others] = sessionParametersOf(request);
    onResponseHead(response, SESSION, (status, opened) => {
      const succeeded = status >= 200 && status < 300;
      // The answer to a message of a session repeats its id. Any other id is that of a new one, whatever
      // the request carried: an empty id, or one that has ended, keeps no server from opening another.
      if (method === 'POST' && succeeded && opened && opened !== asked) {
        this.#owners.remember(opened, owner, undefined);
      }
      if (method === 'DELETE' && succeeded && asked) this.#owners.forget(asked);
      // Its stream was opened out of sight. 202 is what an HTTP+SSE server says to each message.
      if (method === 'POST' && status === 202 && isPlausible(unseen, others)) {
        this.#owners.remember(unseen, owner, undefined);
      }
    });
  }

  /**
   * The first event of an HTTP+SSE stream tells the client where to post its messages, and so the
   * session, which lives as long as the stream.
   *
   * @returns whether the event is one.
   */
  open(
    event: { readonly data: string; readonly type: string | undefined },
    response: ServerResponse,
    owner: Owner,
  ): boolean {
    if (event.type !== 'endpoint') return false;
    const [sessionId] = parametersIn(event.data);
    if (sessionId === undefined) return false;
    this.#owners.remember(sessionId, owner, undefined);
    response.once('close', () => this.#owners.forget(sessionId));
    return true;
  }
}

/** Chosen by the caller, so it must not fill the memory. */
function isPlausible(id: string | undefined, others: readonly string[]): id is string {
  return id !== undefined && id.length <= MAX_ID_LENGTH && others.length === 0;
}

function sessionIdsOf(request: IncomingMessage): readonly string[] {
  const ofHeader = sessionIdOf(request);
  const ofQuery = sessionParametersOf(request);
  return ofHeader === undefined ? ofQuery : [ofHeader, ...ofQuery];
}

/** As the server sees it: repeated lines are joined, and are then no known session. */
function sessionIdOf({ headers }: IncomingMessage): string | undefined {
  const value = headers[SESSION];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Most requests have no parameters at all, and then nothing is made of them. */
function sessionParametersOf(request: IncomingMessage): readonly string[] {
  const target = request as IncomingMessage & { readonly originalUrl?: string }; // Express: the same
  const { url = '', originalUrl = url } = target;
  if (!SEPARATOR.test(url) && !SEPARATOR.test(originalUrl)) return NONE;
  const found = urlsOf(target).flatMap(parametersIn);
  return found.length < 2 ? found : [...new Set(found)];
}

function parametersIn(url: string): string[] {
  const [, ...pairs] = url.split(SEPARATOR);
  return pairs
    .flatMap((pair) => [...new URLSearchParams(pair)])
    .filter(([name]) => SESSION_PARAMETER.test(name))
    .map(([, id]) => id);
}
