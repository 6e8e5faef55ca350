/** Finds every entry that a server may use to serve a resource URI; rather too many than too few. */
export class UriTable<Entry> {
  readonly #exact = new Map<string, Entry[]>();
  readonly #templates: { readonly literals: readonly string[]; readonly entry: Entry }[] = [];
  readonly #loose: boolean;

  /**
   * @param entries by URI, or by URI template (RFC 6570).
   * @param loose compares as MCP-Nest does: without scheme and query, in any case, with or without a
   * final slash, and with the wildcards of `path-to-regexp`.
   */
  constructor(entries: readonly (readonly [uri: string, entry: Entry])[], loose: boolean) {
    this.#loose = loose;
    for (const [uri, entry] of entries) this.#add(uri, entry);
  }

  find(uri: string): Entry[] {
    const spellings = this.#spellings(uri);
    const found = new Set(spellings.flatMap((spelling) => this.#exact.get(spelling) ?? []));
    for (const { literals, entry } of this.#templates) {
      if (spellings.some((spelling) => isExpansion(spelling, literals))) found.add(entry);
    }
    return [...found];
  }

  #add(uri: string, entry: Entry): void {
    const wildcards = this.#loose ? PATH_TO_REGEXP_WILDCARDS : EXPRESSIONS;
    for (const spelling of this.#spellings(uri)) {
      this.#exact.set(spelling, [...(this.#exact.get(spelling) ?? []), entry]);
    }
    const literals = (this.#loose ? withoutFinalSlashes(looseSpelling(uri)) : uri).split(wildcards);
    if (literals.length > 1) this.#templates.push({ literals, entry });
  }

  /** SDK servers look up the normalised URI, MCP-Nest the URI as sent. */
  #spellings(uri: string): string[] {
    const spellings = URL.canParse(uri) ? [uri, new URL(uri).href] : [uri];
    return [...new Set(this.#loose ? spellings.flatMap(looseSpellings) : spellings)];
  }
}

const EXPRESSIONS = /\{[^{}]*\}/;
/** The name of a parameter takes in all that follows and could belong to it, also after a brace. */
const PATH_TO_REGEXP_WILDCARDS = /(?:\{[^{}]*\}|[:*])[$\u200c\u200d\p{ID_Continue}]*|[{}]|\\./u;

/** MCP-Nest drops the query for templates and keeps it for other resources; final slashes are optional. */
function looseSpellings(uri: string): string[] {
  const spelling = looseSpelling(uri);
  const spellings = [spelling, spelling.split('?', 1)[0] ?? ''];
  return [...spellings, ...spellings.map(withoutFinalSlashes)];
}

/** Upper case, because a case-insensitive RegExp compares that way. */
function looseSpelling(uri: string): string {
  const afterScheme = uri.includes('://') ? (uri.split('://')[1] ?? '') : uri;
  return afterScheme.replace(/\{\?[^}]*\}/g, '').toUpperCase();
}

/** By hand: a RegExp for this takes quadratic time on a run of slashes. */
function withoutFinalSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === '/') end--;
  return text.slice(0, end);
}

/**
 * Whether the text is made of these literals, in order, with anything between them: more than any
 * expansion rule gives, in linear time.
 */
function isExpansion(text: string, literals: readonly string[]): boolean {
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
