import { node } from '../platform/node.js';
import { parseStrictJson, StrictJsonError } from '../lib/strict-json.js';
import type { CallStop } from './call-stop.js';
import { contentEncodingError, redirectError, tooLargeError } from './errors.js';

/** An answer of any status but 3xx. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; repeated headers joined with a comma. No prototype. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body, when it is strict JSON under a JSON media type. `undefined` otherwise. */
  readonly json: unknown;
  /** Why `json` is undefined. Never quotes the body. */
  readonly notJson?: string;
}

export interface Init {
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request, checked, with what ends it. */
export interface Call {
  readonly url: URL;
  readonly init: Init;
  readonly stop: CallStop;
  readonly maxBytes: number;
  /** Whether it goes over a new connection, not a kept one. */
  readonly ownConnection: boolean;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}

export function refuseUnusable(
  { url, maxBytes }: Call,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  if (status >= 300 && status < 400) throw redirectError(url.host, status);
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (encoding !== '' && encoding !== 'identity') throw contentEncodingError(url.host);
  if (Number(headers['content-length']) > maxBytes) throw tooLargeError(url.host, maxBytes);
}

/** A body of bounded size, counted while it arrives. */
export class CappedBody {
  readonly #url: URL;
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  constructor({ url, maxBytes }: Call) {
    this.#url = url;
    this.#maxBytes = maxBytes;
  }

  add(chunk: unknown): void {
    if (!node.util.types.isUint8Array(chunk))
      throw new TypeError('a body chunk is not a byte array');
    this.#size += chunk.byteLength;
    if (this.#size > this.#maxBytes) throw tooLargeError(this.#url.host, this.#maxBytes);
    this.#chunks.push(chunk);
  }

  /** To be read at once: they may lie in memory that others use. */
  bytes(): Uint8Array {
    const [first] = this.#chunks;
    if (first !== undefined && this.#chunks.length === 1) return first;
    return Buffer.concat(this.#chunks, this.#size);
  }
}

export function toAnswer({ status, headers, bytes }: RawAnswer): HttpAnswer {
  const notJson = bytes.byteLength === 0 ? 'empty body' : whyNotJson(headers['content-type']);
  if (notJson !== undefined) return { status, headers, json: undefined, notJson };
  try {
    return { status, headers, json: parseStrictJson(bytes) };
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    return { status, headers, json: undefined, notJson: error.message };
  }
}

/** RFC 8259 §11 and RFC 6839 §3.1. Parameters mean nothing, except a charset that is not UTF-8. */
function whyNotJson(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return 'no media type';
  const [mediaType = '', ...parameters] = contentType.toLowerCase().split(';');
  const type = /^[\w!#$&^.+-]{1,80}\/[\w!#$&^.+-]{1,80}$/.exec(mediaType.trim())?.[0];
  if (type === undefined) return 'unreadable media type';
  if (type !== 'application/json' && !/^application\/.+\+json$/.test(type)) {
    return `media type ${type}`;
  }
  return parameters.every(isUtf8OrNoCharset) ? undefined : 'charset other than utf-8';
}

function isUtf8OrNoCharset(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=', 2);
  return name.trim() !== 'charset' || /^(?:utf-?8|"utf-?8")$/.test(value.trim());
}

export function lowerCaseNames(
  entries: Iterable<readonly [string, string]>,
): Readonly<Record<string, string>> {
  const headers = Object.create(null) as Record<string, string>; // a header may be named `__proto__`
  for (const [name, value] of entries) headers[name.toLowerCase()] = value;
  return Object.freeze(headers);
}
