import { StringDecoder } from 'node:string_decoder';
import type { Readable } from 'node:stream';
import { isJsonObject, member } from '../../core/lib/members.js';
import { isNestedBeyond } from '../../core/lib/strict-json.js';

/** Objects in objects: far more than messages have, far less than the stack holds. */
const MAX_DEPTH = 500;
const LINE_END = /\r\n|[\r\n]/;

/** What was read is no answer to this request. */
export class UnreadableAnswer extends Error {}

/**
 * The JSON-RPC response to a request, from a document or from an event stream, whose other messages are
 * left alone.
 *
 * @throws UnreadableAnswer for anything else, and beyond `maxBytes`; and what the stream fails with.
 */
export async function readResponse(
  body: Readable,
  { isEvents, id, maxBytes }: { isEvents: boolean; id: string | number; maxBytes: number },
): Promise<Readonly<Record<string, unknown>>> {
  if (!isEvents) return responseIn(await readText(body, maxBytes), id);
  for await (const data of eventsOf(body, maxBytes)) {
    const message = parsed(data);
    if (isJsonObject(message) && member(message, 'id') === id && !('method' in message)) {
      body.destroy();
      return message;
    }
  }
  throw new UnreadableAnswer('an event stream that ended without the answer');
}

/** @throws UnreadableAnswer when it is longer. */
export async function readText(body: Readable, maxBytes: number): Promise<string> {
  const decoder = new StringDecoder('utf8');
  let text = '';
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new UnreadableAnswer(`more than ${maxBytes} bytes`);
    text += decoder.write(chunk);
  }
  return text + decoder.end();
}

/** The data of each event (WHATWG HTML §9.2), as they come; one may have `maxBytes`. */
export async function* eventsOf(body: Readable, maxBytes: number): AsyncGenerator<string> {
  let data: string[] = [];
  for await (const line of linesOf(body, maxBytes)) {
    if (line.startsWith('data:')) data.push(line.slice(line.charAt(5) === ' ' ? 6 : 5));
    if (line !== '') continue;
    if (data.length > 0) yield data.join('\n');
    data = [];
  }
}

/** Each piece is looked at once, however many a line comes in. The bound is that of an event. */
async function* linesOf(body: Readable, maxBytes: number): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let unfinished: string[] = [];
  let size = 0;
  let endedInCR = false;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const text = decoder.write(chunk);
    const isLateLF = endedInCR && text.startsWith('\n');
    endedInCR = text === '' ? endedInCR : text.endsWith('\r');
    const [first = '', ...others] = (isLateLF ? text.slice(1) : text).split(LINE_END);
    unfinished.push(first);
    for (const next of others) {
      const line = unfinished.join('');
      size = line === '' ? 0 : size + line.length;
      if (size > maxBytes) throw beyond(maxBytes);
      yield line;
      unfinished = [next];
    }
    if (others.length === 0) size += first.length;
    if (size > maxBytes) throw beyond(maxBytes);
  }
}

function beyond(maxBytes: number): UnreadableAnswer {
  return new UnreadableAnswer(`an event beyond ${maxBytes} bytes`);
}

function responseIn(text: string, id: string | number): Readonly<Record<string, unknown>> {
  const message = parsed(text);
  if (isJsonObject(message) && member(message, 'id') === id) return message;
  throw new UnreadableAnswer('no JSON-RPC response to the request');
}

/**
 * @returns `undefined` for what is no JSON.
 * @throws UnreadableAnswer for what is nested too deeply to be written again.
 */
export function parsed(text: string): unknown {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (isNestedBeyond(MAX_DEPTH, text)) throw new UnreadableAnswer('it is nested too deeply');
  return message;
}
