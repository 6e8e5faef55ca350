import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';
import { seededRandom } from '../text/seeded-random.js';

/** What a host offers: names that nobody may use who has no scope, and such that everybody may. */
export interface Targets {
  readonly tools: readonly string[];
  readonly prompts: readonly string[];
  readonly uris: readonly string[];
  /** Of the endpoint first, then of other guarded routes. */
  readonly paths: readonly string[];
  /** Needs nothing. */
  readonly open: string;
}

export interface HostileMessage {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** JSON with what `JSON.stringify` cannot say: members twice, in any order, and text that is no JSON. */
type Json = string | number | boolean | null | readonly Json[] | Members | Verbatim;
class Members {
  constructor(readonly pairs: readonly (readonly [string, Json])[]) {}
}
class Verbatim {
  constructor(readonly text: string) {}
}

const CONTENT_TYPES = [
  ...['application/json; charset=utf-8', 'application/json; charset=utf-7', 'text/plain'],
  ...['application/json;charset=utf-16le', 'application/json; charset=latin1', 'text/json'],
  ...['application/jsonx', 'text/plain; a=application/json', 'application/vnd.api+json', ''],
  ...['APPLICATION/JSON', 'application/json, text/plain', 'application/x-www-form-urlencoded'],
  ...['multipart/form-data; boundary=x', 'application/json; charset="utf-8"; charset=utf-7', '*/*'],
];
const ACCEPTS = ['application/json, text/event-stream', 'application/json', '*/*', 'text/html', ''];
const HTTP_METHODS = ['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'QUERY'];
const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28', 'x'];
const OTHER_METHODS = [
  ...['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'ping'],
  ...['tasks/list', 'tasks/get', 'tasks/result', 'tasks/cancel', 'vendor/run', 'server/discover'],
  ...['initialize', 'notifications/initialized', 'notifications/cancelled', 'logging/setLevel'],
  ...['tools/Call', 'tools/call ', ' tools/call', 'tools//call', 'constructor', '__proto__', ''],
];
const META = 'io.modelcontextprotocol';
const QUICKLY = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

/** The same messages for the same seed. */
export class HostileMessages {
  readonly #random: () => number;
  readonly #targets: Targets;

  constructor(targets: Targets, seed: number) {
    this.#targets = targets;
    this.#random = seededRandom(seed);
  }

  /** @param session an id that the caller may use. */
  next(session?: string): HostileMessage {
    const name = this.#pick([...this.#targets.tools, ...this.#targets.uris]);
    const content = this.#body();
    const [body, headers] = this.#encoded(content);
    const method = this.#chance(0.88) ? 'POST' : this.#pick(HTTP_METHODS);
    const revision = this.#pick(REVISIONS);
    const all: Record<string, string | undefined> = {
      'content-type': this.#chance(0.75) ? 'application/json' : this.#pick(CONTENT_TYPES),
      accept: this.#chance(0.85) ? ACCEPTS[0] : this.#pick(ACCEPTS),
      'mcp-protocol-version': this.#chance(0.4) ? revision : undefined,
      'mcp-method': this.#chance(0.2) ? this.#method() : undefined,
      'mcp-name': this.#chance(0.2) ? this.#headerText(name) : undefined,
      'mcp-session-id': this.#session(session),
      'last-event-id': this.#chance(0.05) ? this.#pick(['1', 'x_1', '']) : undefined,
      'x-http-method-override': this.#chance(0.05) ? this.#pick(['POST', 'GET']) : undefined,
      'x-original-url': this.#chance(0.02) ? '/open' : undefined,
      ...headers,
    };
    const given = Object.entries(all).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    return { method, path: this.#path(), headers: Object.fromEntries(given), body };
  }

  #body(): string {
    if (this.#chance(0.02)) return this.#pick(['', '{', 'null', '[]', '{}', '"x"', '[[]]', 'NaN']);
    const message = this.#message();
    const json = this.#chance(0.12)
      ? Array.from({ length: 1 + this.#below(4) }, () => this.#message())
      : message;
    const wrapped: Json = this.#chance(0.95)
      ? json
      : this.#pick<Json>([
          [json],
          members({ body: json }),
          members({ 0: json, length: 1 }),
          members({ message: json }),
          [[], json, null],
        ]);
    const text = this.#text(wrapped);
    if (this.#chance(0.95)) return text;
    return this.#pick([`\ufeff${text}`, ` ${text}\n`, `${text}\n${text}`, `${text},`, `x${text}`]);
  }

  #message(): Json {
    const method = this.#method();
    const pairs: [string, Json][] = [];
    if (this.#chance(0.93)) pairs.push(['jsonrpc', this.#chance(0.95) ? '2.0' : this.#odd()]);
    if (this.#chance(0.9)) pairs.push(['id', this.#chance(0.8) ? this.#below(1e6) : this.#odd()]);
    pairs.push(['method', this.#chance(0.97) ? method : this.#odd()]);
    pairs.push(['params', this.#chance(0.95) ? this.#params(method) : this.#oddParams(method)]);
    return this.#disturbed(pairs, ['method', 'params', 'id', 'jsonrpc']);
  }

  #params(method: string): Json {
    const pairs: [string, Json][] = [];
    if (method.startsWith('resources/')) {
      const uri = this.#uri();
      pairs.push([
        'uri',
        this.#chance(0.95) ? uri : this.#pick<Json>([[uri], [[uri]], [uri, uri]]),
      ]);
    } else if (method.startsWith('completion')) {
      pairs.push(['ref', this.#ref()], ['argument', members({ name: 'day', value: 'p' })]);
    } else if (method.startsWith('subscriptions')) {
      const uris = [this.#uri(), this.#uri()];
      pairs.push(['notifications', members({ resourceSubscriptions: uris })]);
    } else if (method.startsWith('tasks')) pairs.push(['taskId', this.#pick(['1', 'x', ''])]);
    else if (method === 'initialize') {
      pairs.push(['protocolVersion', this.#pick(REVISIONS)], ['capabilities', members({})]);
      pairs.push(['clientInfo', members({ name: 'x', version: '1' })]);
    } else {
      const isPrompt = method.startsWith('prompts');
      pairs.push(['name', this.#name(isPrompt)]);
      const x = isPrompt ? 'x' : this.#odd(); // arguments of prompts are texts
      if (this.#chance(0.7)) pairs.push(['arguments', members({ x })]);
    }
    if (this.#chance(0.3)) pairs.push(['_meta', this.#meta()]);
    if (this.#chance(0.06)) pairs.push(['task', members({ ttl: 1000 })]);
    return this.#disturbed(pairs, ['name', 'uri', 'ref', 'arguments']);
  }

  #oddParams(method: string): Json {
    const params = this.#params(method);
    return this.#pick<Json>([[params], [this.#name()], null, members({ params }), this.#name(), 1]);
  }

  /** Members twice, moved into a prototype, or under another spelling. */
  #disturbed(pairs: readonly [string, Json][], keys: readonly string[]): Json {
    let all: [string, Json][] = [...pairs];
    const key = this.#pick(keys);
    const value = all.find(([name]) => name === key)?.[1] ?? this.#name();
    if (this.#chance(0.05)) all.unshift([key, this.#decoy(key)]);
    if (this.#chance(0.05)) all.push([key, this.#decoy(key)]);
    if (this.#chance(0.02)) all.push(['__proto__', members({ [key]: value })]);
    if (this.#chance(0.02)) {
      all = all.filter(([name]) => name !== key);
      const hiding = this.#pick(['__proto__', 'constructor', 'prototype', key.toUpperCase()]);
      all.push([hiding, members({ [key]: value, prototype: members({ [key]: value }) })]);
    }
    if (this.#chance(0.02)) all.push([`${key}\0`, value], [` ${key}`, value]);
    if (this.#chance(0.05)) all.reverse();
    return new Members(all);
  }

  #decoy(key: string): Json {
    const { open } = this.#targets;
    if (key === 'method') return this.#pick(['ping', 'tools/list', 'tools/call']);
    if (key === 'params') return members({ name: this.#chance(0.5) ? open : this.#name() });
    return this.#chance(0.5) ? open : this.#odd();
  }

  #ref(): Json {
    return this.#pick<Json>([
      members({ type: 'ref/prompt', name: this.#pick(this.#targets.prompts) }),
      members({ type: 'ref/resource', uri: this.#uri() }),
      members({ type: 'ref/prompt', name: this.#targets.open, uri: this.#uri() }),
    ]);
  }

  #meta(): Json {
    return members({
      [`${META}/protocolVersion`]: this.#pick(REVISIONS),
      [`${META}/clientInfo`]: members({ name: 'x', version: '1' }),
      [`${META}/clientCapabilities`]: members({}),
      progressToken: this.#odd(),
    });
  }

  #method(): string {
    return this.#chance(0.12)
      ? this.#pick(OTHER_METHODS)
      : this.#pick([
          ...['tools/call', 'tools/call', 'tools/call', 'prompts/get', 'resources/read'],
          ...['resources/read', 'resources/subscribe', 'resources/unsubscribe'],
          ...['completion/complete', 'subscriptions/listen'],
        ]);
  }

  #name(isPrompt = false): Json {
    const { tools, prompts } = this.#targets;
    const name = this.#pick(this.#chance(0.9) && isPrompt ? prompts : tools);
    if (this.#chance(0.8)) return name;
    return this.#pick<Json>([
      ...[` ${name}`, `${name} `, name.toUpperCase(), `${name}\0`, `tools/${name}`, [name]],
      ...[members({ toString: name }), `${name.slice(0, -1)}\u200b${name.slice(-1)}`],
      ...['constructor', '__proto__', 'toString', this.#targets.open],
    ]);
  }

  #uri(): string {
    const uri = this.#pick(this.#targets.uris);
    if (this.#chance(0.5)) return uri;
    const respelt = [...uri]
      .map((char) =>
        this.#chance(0.06)
          ? `%${Buffer.from(char).toString('hex').slice(0, 2)}`
          : this.#chance(0.05)
            ? char.toUpperCase()
            : this.#chance(0.02)
              ? `${char}${this.#pick(['\n', '\t', '/', './', '\0', '{?', '%', '\\'])}`
              : char,
      )
      .join('');
    const scheme = this.#chance(0.1) ? 'zz' : respelt.split('://', 1)[0];
    const rest = respelt.slice(respelt.indexOf('://'));
    const end = this.#chance(0.2) ? this.#pick(['/', '?x=1', '#x', ' ', '//', '{?a}']) : '';
    return `${this.#chance(0.05) ? ' ' : ''}${scheme}${rest}${end}`;
  }

  #odd(): Json {
    return this.#pick<Json>([
      ...[null, true, 0, -1, 1.5, '', 'x', [], ['x'], members({}), members({ x: 1 })],
      ...[new Verbatim('1e999'), new Verbatim('123456789012345678901234567890'), '\ud800', '2.0'],
    ]);
  }

  /** JSON text, with escapes where none are needed. */
  #text(value: Json): string {
    if (value instanceof Verbatim) return value.text;
    if (typeof value === 'string') return this.#string(value);
    if (value instanceof Members) {
      const pairs = value.pairs.map(([key, one]) => `${this.#string(key)}:${this.#text(one)}`);
      return `{${pairs.join(this.#chance(0.05) ? ' ,\n' : ',')}}`;
    }
    if (Array.isArray(value)) return `[${value.map((one: Json) => this.#text(one)).join(',')}]`;
    return JSON.stringify(value);
  }

  #string(text: string): string {
    if (this.#chance(0.93)) return JSON.stringify(text);
    const escaped = Array.from(text, (char) => {
      if (char.length > 1 || this.#chance(0.7)) return JSON.stringify(char).slice(1, -1);
      return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
    return `"${escaped.join('')}"`;
  }

  #encoded(text: string): [Buffer, Record<string, string>] {
    const bytes = this.#chance(0.97)
      ? Buffer.from(text)
      : Buffer.from(text, this.#pick(['utf16le', 'latin1'] as const));
    if (this.#chance(0.9)) return [bytes, {}];
    const encode = this.#pick<() => [Buffer, Record<string, string>]>([
      () => [gzipSync(bytes), { 'content-encoding': 'gzip' }],
      () => [deflateSync(bytes), { 'content-encoding': 'deflate' }],
      () => [brotliCompressSync(bytes, QUICKLY), { 'content-encoding': 'br' }],
      () => [gzipSync(gzipSync(bytes)), { 'content-encoding': 'gzip, gzip' }],
      () => [bytes, { 'content-encoding': 'gzip' }],
      () => [gzipSync(bytes), {}],
      () => [bytes, { 'content-encoding': 'identity' }],
      () => [bytes, { 'transfer-encoding': 'chunked' }],
    ]);
    return encode();
  }

  #path(): string {
    const [endpoint = '/'] = this.#targets.paths;
    if (this.#chance(0.8)) return endpoint;
    if (this.#chance(0.5)) return this.#pick(this.#targets.paths);
    return this.#pick([
      ...[`${endpoint}/`, endpoint.toUpperCase(), `${endpoint}?x=1`, `${endpoint}/x`, '//mcp'],
      ...[`${endpoint}/.`, `${endpoint}%2f`, '/%6dcp', `${endpoint};x`, `/x/..${endpoint}`],
    ]);
  }

  #session(own: string | undefined): string | undefined {
    if (own !== undefined && this.#chance(0.85)) return own;
    return this.#chance(0.1) ? this.#pick(['', 'x', crypto.randomUUID()]) : undefined;
  }

  #headerText(name: string): string {
    const text = this.#pick([name, this.#targets.open, ` ${name}`]);
    return this.#chance(0.3) ? `=?base64?${Buffer.from(text).toString('base64')}?=` : text;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }
}

function members(record: Readonly<Record<string, Json>>): Members {
  return new Members(Object.entries(record));
}

export interface Answer {
  readonly status: number;
  readonly sessionId: string | undefined;
  readonly text: string;
}

/** An event stream that stays open is left after this time: whatever should run has run. */
const STREAM_MS = 100;
const HANG_MS = 60_000;

/** Over a real socket. Rejects when no answer comes. */
export async function send(
  origin: string,
  agent: Agent,
  { method, path, headers, body }: HostileMessage,
  mayRetry = true,
): Promise<Answer> {
  try {
    return await sendOnce(origin, agent, { method, path, headers, body });
  } catch (error) {
    // A server that refuses early may close a connection that was about to be used again.
    const { code } = error as NodeJS.ErrnoException;
    if (!mayRetry || (code !== 'ECONNRESET' && code !== 'EPIPE')) throw error;
    return send(origin, agent, { method, path, headers, body }, false);
  }
}

function sendOnce(
  origin: string,
  agent: Agent,
  { method, path, headers, body }: HostileMessage,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin);
    const isChunked = headers['transfer-encoding'] !== undefined;
    const request = httpRequest({
      ...{ hostname, port, method, path, agent },
      headers: { ...headers, ...(isChunked ? {} : { 'content-length': String(body.length) }) },
    });
    const hang = setTimeout(() => request.destroy(new Error('no answer')), HANG_MS);
    request.on('error', reject).on('close', () => clearTimeout(hang));
    request.on('response', (response) => void answerOf(response).then(resolve, reject));
    request.end(body);
  });
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  const isStream = response.headers['content-type']?.includes('text/event-stream') === true;
  const leave = isStream ? setTimeout(() => response.destroy(), STREAM_MS) : undefined;
  let text = '';
  try {
    for await (const chunk of response) text += String(chunk);
  } catch (error) {
    if (leave === undefined) throw error;
  } finally {
    clearTimeout(leave);
  }
  const id = response.headers['mcp-session-id'];
  return {
    status: response.statusCode ?? 0,
    sessionId: typeof id === 'string' ? id : undefined,
    text,
  };
}
