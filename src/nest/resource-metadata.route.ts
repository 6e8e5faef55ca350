import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthplaneResource } from '../core/resource.js';
import { resourceMetadataPath, ROOT_METADATA_PATH } from '../core/resource-metadata.js';

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, OPTIONS',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Max-Age': '86400',
};

/**
 * Serves the protected resource metadata (RFC 9728 §3) at the path-aware URL and at the root one.
 *
 * It compares the request target with two fixed paths in front of all routes, so a global prefix,
 * versioning, global guards and wildcard routes cannot move, hide or protect it.
 */
export function resourceMetadataRoute(resource: AuthplaneResource) {
  const paths = new Set([resourceMetadataPath(resource.resource), ROOT_METADATA_PATH]);
  const document = Buffer.from(JSON.stringify(resource.metadata()));
  return (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const path = request.url?.split('?', 1)[0] ?? '';
    if (!paths.has(path)) next();
    else if (request.method === 'OPTIONS') response.writeHead(204, CORS).end();
    else if (request.method === 'GET' || request.method === 'HEAD')
      sendDocument(response, document);
    else response.writeHead(405, { ...CORS, Allow: 'GET, HEAD, OPTIONS' }).end();
  };
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
