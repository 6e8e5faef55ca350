import { format, inspect } from 'node:util';

/** A piece this long of a secret is a leak. */
const PIECE = 16;

/** What is a secret wherever it comes from. The group is what has to stay unseen. */
const PATTERNS: Readonly<Record<string, RegExp>> = {
  'a compact JWS': /\b(eyJ[\w-]+\.[\w-]+\.[\w-]{40,})/g,
  'a private JWK': /\bd\\?["']?\s*:\s*\\?["']([\w-]{20,})/g,
  'a private key': /(-----BEGIN [A-Z ]*PRIVATE KEY-----)/g,
};

export interface WatchOptions {
  /** How far apart the known pieces of a secret begin: a leak may be that much longer. Default 1. */
  readonly stride?: number;
}

/** Texts that were printed, and the secrets that must not be in them. */
export class Watch {
  readonly #stride: number;
  readonly #secrets = new Map<string, string>();
  /** By place, line by line: most lines of the prints of errors are alike. */
  readonly #printed = new Map<string, Set<string>>();

  constructor({ stride = 1 }: WatchOptions = {}) {
    this.#stride = stride;
  }

  secret(name: string, value: string): void {
    if (value.length >= PIECE) this.#secrets.set(value, name);
  }

  /** Of a JWT claims and signature; headers are alike for all tokens of a server. */
  jwt(name: string, token: string): void {
    const [, claims = '', signature = ''] = token.split('.');
    this.secret(`${name} (claims)`, claims);
    this.secret(`${name} (signature)`, signature);
  }

  printed(where: string, ...values: readonly unknown[]): void {
    const lines = this.#printed.get(where) ?? new Set();
    this.#printed.set(where, lines);
    for (const line of values.flatMap((value) => textOf(value).split('\n'))) lines.add(line);
  }

  where(): string[] {
    return [...this.#printed.keys()];
  }

  text(): string {
    return [...this.#printed.values()].flatMap((lines) => [...lines]).join('\n');
  }

  /** Which secret is to be seen where. */
  leaks(): string[] {
    const pieces = this.#pieces();
    const searched = new Map<string, readonly string[]>();
    const found = new Set<string>();
    for (const [where, lines] of this.#printed) {
      for (const line of lines) {
        const names = searched.get(line) ?? [...secretsIn(line, pieces)];
        searched.set(line, names);
        for (const name of names) found.add(`${name} in ${where}`);
      }
    }
    return [...found];
  }

  /** Of the texts only: a secret stays one. */
  forgetPrinted(): void {
    this.#printed.clear();
  }

  #pieces(): Map<string, string> {
    const pieces = new Map<string, string>();
    for (const [value, name] of this.#secrets) {
      for (const text of new Set(spellings(value))) {
        const last = text.length - PIECE;
        for (let at = 0; at < last; at += this.#stride) {
          pieces.set(text.slice(at, at + PIECE), name);
        }
        pieces.set(text.slice(last), name);
      }
    }
    return pieces;
  }
}

function* secretsIn(line: string, pieces: ReadonlyMap<string, string>): Iterable<string> {
  for (let at = 0; at + PIECE <= line.length; at++) {
    const name = pieces.get(line.slice(at, at + PIECE));
    if (name !== undefined) yield name;
  }
  for (const [name, pattern] of Object.entries(PATTERNS)) {
    for (const [, secret = ''] of line.matchAll(pattern)) yield `${name} ${beginning(secret)}`;
  }
}

/** As much of a secret as a report may show. */
export function beginning(secret: string): string {
  return `"${secret.slice(0, 4)}…"`;
}

/** As a careless program, an encoder or a dump writes it. */
function spellings(value: string): string[] {
  const bytes = Buffer.from(value);
  return [
    value,
    encodeURIComponent(value),
    new URLSearchParams([['', value]]).toString().slice(1),
    JSON.stringify(value).slice(1, -1),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    bytes.toString('hex').replace(/(..)(?=.)/g, '$1 '), // <Buffer 73 65 …>
  ];
}

/** Everything a logger, a debugger or a serializer may make of a value. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const inspected = inspect(value, {
    depth: Infinity,
    showHidden: true,
    maxArrayLength: null,
    maxStringLength: null,
  });
  return [
    inspected,
    ...errorTexts(value),
    json(value),
    format('%s %o %O', value, value, value),
  ].join('\n');
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return ''; // circular, so no log line either
  }
}

/** Message, stack, own members and all of that for the causes. */
function errorTexts(value: unknown): string[] {
  if (!(value instanceof Error)) return [];
  const members = Object.getOwnPropertyNames(value).map((name) => {
    const member: unknown = Reflect.get(value, name);
    return member instanceof Error ? '' : inspect(member, { depth: Infinity, showHidden: true });
  });
  const text = [String(value), value.message, value.stack ?? '', ...members];
  return [...text, ...errorTexts(value.cause)];
}
