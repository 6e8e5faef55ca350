import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthplaneResource } from '../../core/resource.js';
import { resourceMetadataPaths, ROOT_METADATA_PATH } from '../../core/resource-metadata.js';

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, OPTIONS',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Max-Age': '86400',
};

/**
 * Serves the protected resource metadata (RFC 9728 §3) of all resources at their path-aware URLs.
 *
 * It compares the request target with two fixed paths in front of all routes, so a global prefix,
 * versioning, global guards and wildcard routes cannot move, hide or protect it.
 *
 * @param atRoot whose document the root URL has, too; `undefined`: nobody's.
 */
export function resourceMetadataRoute(
  resources: readonly AuthplaneResource[],
  atRoot: AuthplaneResource | undefined,
) {
  const documents = new Map(
    resources.toReversed().flatMap((resource) => {
      const document = documentOf(resource);
      return resourceMetadataPaths(resource.resource).map((path) => [path, document] as const);
    }),
  );
  if (atRoot !== undefined) documents.set(ROOT_METADATA_PATH, documentOf(atRoot));
  return (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const path = request.url?.split('?', 1)[0] ?? '';
    const document = documents.get(path);
    if (document === undefined) next();
    else if (request.method === 'OPTIONS') response.writeHead(204, CORS).end();
    else if (request.method === 'GET' || request.method === 'HEAD')
      sendDocument(response, document);
    else response.writeHead(405, { ...CORS, Allow: 'GET, HEAD, OPTIONS' }).end();
  };
}

function documentOf(resource: AuthplaneResource): Buffer {
  return Buffer.from(JSON.stringify(resource.metadata()));
}

function sendDocument(response: ServerResponse, document: Buffer): void {
  response.writeHead(200, {
    ...CORS,
    'Content-Type': 'application/json',
    'Content-Length': document.length, // Node drops the body itself on HEAD
    'Cache-Control': 'public, max-age=300',
  });
  response.end(document);
}
