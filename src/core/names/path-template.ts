/** Values of the parameters of a path, by their names. */
export type PathParams = Readonly<Record<string, string>>;

/** A path that begins as the template says. */
export interface PathMatch {
  /** As far as the template goes, byte for byte as it was sent. */
  readonly path: string;
  readonly params: PathParams;
  /** Whether there is more behind it. */
  readonly isBelow: boolean;
}

export const NO_PARAMS: PathParams = Object.freeze({});

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,31}$/;
/** Without escapes, and whatever else one parser reads otherwise than the next. */
const VALUE = /^[A-Za-z0-9._~-]{1,128}$/;
/** Of the path patterns of routers: what is more than a name behind a colon. */
const PATTERN = /[*{}()?+[\]\\!]/;

/**
 * A path with parameters, such as `/mcp/:profile`, matched on the path as it was sent: a value stands for
 * itself only, so that no two spellings are one resource, and no resource has two spellings.
 */
export class PathTemplate {
  readonly #segments: readonly string[];
  /** Everything that it matches begins with this. */
  readonly prefix: string;

  /** @param text with a parameter, and checked by {@link pathTemplateProblem}. */
  constructor(readonly text: string) {
    this.#segments = text.split('/');
    const first = this.#segments.findIndex(isParameter);
    this.prefix = `${this.#segments.slice(0, first).join('/')}/`;
  }

  /** The template itself, or what is below it; a trailing slash alone is neither. */
  match(path: string): PathMatch | undefined {
    const given = path.split('/', this.#segments.length);
    if (given.length < this.#segments.length) return undefined;
    const own = given.join('/');
    const params = path === `${own}/` ? undefined : this.#paramsOf(given);
    return params && { path: own, params, isBelow: path.length > own.length };
  }

  #paramsOf(given: readonly string[]): PathParams | undefined {
    const entries: [name: string, value: string][] = [];
    for (const [index, segment] of this.#segments.entries()) {
      const value = given[index] ?? '';
      if (!isParameter(segment)) {
        if (segment !== value) return undefined;
        continue;
      }
      if (!isValue(value)) return undefined;
      entries.push([segment.slice(1), value]);
    }
    return Object.freeze(Object.fromEntries(entries));
  }

  /** With the same value for each parameter, for what is to be said of all of them. */
  filledWith(value: string): string {
    return this.#segments.map((one) => (isParameter(one) ? value : one)).join('/');
  }
}

export function hasParameters(path: string): boolean {
  return path.split('/').some(isParameter);
}

/** What is wrong with the parameters of a path, or nothing. */
export function pathTemplateProblem(path: string): string | undefined {
  const segments = path.split('/');
  const names = segments.filter(isParameter).map(nameIn);
  const pattern = segments.find((segment) => PATTERN.test(segment));
  if (pattern !== undefined) {
    return `"${pattern}" is a pattern, and only whole segments such as ":name" can vary`;
  }
  const misnamed = names.find((name) => !NAME.test(name));
  if (misnamed !== undefined) {
    return `":${misnamed}": a parameter is named by 1 to 32 letters, digits and "_", a letter first`;
  }
  if (new Set(names).size < names.length) return 'two parameters have the same name';
  return names.length > 0 && path.endsWith('/') ? 'must not end with "/"' : undefined;
}

function isParameter(segment: string): boolean {
  return segment.startsWith(':');
}

function nameIn(parameter: string): string {
  return parameter.slice(1);
}

function isValue(text: string): boolean {
  return VALUE.test(text) && text !== '.' && text !== '..';
}
