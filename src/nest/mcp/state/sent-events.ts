import type { IncomingMessage, ServerResponse } from 'node:http';
import { isEventStream, onResponseHead } from '../../http/response-head.js';
import { dropHeader } from '../../http/request.js';
import type { Owner } from './state-owners.js';

const HEADER = 'last-event-id';
const MAX_EVENTS = 100_000;
const MAX_EVENTS_OF_ONE = 2000;
const MAX_ID_LENGTH = 1024;
const FIELD = 'id:';
const LF = 10;

interface Limits {
  readonly maxEvents: number;
  readonly maxEventsOfOne: number;
}

/**
 * Which event ids each caller was sent in the streams of MCP servers. A client resumes a stream with the
 * last id that it got (`Last-Event-ID`), and a server may keep the events of all callers in one store,
 * where an id alone says which stream is meant.
 *
 * Bounded: of each caller the last ones, and of all callers those who were sent something last.
 */
export class SentEvents {
  readonly #limits: Limits;
  readonly #owners = new Map<string, Owner>();
  /** By owner; both owners and ids in the order of their last use. */
  readonly #ids = new Map<Owner, Set<string>>();

  constructor(limits: Limits = { maxEvents: MAX_EVENTS, maxEventsOfOne: MAX_EVENTS_OF_ONE }) {
    this.#limits = limits;
  }

  /** Learns from the answer which events this caller is sent. */
  watch(response: ServerResponse, owner: Owner): void {
    let lines: IdLines | undefined; // most answers are no streams
    let isStream: boolean | undefined;
    onResponseHead(response, 'content-type', (_, type = '') => {
      isStream = isEventStream(type);
    });
    listen(response, (chunk, encoding) => {
      isStream ??= isEventStream(String(response.getHeader('content-type')));
      if (!isStream) return;
      lines ??= new IdLines((id) => this.remember(id, owner));
      if (!lines.passes(chunk)) lines.push(latin1(chunk, encoding));
    });
  }

  /**
   * Takes an id that this caller was not sent out of the request, in every copy that a server may read:
   * the stream then begins anew, as for a client that has none.
   *
   * @returns whether there was one.
   */
  dropForeign(request: IncomingMessage, owner: Owner): boolean {
    const id = request.headers[HEADER];
    if (id === undefined || this.wasSent(String(id), owner)) return false;
    dropHeader(request, HEADER);
    return true;
  }

  wasSent(id: string, owner: Owner): boolean {
    return this.#owners.get(id) === owner;
  }

  /** Whether an event that a server is about to send is known to be somebody else's. */
  isOfAnother(id: string, owner: Owner): boolean {
    return this.#isForeign(latin1(id, 'utf8'), owner);
  }

  /** The first one to be sent an event owns it. */
  remember(id: string, owner: Owner): void {
    if (this.#isForeign(id, owner)) return;
    const ids = this.#ids.get(owner) ?? new Set();
    ids.delete(id);
    ids.add(id);
    this.#owners.set(id, owner);
    this.#ids.delete(owner);
    this.#ids.set(owner, ids);
    const [oldest] = ids;
    if (ids.size > this.#limits.maxEventsOfOne && oldest !== undefined) this.#forget(oldest, ids);
    if (this.#owners.size > this.#limits.maxEvents) this.#makeRoom();
  }

  #isForeign(id: string, owner: Owner): boolean {
    return (this.#owners.get(id) ?? owner) !== owner;
  }

  /** Whoever was sent nothing for longest loses all. */
  #makeRoom(): void {
    const [longest] = this.#ids;
    if (longest === undefined) return;
    const [owner, ids] = longest;
    for (const id of ids) this.#forget(id, ids);
    this.#ids.delete(owner);
  }

  #forget(id: string, ids: Set<string>): void {
    ids.delete(id);
    this.#owners.delete(id);
  }
}

/** Finds the `id` fields in an event stream (WHATWG HTML §9.2) that comes in pieces. */
class IdLines {
  readonly #found: (id: string) => void;
  /** The beginning of a line that has not ended; no more of it than an id may have. */
  #line = '';

  constructor(found: (id: string) => void) {
    this.#found = found;
  }

  /** Whether it holds none, and nothing that a later chunk could make one of. */
  passes(chunk: unknown): boolean {
    if (this.#line !== '') return false;
    if (typeof chunk === 'string') return chunk.endsWith('\n') && !chunk.includes(FIELD);
    return (
      chunk instanceof Uint8Array &&
      chunk.at(-1) === LF &&
      !Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).includes(FIELD)
    );
  }

  push(text: string): void {
    const lines = (this.#line + text).split(/[\r\n]/);
    this.#line = (lines.pop() ?? '').slice(0, FIELD.length + MAX_ID_LENGTH + 2);
    for (const line of lines) {
      if (!line.startsWith(FIELD)) continue;
      const id = line.slice(line[FIELD.length] === ' ' ? FIELD.length + 1 : FIELD.length);
      if (id !== '' && id.length <= MAX_ID_LENGTH) this.#found(id);
    }
  }
}

type Heard = (...args: unknown[]) => never;

function listen(
  response: ServerResponse,
  listener: (chunk: unknown, encoding: unknown) => void,
): void {
  const { write, end } = response as unknown as { readonly write: Heard; readonly end: Heard };
  const heardWrite: Heard = (...args) => {
    listener(args[0], args[1]);
    return write.apply(response, args);
  };
  const heardEnd: Heard = (...args) => {
    listener(args[0], args[1]);
    return end.apply(response, args);
  };
  response.write = heardWrite;
  response.end = heardEnd;
}

/** As Node reads header values, so that what is compared has the same form. */
function latin1(chunk: unknown, encoding: unknown): string {
  if (typeof chunk === 'string') {
    const bytes = Buffer.from(chunk, typeof encoding === 'string' ? (encoding as 'utf8') : 'utf8');
    return bytes.toString('latin1');
  }
  return chunk instanceof Uint8Array
    ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    : '';
}
