import { decoded, normalised, withoutScheme } from './uri-table.js';

/** A URI as a server reads it that has registered a template. */
export interface UriReading {
  /** The template with these variables in it, normalised and percent-decoded. */
  readonly uri: string;
  /** Percent-decoded, by name. */
  readonly variables: Readonly<Record<string, string>>;
}

interface Variable {
  readonly name: string;
  /** Texts that do not begin anywhere in a value. */
  readonly stops: readonly string[];
  /** Parts between commas, none of them empty. */
  readonly isList?: boolean;
}

/** What stands between the variables, and before and after them: one literal more than variables. */
interface Pattern {
  readonly literals: readonly string[];
  readonly variables: readonly Variable[];
  /** Whether a variable may stand for nothing. */
  readonly takesEmpty?: boolean;
}

/**
 * Reads the variables of one template (or URI) out of URIs, as the servers do whose handlers get them.
 * Several servers, several readings: both MCP SDKs match the normalised URI, MCP-Nest matches the URI as
 * sent, without its scheme and in any case.
 */
export class UriReader {
  /** Whether it is certain what the template means. */
  readonly isCertain: boolean;
  /** The template itself, as it is listed. */
  readonly #own: UriReading;
  readonly #ofSdk: Pattern | undefined;
  readonly #loosened: Pattern | undefined;
  readonly #ofMcpNest: PathTemplate | undefined;

  /** @param loose reads as MCP-Nest does, too. */
  constructor(
    readonly template: string,
    loose: boolean,
  ) {
    this.#own = { uri: canonical(template), variables: {} };
    this.#ofSdk = sdkPattern(template);
    this.#loosened = loosenedPattern(template);
    this.#ofMcpNest = loose ? new PathTemplate(template) : undefined;
    this.isCertain = this.#ofSdk !== undefined && this.#ofMcpNest?.isCertain !== false;
  }

  /** Every reading of a URI that was found for this template; none: no server reads it so. */
  read(uri: string): UriReading[] {
    if (this.#isFixed) return [this.#own];
    const readings = [
      ...this.#readBy(this.#ofSdk, normalised(uri)),
      ...(this.#ofMcpNest?.read(uri) ?? []),
    ];
    if (readings.length > 0) return distinct(readings);
    const loosened = this.#readBy(this.#loosened, canonical(uri));
    return loosened.length === 0 && uri === this.template ? [this.#own] : loosened;
  }

  get #isFixed(): boolean {
    return this.#ofSdk?.variables.length === 0 && this.#ofMcpNest?.isFixed !== false;
  }

  #readBy(pattern: Pattern | undefined, text: string): UriReading[] {
    const values = pattern && capture(pattern, text);
    if (pattern === undefined || values === undefined) return [];
    return [{ uri: canonical(text), variables: named(pattern.variables, values) }];
  }
}

/** A template as MCP-Nest gives it to `path-to-regexp`. */
class PathTemplate {
  readonly isCertain: boolean;
  readonly #scheme: string;
  readonly #query: readonly string[];
  readonly #pattern: Pattern | undefined;

  constructor(template: string) {
    const path = withoutScheme(template);
    const converted = path
      .replace(/\{\?[^}]*\}/g, '')
      .replace(/\{(\w+)\*\}/g, '*$1')
      .replace(/\{(\w+)\}/g, ':$1');
    const isInvalid = !/[\\"]/.test(converted) && /[()[\]+?!]/.test(converted);
    this.isCertain = isInvalid || !/[{}\\]|[:*]"/.test(converted);
    this.#pattern = this.isCertain && !isInvalid ? pathPattern(converted) : undefined;
    this.#scheme = path === template ? '' : `${template.split('://', 1).join('')}://`;
    this.#query = (/\{\?([^}]*)\}/.exec(template)?.[1] ?? '').split(',').map((one) => one.trim());
  }

  get isFixed(): boolean {
    return this.#pattern?.variables.length === 0 && this.#query.every((name) => name === '');
  }

