import { format, inspect } from 'node:util';

/** A piece this long of a secret is a leak. */
const PIECE = 16;

/** Every piece has one of these in it that begins at a multiple of its length. */
const BLOCK = 8;

/** What is a secret wherever it comes from. The group is what has to stay unseen. */
const PATTERNS: Readonly<Record<string, RegExp>> = {
  'a compact JWS': /\b(eyJ[\w-]+\.[\w-]+\.[\w-]{40,})/g,
  'a private JWK': /\bd\\?["']?\s*:\s*\\?["']([\w-]{20,})/g,
  'a private key': /(-----BEGIN [A-Z ]*PRIVATE KEY-----)/g,
};

/** Where a block stands: in a spelling of a secret. */
interface Place {
  readonly name: string;
  readonly text: string;
  readonly at: number;
}

/** Texts that were printed, and the secrets that must not be in them. */
export class Watch {
  readonly #secrets = new Map<string, string>();
  readonly #blocks = new Map<string, Place[]>();
  /** Secrets whose blocks are there. */
  readonly #spelled = new Set<string>();
  /** By place, line by line: most lines of the prints of errors are alike. */
  readonly #printed = new Map<string, Set<string>>();

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
    this.#spell();
    const searched = new Map<string, readonly string[]>();
    const found = new Set<string>();
    for (const [where, lines] of this.#printed) {
      for (const line of lines) {
        const names = searched.get(line) ?? [...secretsIn(line, this.#blocks)];
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

  #spell(): void {
    for (const [value, name] of this.#secrets) {
      if (this.#spelled.has(value)) continue;
      this.#spelled.add(value);
      for (const text of new Set(spellings(value))) this.#addBlocks(name, text);
    }
  }

  #addBlocks(name: string, text: string): void {
    for (let at = 0; at + BLOCK <= text.length; at += BLOCK) {
      const block = text.slice(at, at + BLOCK);
      const places = this.#blocks.get(block);
      if (places === undefined) this.#blocks.set(block, [{ name, text, at }]);
      else places.push({ name, text, at });
    }
  }
}

function* secretsIn(line: string, blocks: ReadonlyMap<string, readonly Place[]>): Iterable<string> {
  for (let at = 0; blocks.size > 0 && at + BLOCK <= line.length; at++) {
    const places = blocks.get(line.slice(at, at + BLOCK));
    const leaked = places?.findLast((place) => sharedLength(line, at, place) >= PIECE);
    if (leaked !== undefined) yield leaked.name;
  }
  for (const [name, pattern] of Object.entries(PATTERNS)) {
    for (const [, secret = ''] of line.matchAll(pattern)) yield `${name} ${beginning(secret)}`;
  }
}

/** How much of the secret stands in the line, where one of its blocks does. */
function sharedLength(line: string, inLine: number, { text, at }: Place): number {
  let [before, after] = [0, BLOCK];
  while (before < at && before < inLine && text[at - before - 1] === line[inLine - before - 1]) {
    before++;
  }
  while (at + after < text.length && text[at + after] === line[inLine + after]) after++;
  return before + after;
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
