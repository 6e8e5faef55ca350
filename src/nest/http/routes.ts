import { RequestMethod } from '@nestjs/common';

/** Where Nest notes the paths of a controller and of a route handler; part of no public interface. */
const PATH = 'path';

export function isRoute(handler: object): boolean {
  return Reflect.hasMetadata(PATH, handler);
}

/**
 * Whether this route serves that URL path. The beginning of the URL path may come from elsewhere: a
 * global prefix, versioning, or a proxy that takes it off.
 */
export function servesPath(controller: object, handler: object, urlPath: string): boolean {
  const wanted = `/${comparablePath(urlPath)}`;
  return pathsOf(controller).some((prefix) =>
    pathsOf(handler).some((path) => {
      const route = comparablePath(`${prefix}/${path}`);
      return route === '' ? wanted === '/' : wanted.endsWith(`/${route}`);
    }),
  );
}

/** Whether it is a GET that looks like an event stream: by Nest's mark, or by the habit of its path. */
export function isEventStream(handler: object): boolean {
  if (Reflect.getMetadata('__sse__', handler) === true) return true;
  const isGet = Reflect.getMetadata('method', handler) === RequestMethod.GET;
  return isGet && pathsOf(handler).some((path) => path.toLowerCase().includes('sse'));
}

/** The URL paths of a route that have no parameters. */
export function fixedPathsOf(controller: object, handler: object, prefix: string): string[] {
  return pathsOf(controller)
    .flatMap((first) => pathsOf(handler).map((path) => `${prefix}/${first}/${path}`))
    .map((path) => `/${path.split('/').filter(Boolean).join('/')}`)
    .filter((path) => !path.includes(':') && !isPattern(path));
}

/** Whether this route serves paths below that URL path, under the same liberties. */
export function servesBelow(controller: object, handler: object, urlPath: string): boolean {
  const wanted = `/${comparablePath(urlPath)}`;
  return pathsOf(controller).some((prefix) =>
    pathsOf(handler).some((path) => {
      const segments = comparablePath(`${prefix}/${path}`).split('/');
      return segments
        .slice(0, -1)
        .some((_, index) => wanted.endsWith(`/${segments.slice(0, index + 1).join('/')}`));
    }),
  );
}

/**
 * Whether this route may serve that URL path, or paths below it, whatever its parameters are called and stand for. Under
 * the same liberties, and `true` for patterns, of which nobody can tell.
 */
export function mayServe(controller: object, handler: object, urlPath: string): boolean {
  const wanted = comparablePath(urlPath).split('/');
  return pathsOf(controller).some((prefix) =>
    pathsOf(handler).some((path) => {
      const segments = comparablePath(`${prefix}/${path}`).split('/');
      return isPattern(path) || isPattern(prefix) || mayBeBelow(segments, wanted);
    }),
  );
}

/** Whether it begins with the end of the other one, in more than what a parameter stands for, or with all of it. */
function mayBeBelow(segments: readonly string[], wanted: readonly string[]): boolean {
  return segments.some((_, index) => {
    const first = segments.slice(0, index + 1);
    const last = wanted.slice(-first.length);
    const isOneOf = (one: string, at: number) =>
      one === first[at] || (!isAny(one) && isAny(first[at]));
    const isAlike = last.every((one, at) => isOneOf(one, at) || isAny(one));
    const isCertain = last.length === wanted.length || last.some(isOneOf);
    return last.length === first.length && isAlike && isCertain;
  });
}

function isAny(segment = ''): boolean {
  return segment.startsWith(':');
}

function isPattern(path: string): boolean {
  return /[*{}()]/.test(path);
}

/**
 * One spelling for all paths that a router may take for the same route: routers differ in whether they
 * ignore case and extra slashes, and in what they decode. To take too many requests for MCP requests is
 * harmless; one that is missed would go unchecked.
 */
export function comparablePath(url: string): string {
  const path = url.replace(/^[a-z]+:\/\/[^/]*/i, '').split(/[?#;]/, 1)[0] ?? '';
  const segments = decoded(path).toLowerCase().split(/[/\\]/);
  return segments.filter((segment) => segment !== '' && segment !== '.').join('/');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // routers refuse it
  }
}

function pathsOf(target: object): string[] {
  const path: unknown = Reflect.getMetadata(PATH, target);
  if (Array.isArray(path)) return path.map(String);
  return [typeof path === 'string' ? path : ''];
}
