import { node } from '../platform/node.js';
import { isScopeToken } from './scopes.js';

/** Says what is wrong with a value that is present, or nothing. */
export type Check = (value: unknown, devMode: boolean) => string | undefined;

/** Every problem, each with the option's name in front. An unknown option is one. */
export function problemsOf(
  options: object | undefined,
  checks: Readonly<Record<string, Check>>,
  devMode: boolean,
): string[] {
  if (typeof options !== 'object' || options === null) return ['the options must be an object'];
  const problems = Object.entries(options).flatMap(([name, value]) => {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) return [unknownOption(name, Object.keys(checks))];
    if (value === undefined) return [];
    const problem = check(value, devMode);
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
  const issuerMissing =
    'issuer' in checks && !('issuer' in options && options.issuer !== undefined);
  return issuerMissing ? [`issuer: ${ISSUER_REQUIRED}`, ...problems] : problems;
}

/** Names the variable, because whoever starts with an empty environment has written no option. */
const ISSUER_REQUIRED = 'is required; authplaneOptionsFromEnv() takes it from AUTHPLANE_ISSUER';

/** Names of an option elsewhere: in the core, in former releases, in other libraries, in specifications. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  allowedorigins: 'pageOrigins',
  auth: 'asCredentials',
  ascredentials: 'auth',
  clientauthentication: 'asCredentials',
  credentials: 'asCredentials',
  issuerurl: 'issuer',
};

/** A misspelt option would otherwise be a protection that silently is not there. */
function unknownOption(name: string, known: readonly string[]): string {
  const plain = (text: string) => text.replaceAll('_', '').toLowerCase();
  const other = Object.hasOwn(OTHER_NAMES, plain(name)) ? OTHER_NAMES[plain(name)] : undefined;
  const meant = known.find((option) => plain(option) === plain(name) || option === other);
  return meant === undefined
    ? `${name}: unknown option`
    : `${name}: unknown option; did you mean ${meant}?`;
}

export function issuerProblem(value: unknown, devMode: boolean): string | undefined {
  if (value === '') return ISSUER_REQUIRED;
  const problem = urlProblem(value, devMode);
  if (problem !== undefined) return problem;
  return String(value).includes('?') ? 'must have no query (RFC 8414 §2)' : undefined;
}

/** The resource goes into documents that clients normalise, so it has to be normal already. */
export function publicUrlProblem(value: unknown, devMode: boolean): string | undefined {
  const problem = urlProblem(value, devMode);
  if (problem !== undefined) return problem;
  const { href } = new URL(String(value));
  return href === value || href === `${String(value)}/`
    ? undefined
    : `"${String(value)}" is written "${href}" by clients; configure and register exactly that`;
}

/** Of a document that somebody hosts; clients fetch it as it is written. */
export function documentUrlProblem(value: unknown, devMode: boolean): string | undefined {
  return urlProblem(value, devMode);
}

export function baseUrlProblem(value: unknown, devMode: boolean): string | undefined {
  const problem = publicUrlProblem(value, devMode);
  if (problem !== undefined) return problem;
  return String(value).includes('?') ? 'must have no query' : undefined;
}

function urlProblem(value: unknown, devMode: boolean): string | undefined {
  if (typeof value !== 'string' || value === '') return 'must be an absolute URL';
  if (/[^\x21-\x7e]/.test(value)) return 'must be printable ASCII without blanks';
  if (!URL.canParse(value) || !/^https?:\/\//i.test(value)) {
    return `must be an absolute https URL, got ${shown(value)}`;
  }
  const url = new URL(value);
  if (url.username !== '' || url.password !== '') return 'must not contain user name or password';
  if (value.includes('#')) return 'must have no fragment';
  if (url.protocol === 'http:' && !devMode) {
    return (
      `must use https, got ${shown(value)}; for local development set devMode: true ` +
      `(AUTHPLANE_DEV_MODE=true for authplaneOptionsFromEnv())`
    );
  }
  return undefined;
}

/** A mistyped URL in a message. In front of an "@" may stand a password, wherever a typing error put it. */
function shown(value: string): string {
  if (value.includes('@')) return 'a text with "@", which is not repeated here';
  return `"${value.replace(/[?#][^]*$/, '').slice(0, 200)}"`;
}

export function seconds(min: number, max: number): Check {
  return (value) =>
    typeof value === 'number' && value >= min && value <= max
      ? undefined
      : `must be a number of seconds from ${min} to ${max}`;
}

/** A list of at most `most` pauses in milliseconds. */
export function pauses(most: number, longestMs: number): Check {
  const isPause = (pause: unknown): boolean =>
    typeof pause === 'number' && pause >= 0 && pause <= longestMs;
  return (value) =>
    Array.isArray(value) && value.length <= most && Array.from(value).every(isPause)
      ? undefined
      : `must be a list of at most ${most} pauses of 0 to ${longestMs} milliseconds`;
}

export function count(min: number, max: number): Check {
  return (value) =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max
      ? undefined
      : `must be a whole number from ${min} to ${max}`;
}

export function oneOf(...allowed: readonly string[]): Check {
  return (value) =>
    allowed.includes(value as string)
      ? undefined
      : `must be one of ${allowed.map((name) => `'${name}'`).join(', ')}`;
}

export function booleanProblem(value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : 'must be true or false';
}

export function textProblem(value: unknown): string | undefined {
  return typeof value === 'string' ? undefined : 'must be a string';
}

export function textListProblem(value: unknown): string | undefined {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
    ? undefined
    : 'must be a list of strings';
}

export function functionProblem(value: unknown): string | undefined {
  return typeof value === 'function' ? undefined : 'must be a function';
}

export function scopeListProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'must be a list of scope strings';
  return firstProblem(
    value,
    isScopeToken,
    (bad) =>
      `${node.util.inspect(bad)} is not a scope: printable ASCII without blank, quote and backslash (RFC 6749 §3.3)`,
  );
}

