/** In UTF-16 units. Requests that name a longer one are refused. */
export const MAX_URI_LENGTH = 8192;

/** How a server compares what it has registered with the URI that it is asked for. */
interface Notation {
  /** Every text that may stand for this URI, the registered or the requested one. */
  spellings(uri: string): string[];
  /** The texts between the wildcards of a template; a single one: nothing in it varies. */
  literals(template: string): string[];
}

/**
 * Finds every entry that a server may use to serve a resource URI; rather too many than too few. Also
 * those that only the percent-decoded URI names: servers hand decoded variables to their handlers.
 */
export class UriTable<Entry> {
  readonly #entries: readonly Entry[];
  readonly #indexes: readonly UriIndex<Entry>[];

  /**
   * @param entries by URI, or by URI template (RFC 6570).
   * @param loose compares as MCP-Nest does, too: without scheme and query, in any case, with or without
   * a final slash, and with the wildcards of `path-to-regexp`.
   */
  constructor(entries: readonly (readonly [uri: string, entry: Entry])[], loose: boolean) {
    this.#entries = entries.map(([, entry]) => entry);
    const notations = loose ? [RFC_6570, PATH_TO_REGEXP] : [RFC_6570];
    this.#indexes = notations.map((notation) => new UriIndex(notation, entries));
  }

  /** All entries for a URI that is too long to be looked up. */
  find(uri: string): Entry[] {
    if (uri.length > MAX_URI_LENGTH) return [...this.#entries];
    return [...new Set(this.#indexes.flatMap((index) => index.find(uri)))];
  }
}

/** The entries as one notation reads them. */
class UriIndex<Entry> {
  readonly #notation: Notation;
  readonly #exact = new Map<string, Entry[]>();
  readonly #templates: { readonly literals: readonly string[]; readonly entry: Entry }[] = [];

  constructor(notation: Notation, entries: readonly (readonly [uri: string, entry: Entry])[]) {
    this.#notation = notation;
    for (const [uri, entry] of entries) this.#add(uri, entry);
  }

  find(uri: string): Entry[] {
    const spellings = this.#notation.spellings(uri);
    const exact = spellings.flatMap((spelling) => this.#exact.get(spelling) ?? []);
    const expanded = this.#templates.filter(({ literals }) =>
      spellings.some((spelling) => isExpansion(spelling, literals)),
    );
    return [...exact, ...expanded.map(({ entry }) => entry)];
  }

  #add(uri: string, entry: Entry): void {
    const literals = this.#notation.literals(uri);
    const isTemplate = literals.length > 1;
    const texts = isTemplate ? [uri] : [uri, ...literals];
    for (const spelling of unique(texts.flatMap((text) => this.#notation.spellings(text)))) {
      const known = this.#exact.get(spelling);
      if (known === undefined) this.#exact.set(spelling, [entry]);
      else known.push(entry); // an upstream of the gateway may list one many times
    }
    if (!isTemplate) return;
    this.#templates.push({ literals, entry });
    if (literals.some((literal) => literal.includes('%'))) {
      this.#templates.push({ literals: literals.map(decoded), entry });
    }
  }
}

/** Both MCP SDKs, which look up the normalised URI. */
const RFC_6570: Notation = {
  spellings: (uri) => unique(withNormalised(uri).flatMap(withDecoded)),
  literals: (template) => literalsOf(template, /\{[^{}]*\}|(?<doubt>[{}])/g),
};

/** Every text that a server may read in a URI. */
export function spellingsOf(uri: string): readonly string[] {
  return RFC_6570.spellings(uri);
}

/** MCP-Nest, which looks up the URI as sent. Upper case: a RegExp that ignores case compares so. */
const PATH_TO_REGEXP: Notation = {
  spellings: (uri) =>
    unique(
      withNormalised(uri)
        .map(withoutScheme)
        .flatMap((path) => [path, path.split('?', 1)[0] ?? '']) // dropped for templates only
        .flatMap((path) => [path, withoutFinalSlashes(path)])
        .flatMap(withDecoded)
        .map((path) => path.toUpperCase()),
    ),
  literals: (template) => {
    const path = withoutFinalSlashes(withoutScheme(template).replace(/\{\?[^}]*\}/g, ''));
    return literalsOf(path, PATH_WILDCARDS).map((literal) => literal.toUpperCase());
  },
};

/** The name of a parameter takes in all that follows and could belong to it, also after a brace. */
const PATH_WILDCARDS =
  /(?:\{[^{}\\"]*\}|[:*](?!"))[$\u200c\u200d\p{ID_Continue}]*|(?<doubt>[{}\\]|[:*]")/gu;

/**
 * The texts between the wildcards of a template. Where it cannot be read for certain (nested or lone
 * braces, quoted names, escapes), all that follows is one wildcard.
 */
function literalsOf(template: string, wildcards: RegExp): string[] {
  const literals: string[] = [];
  let from = 0;
  for (const { 0: wildcard, index, groups } of template.matchAll(wildcards)) {
    literals.push(template.slice(from, index));
    if (groups?.['doubt'] !== undefined) return [...literals, ''];
    from = index + wildcard.length;
  }
  return [...literals, template.slice(from)];
}

function withNormalised(uri: string): string[] {
  return [uri, normalised(uri)];
}

/** As the WHATWG URL standard writes it; what is no URL stays as it is. */
export function normalised(uri: string): string {
  return URL.canParse(uri) ? new URL(uri).href : uri;
}

function withDecoded(text: string): string[] {
  return text.includes('%') ? [text, decoded(text)] : [text];
}

/** What is no UTF-8 becomes U+FFFD, on both sides of a comparison. */
export function decoded(text: string): string {
  return text.replace(/(?:%[\da-f]{2})+/gi, (escapes) =>
    Buffer.from(escapes.replaceAll('%', ''), 'hex').toString(),
  );
}

export function withoutScheme(uri: string): string {
  return uri.split('://', 2)[1] ?? uri;
}

/** By hand: a RegExp for this takes quadratic time on a run of slashes. */
function withoutFinalSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === '/') end--;
  return text.slice(0, end);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/**
 * Whether the text is made of these literals, in order, with anything between them: more than any
 * expansion rule gives, in linear time.
 */
export function isExpansion(text: string, literals: readonly string[]): boolean {
  const [first = '', ...middle] = literals;
  const last = middle.pop() ?? '';
  if (!text.startsWith(first)) return false;
  let position = first.length;
  for (const literal of middle) {
    const at = text.indexOf(literal, position);
    if (at === -1) return false;
    position = at + literal.length;
  }
  return text.length - last.length >= position && text.endsWith(last);
}
