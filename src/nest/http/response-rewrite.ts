import { isUtf8 } from 'node:buffer';
import type { ServerResponse } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import { EventStream } from './event-stream.js';

/**
 * Gets the text of one JSON-RPC message, or batch, and returns what is sent instead. In an event stream
 * it gets the data of each event, with its type and id; `undefined` takes the data away.
 */
export type RewriteMessage = (json: string, eventType?: string, id?: string) => string | undefined;

/** What is computed from a body, and would tell of the one before. */
const VALIDATORS = ['etag', 'content-digest', 'repr-digest', 'digest', 'content-md5'];

type Headers = Record<string, number | string | readonly string[] | undefined>;

/** Told of the status and of one header, whichever way they are set, before they are sent. */
export function onResponseHead(
  response: ServerResponse,
  header: string,
  listener: (status: number, value: string | undefined) => void,
): void {
  const writeHead = response.writeHead.bind(response);
  response.writeHead = (...args: unknown[]) => {
    listener(Number(args[0]), headerOf(response, args, header));
    return writeHead(...(args as [number]));
  };
}

/**
 * Rewrites the JSON-RPC messages of an answer, be it a document or an event stream, on its way out. A
 * document of any type, because hosts answer in plain text, too. On Node's response, because MCP
 * transports write to that and not to the framework's.
 */
export function rewriteMessages(response: ServerResponse, rewrite: RewriteMessage): void {
  new Rewriter(response, rewrite, 'held').install();
}

/** The same where an answer may be anything: only an event stream is touched. */
export function rewriteEvents(response: ServerResponse, rewrite: RewriteMessage): void {
  new Rewriter(response, rewrite, 'left').install();
}

export function isEventStream(contentType: string): boolean {
  return /^\s*text\/event-stream\b/i.test(contentType);
}

type Callback = (() => void) | undefined;

/**
 * `held` until its end, because its length is sent in front; `streamed` event by event; `left` alone,
 * because it is compressed already, or may be anything.
 */
type Handling = 'held' | 'streamed' | 'left';

class Rewriter {
  readonly #response: ServerResponse;
  readonly #rewrite: RewriteMessage;
  readonly #documents: Handling;
  readonly #send: Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'flushHeaders'>;
  readonly #decoder = new StringDecoder('utf8');
  readonly #events: EventStream;
  readonly #chunks: Buffer[] = [];
  #handling: Handling | undefined;
  #isEvents = false;
  /** Arguments of `writeHead`, held back until the length is known. */
  #head: unknown[] | undefined;

  constructor(response: ServerResponse, rewrite: RewriteMessage, documents: Handling) {
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
    response.writeHead = (...args: unknown[]) => this.#writeHead(args);
    response.write = ((...args: unknown[]) => this.#write(args)) as never;
    response.end = ((...args: unknown[]) => this.#end(args)) as never;
    response.flushHeaders = () => {
      if (this.#decide([]) !== 'held') this.#send.flushHeaders();
    };
  }

  #writeHead(args: unknown[]): ServerResponse {
    const handling = this.#decide(args);
    const head = handling === 'left' ? args : args.map(withoutValidators);
    if (handling === 'held') this.#head = head;
    else this.#send.writeHead(...(head as [number]));
    return this.#response;
  }

  #write(args: unknown[]): boolean {
    const handling = this.#decide([]);
    if (handling === 'left') return this.#send.write(...(args as [string]));
    const { chunk, callback } = chunkOf(args);
    if (handling === 'streamed') {
      return this.#send.write(this.#events.push(this.#decoder.write(chunk)), () => callback?.());
    }
    this.#chunks.push(chunk);
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  #end(args: unknown[]): ServerResponse {
    const handling = this.#decide([]);
    if (handling === 'left') {
      this.#send.end(...(args as [string]));
      return this.#response;
    }
    const { chunk, callback } = chunkOf(args);
    if (handling === 'streamed') this.#send.end(this.#rest(chunk), () => callback?.());
    else this.#endHeld(Buffer.concat([...this.#chunks, chunk]), callback);
    return this.#response;
  }

  #endHeld(original: Buffer, callback: Callback): void {
    const body = isUtf8(original) ? this.#rewritten(original) : original;
    if (this.#head === undefined) this.#announceHead();
    this.#correctLength(body.length);
    Object.assign(this.#response, this.#send); // `end` without a head writes one, by way of writeHead
    if (this.#head !== undefined) this.#send.writeHead(...(this.#head as [number]));
    this.#send.end(body, () => callback?.());
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
    this.#head = this.#head?.map((arg) => withLength(arg, length));
  }

  #rest(chunk: Buffer): string {
    return this.#events.push(this.#decoder.end(chunk)) + this.#events.end();
  }

  #decide(head: readonly unknown[]): Handling {
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

/** From the arguments of `writeHead`, which win, or as set before. Names are compared in any case. */
function headerOf(
  response: ServerResponse,
  args: readonly unknown[],
  name: string,
): string | undefined {
  const given = args.find((arg) => typeof arg === 'object' && arg !== null);
  const value = given === undefined ? undefined : headerIn(pairsOf(given), name);
  const found = (value ?? response.getHeader(name)) as Headers[string];
  return typeof found === 'object' ? found.join(', ') : found?.toString();
}

function headerIn(pairs: readonly (readonly [string, unknown])[], name: string): unknown {
  return pairs.find(([given]) => given.toLowerCase() === name)?.[1];
}

/** `writeHead` takes an object, a flat list of names and values, or a list of pairs. */
function pairsOf(headers: object): (readonly [string, unknown])[] {
  if (!Array.isArray(headers)) return Object.entries(headers as Headers);
  if (Array.isArray(headers[0])) return headers as [string, unknown][];
  const flat = headers as unknown[];
  return flat.flatMap((name, index) =>
    index % 2 === 0 ? [[String(name), flat[index + 1]] as const] : [],
  );
}

function withLength(arg: unknown, length: number): unknown {
  return withPairs(arg, (pairs) =>
    pairs.map(([name, value]) =>
      name.toLowerCase() === 'content-length' ? [name, String(length)] : [name, value],
    ),
  );
}

function withoutValidators(arg: unknown): unknown {
  return withPairs(arg, (pairs) =>
    pairs.filter(([name]) => !VALIDATORS.includes(name.toLowerCase())),
  );
}

type Pairs = (readonly [string, unknown])[];

/** An argument of `writeHead`, if it has headers, with others. */
function withPairs(arg: unknown, change: (pairs: Pairs) => Pairs): unknown {
  if (typeof arg !== 'object' || arg === null) return arg;
  const pairs = change(pairsOf(arg));
  return Array.isArray(arg) ? pairs.flat() : Object.fromEntries(pairs);
}

/** `write` and `end` take chunk, encoding and callback, each of which may be left out. */
function chunkOf(args: readonly unknown[]): { chunk: Buffer; callback: Callback } {
  const [data, encoding] = args;
  const callback = args.find((arg): arg is () => void => typeof arg === 'function');
  return { chunk: bufferOf(data, encoding), callback };
}

function bufferOf(data: unknown, encoding: unknown): Buffer {
  if (typeof data === 'string') {
    return Buffer.from(data, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
  }
  return data instanceof Uint8Array ? Buffer.from(data) : Buffer.alloc(0);
}
