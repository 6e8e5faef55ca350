import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Challenge, toChallenge } from '../../core/challenge.js';
import { UnknownResourceError } from '../../core/errors/request-errors.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { resourceMetadataPaths, ROOT_METADATA_PATH } from '../../core/resource-metadata.js';
import type { FrameworkRequest } from '../http/request.js';

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, OPTIONS',
  'Access-Control-Allow-Headers': '*',
  'Access-Control-Max-Age': '86400',
};

/** Of the platform, which knows by which name it was asked. */
type AskedRequest = FrameworkRequest & Pick<IncomingMessage, 'method' | 'url'>;

/** Those of an entry of the configuration that stands for many resources. */
interface ManyDescribed {
  /** Whether the path is a place of theirs. */
  hasMetadataAt(path: string): boolean;
  /** @throws UnknownResourceError, CallbackError */
  describedBy(request: AskedRequest, path: string): Promise<AuthplaneResource>;
}

/** A resource of the application, or many. */
export interface DescribedResource {
  readonly resource: AuthplaneResource;
  readonly many?: ManyDescribed | undefined;
}

type Serve = (request: AskedRequest, response: ServerResponse) => void;

/** What answers a request for a document; `undefined`: it asks for none. */
export interface MetadataRoute {
  (request: AskedRequest): Serve | undefined;
  /** All that have a document; `undefined`: only requests tell. */
  readonly paths: readonly string[] | undefined;
}

/** Whether the request target can be that of a document, which is all that most requests are asked. */
export function isBelowRoot(target: string | undefined): boolean {
  return target?.startsWith(ROOT_METADATA_PATH) === true;
}

/**
 * Serves the protected resource metadata (RFC 9728 §3) of all resources at their path-aware URLs.
 *
 * It compares the request target with their paths in front of all routes, so a global prefix,
 * versioning, global guards and wildcard routes cannot move, hide or protect it.
 *
 * @param atRoot whose document the root URL has, too; `undefined`: nobody's.
 */
export function resourceMetadataRoute(
  resources: readonly DescribedResource[],
  atRoot: DescribedResource | undefined,
): MetadataRoute {
  const places = fixedPlaces(resources, atRoot);
  const families = resources.flatMap(({ many }) => many ?? []);
  const placeOf = (path: string): Serve | undefined => {
    const fixed = places.get(path);
    if (fixed !== undefined) return fixed;
    const many =
      path === ROOT_METADATA_PATH
        ? [atRoot?.many ?? []].flat()
        : families.filter((one) => one.hasMetadataAt(path));
    if (many.length === 0) return undefined;
    return (request, response) => void serveFrom(many, request, response, path);
  };
  const route = ({ url = '' }: AskedRequest): Serve | undefined => {
    const serve = isBelowRoot(url) ? placeOf(url.split('?', 1)[0] ?? '') : undefined;
    return serve && ((request, response) => answer(serve, request, response));
  };
  return Object.assign(route, { paths: families.length === 0 ? [...places.keys()] : undefined });
}

function answer(serve: Serve, request: AskedRequest, response: ServerResponse): void {
  if (request.method === 'OPTIONS') response.writeHead(204, CORS).end();
  else if (request.method === 'GET' || request.method === 'HEAD') serve(request, response);
  else response.writeHead(405, { ...CORS, Allow: 'GET, HEAD, OPTIONS' }).end();
}

/** Of resources that are known; of two in one place that of the module counts. */
function fixedPlaces(
  resources: readonly DescribedResource[],
  atRoot: DescribedResource | undefined,
): ReadonlyMap<string, Serve> {
  const known = resources.filter(({ many }) => many === undefined);
  const places = known.toReversed().flatMap((one) => {
    const serve = sending(documentOf(one.resource));
    const paths = resourceMetadataPaths(one.resource.resource);
    if (one === atRoot) paths.push(ROOT_METADATA_PATH);
    return paths.map((path) => [path, serve] as const);
  });
  return new Map(places);
}

function sending(document: Buffer): Serve {
  return (_request, response) => sendDocument(response, document);
}

async function serveFrom(
  many: readonly ManyDescribed[],
  request: AskedRequest,
  response: ServerResponse,
  path: string,
): Promise<void> {
  let refusal: unknown;
  for (const one of many) {
    try {
      return sendDocument(response, documentOf(await one.describedBy(request, path)));
    } catch (error) {
      refusal = error;
      if (!(error instanceof UnknownResourceError)) break; // nobody can tell; another one might be wrong
    }
  }
  refuse(response, toChallenge(refusal));
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

function refuse(response: ServerResponse, { status, headers, body }: Challenge): void {
  response.writeHead(status, { ...CORS, ...headers, 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}
