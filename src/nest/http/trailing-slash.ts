import type { HttpServer } from '@nestjs/common';
import { fastifyOf } from './fastify-hooks.js';

/**
 * Says once why clients with `/mcp/` find nothing where `/mcp` is served: Fastify tells the two apart,
 * Express does not, and no guard ever sees the request.
 *
 * In front of all routes, so call it before they are made.
 */
export function watchTrailingSlash(
  adapter: HttpServer,
  resources: readonly string[],
  warn: (message: string) => void,
): void {
  const fastify = fastifyOf(adapter);
  if (fastify === undefined) return;
  const paths = resources.map((uri) => [withSlash(new URL(uri).pathname), uri] as const);
  let isSaid = false;
  fastify.addHook('onRequest', ({ url, is404 }, _reply, done) => {
    const found = is404 && !isSaid ? paths.find(([path]) => isEndOf(path, url)) : undefined;
    if (found !== undefined) {
      isSaid = true;
      warn(
        `404 for the path of ${found[1]} with a slash behind it: clients have the wrong URL, or pass ` +
          'routerOptions: { ignoreTrailingSlash: true } to FastifyAdapter',
      );
    }
    done();
  });
}

/** A proxy can take the beginning of a path off. */
function isEndOf(path: string, target: string): boolean {
  const [asked = ''] = target.split('?', 1);
  return asked.length > 1 && asked.endsWith('/') && path.endsWith(asked);
}

function withSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}
