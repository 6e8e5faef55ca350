import { isUtf8 } from 'node:buffer';
import type { ServerResponse } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { putMember } from '../../core/lib/members.js';
import { EventStream } from './event-stream.js';
import {
  type Head,
  type HeadArguments,
  headerOf,
  headOf,
  isEventStream,
  sendHead,
  withHeaders,
} from './response-head.js';

/**
 * Gets the text of one JSON-RPC message, or batch, and returns what is sent instead. In an event stream
 * it gets the data of each event, with its type and id; `undefined` takes the data away.
 */
export type RewriteMessage = (json: string, eventType?: string, id?: string) => string | undefined;

/** What is computed from a body, and would tell of the one before. */
const VALIDATORS = ['etag', 'content-digest', 'repr-digest', 'digest', 'content-md5'];

/**
 * Rewrites the JSON-RPC messages of an answer, be it a document or an event stream, on its way out. A
 * document of any type, because hosts answer in plain text, too. On Node's response, because MCP
 * transports write to that and not to the framework's.
 */
export function rewriteMessages(response: ServerResponse, rewrite: RewriteMessage): void {
  new Rewriter(response, rewrite, 'held').install();
}

/**
 * The same where an answer may be anything: only an event stream is touched.
 *
 * @param passes whether a chunk of whole events goes on as it is, unread.
 */
export function rewriteEvents(
  response: ServerResponse,
  rewrite: RewriteMessage,
  passes: PassesChunk = () => false,
): void {
  new Rewriter(response, rewrite, 'left', passes).install();
}

/** What a server writes into an event stream. */
export type Chunk = string | Uint8Array;
export type PassesChunk = (chunk: Chunk) => boolean;

type Callback = (error?: Error | null) => void;

/** Parameters of both overloads of `write`: the encoding may be left out. */
type WriteArguments = [
  data: unknown,
  encodingOrCallback?: BufferEncoding | Callback | undefined,
  callback?: Callback,
];

/** Parameters of the three overloads of `end`: the data may be left out, too. */
type EndArguments = [
  dataOrCallback?: unknown,
  encodingOrCallback?: BufferEncoding | Callback | undefined,
  callback?: Callback,
];

/** What `write` or `end` was told. */
interface Written {
  readonly data: unknown;
  readonly encoding: BufferEncoding;
  readonly callback: Callback | undefined;
}

/**
 * `held` until its end, because its length is sent in front; `streamed` event by event; `left` alone,
 * because it is compressed already, or may be anything.
 */
type Handling = 'held' | 'streamed' | 'left';

class Rewriter {
  readonly #response: ServerResponse;
  readonly #rewrite: RewriteMessage;
  readonly #documents: Handling;
  readonly #passesChunk: PassesChunk;
  /** The last byte was no part of a character that has not ended. */
  #endedWhole = true;
  readonly #send: Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'flushHeaders'>;
  readonly #decoder = new StringDecoder('utf8');
  readonly #events: EventStream;
  readonly #chunks: Buffer[] = [];
  #handling: Handling | undefined;
  #isEvents = false;
  /** Held back until the length is known. */
  #head: Head | undefined;

