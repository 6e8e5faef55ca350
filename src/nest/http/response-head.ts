import { hiddenMember } from './hidden-member.js';
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** As `writeHead` takes them: an object, a flat list of names and values, or a list of pairs. */
export type GivenHeaders = OutgoingHttpHeaders | OutgoingHttpHeader[];

/** What `writeHead` was told. Its headers win over those set before. */
export interface Head {
  readonly status: number;
  readonly message: string | undefined;
  readonly headers: GivenHeaders | undefined;
}

/** Parameters of both overloads of `writeHead`: the reason may be left out. */
export type HeadArguments = [
  status: number,
  messageOrHeaders?: string | GivenHeaders | undefined,
  headers?: GivenHeaders | undefined,
];

type HeaderPairs = [name: string, value: OutgoingHttpHeader | undefined][];

export type HeadChange = (head: Head, response: ServerResponse) => Head;

const changes = hiddenMember<HeadChange[]>();

/** Told of the status and of one header, whichever way they are set, before they are sent. */
export function onResponseHead(
  response: ServerResponse,
  header: string,
  listener: (status: number, value: string | undefined) => void,
): void {
  changeResponseHead(response, (head) => {
    listener(head.status, headerOf(response, head, header));
    return head;
  });
}

/** What is sent is what the changes make of the head, in the order in which they came. */
export function changeResponseHead(response: ServerResponse, change: HeadChange): void {
  const others = changes.get(response);
  if (others !== undefined) {
    others.push(change);
    return;
  }
  const all = [change];
  changes.set(response, all);
  const send = response.writeHead.bind(response);
  const changed = (...args: HeadArguments) => {
    let head = headOf(args);
    for (const one of all) head = one(head, response);
    return sendHead(send, head);
  };
  response.writeHead = changed;
}

export function isEventStream(contentType: string): boolean {
  return /^\s*text\/event-stream\b/i.test(contentType);
}

/** Ends a stream whose server does not know, and may write on: that must not bring the process down. */
export function endStream(response: ServerResponse): void {
  response.on('error', () => undefined);
  response.end();
}

/** As Node reads them. */
export function headOf([status, messageOrHeaders, headers]: HeadArguments): Head {
  return typeof messageOrHeaders === 'string'
    ? { status: Number(status), message: messageOrHeaders, headers: headers ?? undefined }
    : {
        status: Number(status),
        message: undefined,
        headers: headers ?? messageOrHeaders ?? undefined,
      };
}

/** Without a gap where no reason is: others that listen to `writeHead` look for headers by position. */
export function sendHead(
  send: ServerResponse['writeHead'],
  { status, message, headers }: Head,
): ServerResponse {
  return message === undefined ? send(status, headers) : send(status, message, headers);
}

/** A header of the head, or as set before. */
export function headerOf(
  response: ServerResponse,
  head: Pick<Head, 'headers'>,
  name: string,
): string | undefined {
  const value = headerIn(head, name) ?? response.getHeader(name);
  return typeof value === 'object' ? value.join(', ') : value?.toString();
}

/** Names are compared in any case; frameworks write them small, which is seen at once. */
export function headerIn({ headers }: Pick<Head, 'headers'>, name: string): HeaderPairs[number][1] {
  if (headers === undefined) return undefined;
  if (!Array.isArray(headers)) return headers[name] ?? valueOf(headers, name);
  return pairsOf(headers).find(([given]) => given.toLowerCase() === name)?.[1];
}

function valueOf(headers: OutgoingHttpHeaders, name: string): HeaderPairs[number][1] {
  const found = otherSpelling(headers, name);
  return found === undefined ? undefined : headers[found];
}

/** Under which it is there, written otherwise than small. */
function otherSpelling(headers: OutgoingHttpHeaders, name: string): string | undefined {
  for (const given of Object.keys(headers)) {
    if (given.length !== name.length || given === name) continue;
    if (given.toLowerCase() === name) return given;
  }
  return undefined;
}

/** The same head with other headers, in their order and spelling. */
export function withHeaders(head: Head, change: (pairs: HeaderPairs) => HeaderPairs): Head {
  if (head.headers === undefined) return head;
  const pairs = change(pairsOf(head.headers));
  const headers = Array.isArray(head.headers) ? listOf(pairs) : Object.fromEntries(pairs);
  return { ...head, headers };
}

/** Written small and otherwise, as where headers of Fastify were copied: Node would send both. */
export function isNamedTwice({ headers }: Pick<Head, 'headers'>, name: string): boolean {
  if (headers === undefined || Array.isArray(headers) || headers[name] === undefined) return false;
  return otherSpelling(headers, name) !== undefined;
}

/** With this value of one header as Fastify writes its name, or without it. */
export function withHeader(head: Head, name: string, value: OutgoingHttpHeader | undefined): Head {
  return withHeaders(head, (pairs) =>
    pairs.flatMap(([given, was]): HeaderPairs =>
      given !== name ? [[given, was]] : value === undefined ? [] : [[given, value]],
    ),
  );
}

function pairsOf(headers: GivenHeaders): HeaderPairs {
  if (!Array.isArray(headers)) return Object.entries(headers);
  const list = Array.isArray(headers[0]) ? headers.flat() : headers;
  return list.flatMap((name, index) =>
    index % 2 === 0 ? [[String(name), list[index + 1]] satisfies HeaderPairs[number]] : [],
  );
}

function listOf(pairs: HeaderPairs): OutgoingHttpHeader[] {
  return pairs.flatMap(([name, value]) => (value === undefined ? [name] : [name, value]));
}