export function algorithmsProblem(supported: readonly string[]): Check {
  return (value) => {
    if (!Array.isArray(value) || value.length === 0) {
      return 'must be a list with at least one entry';
    }
    const isSupported = (alg: unknown): boolean => supported.includes(alg as string);
    return firstProblem(
      value,
      isSupported,
      (bad) => `${node.util.inspect(bad)} is not allowed; choose from ${supported.join(', ')}`,
    );
  };
}

export function pathProblem(value: unknown): string | undefined {
  return typeof value === 'string' && /^\/[^?#\s]*$/.test(value)
    ? undefined
    : 'must be a path that starts with "/", without query and fragment';
}

/** A parameter of a router would be taken literally, in the audience of tokens too. */
export function mcpPathProblem(value: unknown): string | undefined {
  const problem = pathProblem(value);
  if (problem !== undefined) return problem;
  const segments = String(value).split('/');
  const parameter = segments.find((segment) => segment.startsWith(':') || /[*{}]/.test(segment));
  return parameter === undefined
    ? undefined
    : `"${parameter}" would be part of the resource as it is written, not a parameter: name the path of ` +
        'one resource here; AuthplaneModule takes parameters, together with isResource';
}

/** Options inside an option. */
export function nested(checks: Readonly<Record<string, Check>>): Check {
  return (value, devMode) =>
    isTable(value)
      ? problemsOf(value, checks, devMode).join('; ') || undefined
      : 'must be an object';
}

/** Options inside an option that may also be just on or off. */
export function switchOr(checks: Readonly<Record<string, Check>>): Check {
  return (value, devMode) => {
    if (typeof value === 'boolean') return undefined;
    return isTable(value) ? nested(checks)(value, devMode) : 'must be true, false or an object';
  };
}

/** A value, or `false` for none. */
export function orFalse(check: Check): Check {
  return (value, devMode) => (value === false ? undefined : check(value, devMode));
}

/** Names with values. In a list, a `Map`, bytes or a promise no option would ever be found. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === '[object Object]';
}

/** A table whose values all have to pass. */
export function mapOf(check: Check): Check {
  return (value, devMode) => {
    if (!isTable(value)) return 'must be a table';
    const problems = Object.entries(value).flatMap(([name, entry]) => {
      const problem = check(entry, devMode);
      return problem === undefined ? [] : [`${node.util.inspect(name)}: ${problem}`];
    });
    return problems.join('; ') || undefined;
  };
}

/** Origins as browsers write them (RFC 6454 §6.2): nothing else would ever be equal to one. */
export const originListProblem = originListCheck(isOrigin, 'an origin');

/** Origins of web pages: of the other schemes no page can be opened from everywhere. */
export const webOriginListProblem = originListCheck(
  (text) => isOrigin(text) && /^https?:/.test(text),
  'an http or https origin',
);

function originListCheck(isGood: (text: string) => boolean, what: string): Check {
  return (value) => {
    if (!Array.isArray(value)) return 'must be a list of origins';
    return firstProblem(
      value,
      (origin) => typeof origin === 'string' && isGood(origin),
      (bad) =>
        `${shownOrigin(bad)} is not ${what}: scheme, host and port only, such as https://app.example.com`,
    );
  };
}

function shownOrigin(value: unknown): string {
  return typeof value === 'string' && value.includes('@') ? shown(value) : node.util.inspect(value);
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).host !== '' && originOf(new URL(text)) === text;
}

/** Also for schemes that the URL standard gives no origin, such as those of browser extensions. */
function originOf({ protocol, host, origin }: URL): string {
  return origin === 'null' ? `${protocol}//${host}` : origin;
}

export function hierarchyProblem(value: unknown): string | undefined {
  if (typeof value === 'function') return undefined;
  if (!isTable(value)) return 'must be a table or a function';
  const bad = Object.entries(value).find(([, implied]) => scopeListProblem(implied) !== undefined);
  return bad === undefined ? undefined : `"${bad[0]}": ${scopeListProblem(bad[1])}`;
}

/** What is wrong with the first entry that is not good; it may be `undefined`, or a hole. */
export function firstProblem(
  list: readonly unknown[],
  isGood: (entry: unknown) => boolean,
  inWords: (bad: unknown, at: number) => string,
): string | undefined {
  const at = list.findIndex((entry) => !isGood(entry));
  return at === -1 ? undefined : inWords(list[at], at);
}
