import { comparablePath } from './mcp-endpoint.js';

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

function pathsOf(target: object): string[] {
  const path: unknown = Reflect.getMetadata(PATH, target);
  if (Array.isArray(path)) return path.map(String);
  return [typeof path === 'string' ? path : ''];
}