  /** The query is no part of the path where it is one of the template. */
  read(uri: string): UriReading[] {
    const pattern = this.#pattern;
    if (pattern === undefined) return [];
    const path = withoutScheme(uri);
    const [withoutQuery = ''] = path.split('?', 1);
    const hasQuery = this.#query.some((name) => name !== '');
    return (hasQuery ? [withoutQuery] : [path, withoutQuery])
      .flatMap((text) => (text.endsWith('/') ? [text, text.slice(0, -1)] : [text]))
      .flatMap((text) => this.#reading(pattern, text, this.#queryOf(uri)));
  }

  #reading(pattern: Pattern, text: string, query: readonly [string, string][]): UriReading[] {
    const values = capture(folded(pattern), foldedText(text), text);
    if (values === undefined) return [];
    const path = pattern.literals.map((literal, at) => literal + (values[at] ?? '')).join('');
    const asked = query.map(([name, value]) => `${name}=${value}`).join('&');
    return [
      {
        uri: canonical(this.#scheme + path + (asked && `?${asked}`)),
        variables: { ...named(pattern.variables, values), ...Object.fromEntries(query) },
      },
    ];
  }

  /** Of the names in the template; the last one of several counts. */
  #queryOf(uri: string): [string, string][] {
    const start = uri.indexOf('?');
    if (start === -1) return [];
    const given = new Map(
      uri
        .slice(start + 1)
        .split('&')
        .map((pair) => pair.split('='))
        .map(([name = '', value = '']) => [decoded(name), decoded(value)]),
    );
    return this.#query.flatMap((name) => {
      const value = name === '' ? undefined : given.get(name);
      return value === undefined ? [] : [[name, value] as [string, string]];
    });
  }
}

/** Form in which URIs can be compared: normalised (WHATWG URL), then percent-decoded once. */
export function canonical(uri: string): string {
  return decoded(normalised(uri));
}

/** As `UriTemplate` of both SDKs; `undefined` for what they read otherwise than RFC 6570. */
function sdkPattern(template: string): Pattern | undefined {
  return patternOf(template, (expression) => {
    const { operator, names } = partsOf(expression);
    const [name] = names;
    if (name === undefined) return undefined;
    if (operator === '?' || operator === '&') {
      return names.map((one, index) => ({
        prefix: `${index === 0 ? operator : '&'}${one}=`,
        variable: { name: one, stops: ['&'] },
      }));
    }
    const prefix = operator === '.' || operator === '/' ? operator : '';
    const isReserved = operator === '+' || operator === '#';
    const isExploded = expression.includes('*') && operator !== '.';
    if (isReserved) return [{ prefix, variable: { name, stops: [] } }];
    if (isExploded) return [{ prefix, variable: { name, stops: ['/', ',,'], isList: true } }];
    return [{ prefix, variable: { name, stops: ['/', ','] } }];
  });
}

/** For what no matcher takes: any text for each expression. */
function loosenedPattern(template: string): Pattern | undefined {
  const pattern = patternOf(template, (expression) => {
    const { names } = partsOf(expression);
    return [{ prefix: '', variable: { name: names[0] ?? '', stops: [] } }];
  });
  return pattern && { ...pattern, takesEmpty: true };
}

interface Expansion {
  readonly prefix: string;
  readonly variable: Variable;
}

function patternOf(
  template: string,
  read: (expression: string) => readonly Expansion[] | undefined,
): Pattern | undefined {
  const variables: Variable[] = [];
  const literals: string[] = [];
  let literal = '';
  for (const [index, part] of template.split(/\{([^{}]*)\}/).entries()) {
    const isExpression = index % 2 === 1;
    if (!isExpression && /[{}]/.test(part)) return undefined;
    const expansions = isExpression ? read(part) : [];
    if (expansions === undefined) return undefined;
    for (const { prefix, variable } of expansions) {
      literals.push(literal + prefix);
      variables.push(variable);
      literal = '';
    }
    if (!isExpression) literal += part;
  }
  return { literals: [...literals, literal], variables };
}

function partsOf(expression: string) {
  const operator = '+#./?&'.includes(expression.charAt(0)) ? expression.charAt(0) : '';
  const names = expression
    .slice(operator.length)
    .split(',')
    .map((name) => name.replaceAll('*', '').trim())
    .filter((name) => name !== '');
  return { operator, names };
}