  constructor(
    response: ServerResponse,
    rewrite: RewriteMessage,
    documents: Handling,
    passes: PassesChunk = () => false,
  ) {
    this.#passesChunk = passes;
    this.#response = response;
    this.#rewrite = rewrite;
    this.#documents = documents;
    this.#events = new EventStream(rewrite);
    this.#send = {
      writeHead: response.writeHead.bind(response),
      write: response.write.bind(response),
      end: response.end.bind(response),
      flushHeaders: response.flushHeaders.bind(response),
    };
  }

  install(): void {
    const response = this.#response;
    putMember(response, 'writeHead', (...args: HeadArguments) => this.#writeHead(headOf(args)));
    putMember(response, 'write', (...args: WriteArguments) => this.#write(writtenOf(args)));
    putMember(response, 'end', (...args: EndArguments) => this.#end(lastWrittenOf(args)));
    putMember(response, 'flushHeaders', () => {
      if (this.#decide() !== 'held') this.#send.flushHeaders();
    });
  }

  #writeHead(given: Head): ServerResponse {
    const handling = this.#decide(given);
    const head = handling === 'left' ? given : withoutValidators(given);
    if (handling === 'held') this.#head = head;
    else sendHead(this.#send.writeHead, head);
    return this.#response;
  }

  #write(written: Written): boolean {
    const { data, encoding, callback } = written;
    const handling = this.#decide();
    if (handling === 'left') return this.#send.write(data, encoding, callback);
    if (handling === 'streamed' && this.#passes(written)) {
      return this.#send.write(data, encoding, callback);
    }
    const chunk = bufferOf(written);
    if (handling === 'streamed') {
      this.#endedWhole = (chunk.at(-1) ?? 0) < 0x80;
      return this.#send.write(this.#events.push(this.#decoder.write(chunk)), callback);
    }
    this.#chunks.push(chunk);
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  /** Whole events, behind whole events. */
  #passes({ data, encoding }: Written): boolean {
    if (!this.#endedWhole || !this.#events.isBetweenEvents) return false;
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) return false;
    const isText = typeof data !== 'string' || UTF_8.has(encoding);
    if (!isText || !endsEvent(data) || !this.#passesChunk(data)) return false;
    this.#events.skip();
    return true;
  }

  #end(written: Written): ServerResponse {
    const { data, encoding, callback } = written;
    const handling = this.#decide();
    if (handling === 'left') this.#send.end(data, encoding, callback);
    else if (handling === 'streamed') this.#send.end(this.#rest(bufferOf(written)), callback);
    else this.#endHeld(Buffer.concat([...this.#chunks, bufferOf(written)]), callback);
    return this.#response;
  }

  #endHeld(original: Buffer, callback: Callback | undefined): void {
    const body = isUtf8(original) ? this.#rewritten(original) : original;
    if (this.#head === undefined) this.#announceHead();
    this.#correctLength(body.length);
    Object.assign(this.#response, this.#send); // `end` without a head writes one, by way of writeHead
    if (this.#head !== undefined) sendHead(this.#send.writeHead, this.#head);
    this.#send.end(body, callback);
  }

  /** To all who listen above. It is sent by `end`, which then knows the length. */
  #announceHead(): void {
    this.#response.writeHead(this.#response.statusCode);
    this.#head = undefined;
  }

  #rewritten(original: Buffer): Buffer {
    const text = original.toString();
    const rewritten = this.#isEvents ? this.#rest(original) : (this.#rewrite(text) ?? '');
    return rewritten === text ? original : Buffer.from(rewritten);
  }

  /** In its place: order and spelling of headers are part of the answer, and the same for every body. */
  #correctLength(length: number): void {
    const response = this.#response;
    if (response.hasHeader('content-length')) response.setHeader('content-length', length);
    if (this.#head !== undefined) this.#head = correctedLength(this.#head, length);
  }

  #rest(chunk: Buffer): string {
    return this.#events.push(this.#decoder.end(chunk)) + this.#events.end();
  }

  #decide(head: Pick<Head, 'headers'> = { headers: undefined }): Handling {
    if (this.#handling !== undefined) return this.#handling;
    const type = headerOf(this.#response, head, 'content-type') ?? '';
    const length = headerOf(this.#response, head, 'content-length');
    this.#isEvents = isEventStream(type);
    if (headerOf(this.#response, head, 'content-encoding') !== undefined) this.#handling = 'left';
    else if (this.#isEvents) this.#handling = length === undefined ? 'streamed' : 'held';
    else this.#handling = this.#documents;
    if (this.#handling !== 'left') this.#removeValidators();
    return this.#handling;
  }

  #removeValidators(): void {
    for (const name of VALIDATORS) this.#response.removeHeader(name);
  }
}

const UTF_8: ReadonlySet<string> = new Set(['utf8', 'utf-8']);
const LF = 10;

/** With an empty line, which ends in LF as the line before. */
function endsEvent(chunk: Chunk): boolean {
  if (typeof chunk === 'string') return chunk.endsWith('\n\n');
  return chunk.at(-1) === LF && chunk.at(-2) === LF;
}

function correctedLength(head: Head, length: number): Head {
  return withHeaders(head, (pairs) =>
    pairs.map(([name, value]) =>
      name.toLowerCase() === 'content-length' ? [name, String(length)] : [name, value],
    ),
  );
}

function withoutValidators(head: Head): Head {
  return withHeaders(head, (pairs) =>
    pairs.filter(([name]) => !VALIDATORS.includes(name.toLowerCase())),
  );
}

function writtenOf([data, encodingOrCallback, callback]: WriteArguments): Written {
  return typeof encodingOrCallback === 'function'
    ? { data, encoding: 'utf8', callback: encodingOrCallback }
    : { data, encoding: encodingOrCallback ?? 'utf8', callback };
}

/** Unlike `write`, `end` may have a callback only. */
function lastWrittenOf(args: EndArguments): Written {
  const [dataOrCallback, ...others] = args;
  return isCallback(dataOrCallback)
    ? writtenOf([undefined, dataOrCallback])
    : writtenOf([dataOrCallback, ...others]);
}

function isCallback(value: unknown): value is Callback {
  return typeof value === 'function';
}

function bufferOf({ data, encoding }: Written): Buffer {
  if (typeof data === 'string') return Buffer.from(data, encoding);
  return data instanceof Uint8Array ? Buffer.from(data) : Buffer.alloc(0);
}
