import { randomBytes } from 'node:crypto';
import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import { normalised } from '../../../core/mcp/uri-table.js';

interface Named {
  /** `undefined`: a task. */
  readonly kind?: OperationKind;
  readonly name: string;
}

/**
 * Noncharacters of Unicode (U+FDD0 to U+FDE9), one for each of the letters a to z: no server has such a
 * name, and no text that is interchanged has such a character.
 */
const FIRST_NONCHARACTER = 0xfdd0;
const FIRST_LETTER = 'a'.charCodeAt(0);
/**
 * As it is, or as JSON, a URL (also one inside of a URL) and HTML may escape it; bounded, since a client
 * may have its text echoed.
 */
const NONCHARACTER =
  /[\ufdd0-\ufde9]|\\{1,8}u(fd[de][\da-f])|%(?:25){0,4}EF%(?:25){0,4}B7%(?:25){0,4}([9a][\da-f])|&#(?:x(fd[de][\da-f])|(6497[6-9]|649[89]\d|6500[01]));/gi;
/** What may be exchanged in a URI; percent-escapes have letters that may not. */
const LETTERS_OR_ESCAPE = /%[\da-fA-F]{2}|[a-z]+/g;
/** From either end of a URI: each is looked up. */
const MAX_PARTS = 3;

/**
 * Stand-ins for names that are hidden from a caller.
 *
 * The server is asked for the stand-in, which nobody has registered, and says in its own words that
 * there is no such thing; in its answer the stand-in is replaced by the name again. So a hidden tool
 * cannot run, and whatever the host is, its answer is the one for an unknown tool, to the byte.
 *
 * A stand-in carries its name, because answers may be replayed later on another connection. It is the
 * name itself with one letter exchanged: as long as the name, and what a host does to the rest (quote it
 * shortened, or escaped) it does to the name. A server that serves any URI of that form serves it, as it
 * would serve another one that differs in a letter.
 *
 * Of a URI the letter is one that its template has fixed, so that it is not hidden itself. Where there is
 * none, and in names without a small letter, the stand-in is a URI with another scheme.
 */
export class HiddenNames {
  /** Never sent to a client, so that no client can write a stand-in of its own. */
  readonly #prefix = randomBytes(16).toString('hex');
  readonly #standIns = new RegExp(`([Zz])${this.#prefix}(:|%3A)([\\w-]*)~`, 'g');

  /** The best first; only few, however long the name is. */
  *standInsFor(named: Named): Generator<string> {
    if (named.kind === 'resource') yield* this.#respelt(named.name);
    yield this.standInFor(named);
  }

  /** One that no template of a server matches. */
  standInFor({ kind, name }: Named): string {
    const at = kind === 'resource' ? -1 : lastLetterOf(name);
    return at === -1 ? this.#schemeFor(name) : withNoncharacter(name, at);
  }

  *#respelt(uri: string): Generator<string> {
    const shown = this.restore(normalised(uri));
    for (const at of exchangeableIn(uri)) {
      const standIn = withNoncharacter(uri, at);
      // Not in a scheme, and not in a domain: there it would be no URL any more.
      if (this.restore(normalised(standIn)) === shown && isUrl(standIn) === isUrl(uri))
        yield standIn;
    }
  }

  /**
   * Also a URI that every server can parse. Its scheme has a capital, which normalisation makes small:
   * this tells whether the server shows the URI as sent or normalised.
   */
  #schemeFor(name: string): string {
    return `Z${this.#prefix}:${Buffer.from(name, 'utf16le').toString('base64url')}~`;
  }

  /** Puts the names back into a text; as JSON writes them if it is JSON. */
  restore(text: string): string {
    const restored = text.replace(NONCHARACTER, (found, ...escapes: (string | undefined)[]) =>
      letterOf(found, escapes),
    );
    if (!restored.includes(this.#prefix)) return restored;
    const quote = isJsonText(text) ? inJson : (name: string) => name;
    return restored.replace(
      this.#standIns,
      (_, capital: string, colon: string, encoded: string) => {
        const name = Buffer.from(encoded, 'base64url').toString('utf16le'); // keeps lone surrogates
        const shown = capital === 'Z' ? name : normalised(name);
        return quote(colon === ':' ? shown : inUrl(shown));
      },
    );
  }
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function inJson(name: string): string {
  return JSON.stringify(name).slice(1, -1);
}

/** A lone surrogate cannot be escaped, by a host neither. */
function inUrl(name: string): string {
  return encodeURIComponent(Buffer.from(name).toString());
}

/** Ends and beginnings of its outermost words, from the last one on. */
function exchangeableIn(uri: string): number[] {
  const words = [...uri.matchAll(LETTERS_OR_ESCAPE)].filter(([text]) => !text.startsWith('%'));
  const outermost = new Set([...words.slice(-MAX_PARTS), ...words.slice(0, MAX_PARTS)]);
  const positions = [...outermost].flatMap(({ 0: word, index }) => [
    index,
    index + word.length - 1,
  ]);
  return [...new Set(positions)].sort((one, other) => other - one);
}

function isUrl(text: string): boolean {
  return URL.canParse(text);
}

/** A small one, which a host that ignores case leaves as it is. */
function lastLetterOf(name: string): number {
  for (let at = name.length - 1; at >= 0; at--) {
    const letter = name.charAt(at);
    if (letter >= 'a' && letter <= 'z') return at;
  }
  return -1;
}

function withNoncharacter(name: string, at: number): string {
  const code = name.charCodeAt(at) - FIRST_LETTER + FIRST_NONCHARACTER;
  return name.slice(0, at) + String.fromCharCode(code) + name.slice(at + 1);
}

function letterOf(found: string, escapes: readonly (string | undefined)[]): string {
  const letter = codeOf(found, escapes) - FIRST_NONCHARACTER;
  return letter >= 0 && letter < 26 ? String.fromCharCode(FIRST_LETTER + letter) : found;
}

function codeOf(found: string, [json, lastByte, hex, decimal]: readonly (string | undefined)[]) {
  if (lastByte !== undefined) return 0xfd40 + Number.parseInt(lastByte, 16); // UTF-8: EF B7 90 is U+FDD0
  if (decimal !== undefined) return Number(decimal);
  const digits = json ?? hex;
  return digits === undefined ? found.charCodeAt(0) : Number.parseInt(digits, 16);
}