/** Literals and variables in turn; a sign without a name makes the path an invalid one. */
function pathPattern(path: string): Pattern | undefined {
  const parts = path.split(/([:*][$_\p{ID_Start}][$\u200c\u200d\p{ID_Continue}]*)/u);
  const literals = parts.filter((_, index) => index % 2 === 0);
  const signs = parts.filter((_, index) => index % 2 === 1);
  if (literals.some((literal) => /[:*]/.test(literal))) return undefined;
  const variables = signs.map((sign, index) => {
    if (sign.startsWith('*')) return { name: sign.slice(1), stops: [] };
    const next = literals[index + 1] ?? '';
    const stops = isWildcardAhead(literals, signs, index) && next !== '' ? ['/', next] : ['/'];
    return { name: sign.slice(1), stops };
  });
  return { literals, variables };
}

/** Before a wildcard of its segment a parameter takes as little as it can. */
function isWildcardAhead(
  literals: readonly string[],
  signs: readonly string[],
  index: number,
): boolean {
  for (let at = index + 1; at < signs.length; at++) {
    if (literals[at]?.includes('/') === true) return false;
    if (signs[at]?.startsWith('*') === true) return true;
  }
  return false;
}

/** The decoded values; of several with one name the last one counts. */
function named(variables: readonly Variable[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    variables.map(({ name }, index) => [name, decoded(values[index] ?? '')] as const),
  );
}

/**
 * The values of all variables, each as long as it can be, the first one first: what a backtracking
 * RegExp finds, in linear time.
 *
 * @param source what the values are cut out of, of the same length as the text.
 */
function capture(
  { literals, variables, takesEmpty = false }: Pattern,
  text: string,
  source = text,
): string[] | undefined {
  const [first = '', ...others] = literals;
  if (!text.startsWith(first)) return undefined;
  const least = takesEmpty ? 0 : 1;
  const ends: Int32Array[] = [];
  let fits = (position: number) => position === text.length;
  for (const [index, variable] of [...variables.entries()].reverse()) {
    const literal = others[index] ?? '';
    const isRestRead = fits;
    const end = farthestEnds(text, variable, (position) => {
      return text.startsWith(literal, position) && isRestRead(position + literal.length);
    });
    ends.unshift(end);
    fits = (position) => (end[position] ?? -1) >= position + least;
  }
  if (!fits(first.length)) return undefined;
  let position = first.length;
  return ends.map((end, index) => {
    const start = position;
    const until = end[start] ?? start;
    position = until + (others[index] ?? '').length;
    return source.slice(start, until);
  });
}

/** For each place where a value may begin, the farthest one where it may end; -1: none before it. */
function farthestEnds(
  text: string,
  { stops, isList = false }: Variable,
  isRestRead: (position: number) => boolean,
): Int32Array {
  const mayBegin = (position: number) => !isList || text[position] !== ',';
  const mayEnd = (position: number) =>
    isRestRead(position) && (!isList || text[position - 1] !== ',');
  const lasts = new Int32Array(text.length + 1);
  for (let position = 0; position <= text.length; position++) {
    lasts[position] = mayEnd(position) ? position : (lasts[position - 1] ?? -1);
  }
  const ends = new Int32Array(text.length + 1);
  let stop = text.length;
  for (let position = text.length; position >= 0; position--) {
    if (stops.some((one) => text.startsWith(one, position))) stop = position;
    ends[position] = mayBegin(position) ? (lasts[stop] ?? -1) : -1;
  }
  return ends;
}

function folded({ literals, variables }: Pattern): Pattern {
  return {
    literals: literals.map(foldedText),
    variables: variables.map(({ name, stops }) => ({ name, stops: stops.map(foldedText) })),
  };
}

/** Unit by unit, as a RegExp that ignores case; the length stays. */
function foldedText(text: string): string {
  const upper = text.toUpperCase();
  if (upper.length === text.length) return upper;
  return text.split('').map(foldedUnit).join('');
}

function foldedUnit(unit: string): string {
  const upper = unit.toUpperCase();
  return upper.length === 1 ? upper : unit;
}

function distinct(readings: readonly UriReading[]): UriReading[] {
  return [...new Map(readings.map((one) => [JSON.stringify(one), one])).values()];
}
