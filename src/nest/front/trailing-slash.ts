/**
 * Says once why clients with `/mcp/` find nothing where `/mcp` is served: Fastify tells the two apart,
 * Express does not, and no guard ever sees the request.
 *
 * @returns to be called with the target of each request that no route serves.
 */
export function watchTrailingSlash(
  resources: readonly string[],
  warn: (message: string) => void,
): (target: string) => void {
  const paths = resources.map((uri) => [withSlash(new URL(uri).pathname), uri] as const);
  let isSaid = false;
  return (target) => {
    const found = isSaid ? undefined : paths.find(([path]) => isEndOf(path, target));
    if (found === undefined) return;
    isSaid = true;
    warn(
      `404 for the path of ${found[1]} with a slash behind it: clients have the wrong URL, or pass ` +
        'routerOptions: { ignoreTrailingSlash: true } to FastifyAdapter',
    );
  };
}

/** A proxy can take the beginning of a path off. */
function isEndOf(path: string, target: string): boolean {
  const [asked = ''] = target.split('?', 1);
  return asked.length > 1 && asked.endsWith('/') && path.endsWith(asked);
}

function withSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}
