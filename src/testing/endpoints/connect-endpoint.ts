import { DEFAULT_USER } from './authorize-endpoint.js';
import type { Consents } from '../records/consents.js';
import { PATHS } from '../http/paths.js';
import { connectPage, errorPage } from '../http/html-pages.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import type { Reply } from '../http/reply.js';
import { parameter, readForm, type EndpointRequest, type Handler } from '../http/request.js';
import type { Resource, Resources } from '../records/resources.js';

export interface ConnectEndpointOptions {
  readonly issuer: string;
  readonly resources: Resources;
  readonly consents: Consents;
  readonly returnUrls: readonly string[];
}

interface Connection {
  readonly resource: Resource;
  readonly returnUrl: string;
}

/** Where a pattern may have any port and any path. */
const LOOPBACK_PATTERNS = ['localhost', '127.0.0.1'].flatMap((host) => [
  `http://${host}:*`,
  `https://${host}:*`,
]);

/**
 * `/connect/<provider>`: the user connects an account, so that a broker resource has a token to give.
 * GET asks, POST carries the answer. Either way the user is sent back, with nothing added.
 */
export function connectEndpoint(options: ConnectEndpointOptions): {
  readonly get: Handler;
  readonly post: Handler;
} {
  return {
    get: (request) => respond(options, request, (connection) => ask(connection)),
    post: async (request) => {
      const form = await readForm(request);
      return respond(options, request, (connection) => decide(options, form, connection));
    },
  };
}

function respond(
  options: ConnectEndpointOptions,
  request: EndpointRequest,
  reply: (connection: Connection) => Reply,
): Reply {
  const connection = connectionOf(options, request);
  return typeof connection === 'string' ? errorPage(connection) : reply(connection);
}

/** What is to be connected, or why that is impossible. */
function connectionOf(
  { issuer, resources, returnUrls }: ConnectEndpointOptions,
  { path, query }: EndpointRequest,
): Connection | string {
  const provider = providerOf(path);
  const resource = resourceOf(resources, provider, parameter(query, 'resource'));
  if (resource === undefined || resource.broker.provider !== provider) {
    return 'There is no such resource at this provider.';
  }
  const home = issuer + PATHS.connections;
  const returnUrl = parameter(query, 'return_url') ?? home;
  const allowed = [home, ...returnUrls].some((pattern) => isAllowed(pattern, returnUrl));
  return allowed ? { resource, returnUrl } : 'The return_url is not one that is allowed.';
}

function providerOf(path: string): string {
  const segment = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function resourceOf(
  resources: Resources,
  provider: string,
  name: string | undefined,
): Resource | undefined {
  if (name === undefined) return resources.onlyOneOf(provider);
  try {
    return resources.named(name);
  } catch (error) {
    if (!(error instanceof OAuthProblem)) throw error;
    return undefined;
  }
}

/** Character by character, so that nothing a URL parser forgives can get a user elsewhere. */
function isAllowed(pattern: string, returnUrl: string): boolean {
  if (pattern === returnUrl) return true;
  if (!LOOPBACK_PATTERNS.includes(pattern)) return false;
  const origin = pattern.slice(0, -1);
  return returnUrl.startsWith(origin) && /^\d+(\/.*)?$/.test(returnUrl.slice(origin.length));
}

function ask({ resource, returnUrl }: Connection): Reply {
  const { slug, broker } = resource;
  return connectPage({ provider: broker.provider, resource: slug, returnUrl, user: DEFAULT_USER });
}

function decide(
  { consents }: ConnectEndpointOptions,
  form: URLSearchParams,
  connection: Connection,
): Reply {
  const approved = parameter(form, 'decision') === 'approve';
  const user = parameter(form, 'user')?.trim();
  if (approved && !user) return ask(connection);
  if (approved) consents.set(connection.resource.uri, user, 'given');
  const headers = { Location: connection.returnUrl, 'Cache-Control': 'no-store' };
  return { status: 303, headers };
}
