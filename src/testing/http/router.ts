import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

import type { EndpointName, Faults } from './faults.js';
import { OAuthProblem, problemReply } from './oauth-problem.js';
import { send, text, type Reply } from './reply.js';
import { endpointRequest, type EndpointRequest, type Handler } from './request.js';

export interface Route {
  readonly endpoint: EndpointName;
  /** By method; HEAD is answered by GET. */
  readonly methods: ReadonlyMap<string, Handler>;
  /** Readable by a web page of any origin, as browser-based MCP clients need it. */
  readonly crossOrigin: boolean;
}

/** How many requests each endpoint has seen, preflights apart. */
export type RequestCounts = Readonly<Record<EndpointName, number>>;

export class RequestCounter {
  private counts = zeroes();

  add(endpoint: EndpointName): void {
    this.counts[endpoint] += 1;
  }

  reset(): void {
    this.counts = zeroes();
  }

  snapshot(): RequestCounts {
    return { ...this.counts };
  }
}

/** Answers by path first and then method; nothing that a client sends makes it throw. */
export function router(
  routeOf: (path: string) => Route | undefined,
  counter: RequestCounter,
  faults: Faults,
): RequestListener {
  async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = endpointRequest(message);
    const route = routeOf(request.path);
    if (route === undefined) return send(response, text(404, 'not found'));
    if (route.crossOrigin) allowAnyOrigin(response);
    if (route.crossOrigin && message.method === 'OPTIONS') return send(response, preflight(route));
    const handler = route.methods.get(message.method === 'HEAD' ? 'GET' : (message.method ?? ''));
    if (handler === undefined) {
      return send(response, text(405, 'method not allowed', { Allow: methodsOf(route) }));
    }
    counter.add(route.endpoint);
    await faults.respond(route.endpoint, response, () => run(handler, request));
  }

  return (message, response) => {
    // What fails here is the connection or the sending itself, so there is nobody left to tell.
    answer(message, response).catch(() => response.destroy());
  };
}

async function run(handler: Handler, request: EndpointRequest): Promise<Reply> {
  try {
    return await handler(request);
  } catch (error) {
    return problemReply(error instanceof OAuthProblem ? error : new OAuthProblem('server_error'));
  }
}

function allowAnyOrigin(response: ServerResponse): void {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Expose-Headers', 'WWW-Authenticate, DPoP-Nonce');
}

function preflight(route: Route): Reply {
  return {
    status: 204,
    headers: {
      'Access-Control-Allow-Methods': methodsOf(route),
      'Access-Control-Allow-Headers': 'Authorization, Content-Type, DPoP, MCP-Protocol-Version',
    },
  };
}

function methodsOf(route: Route): string {
  return [...route.methods.keys()].join(', ');
}

function zeroes(): Record<EndpointName, number> {
  return {
    metadata: 0,
    jwks: 0,
    'jwks-moved': 0,
    token: 0,
    register: 0,
    authorize: 0,
    revoke: 0,
    introspect: 0,
    connect: 0,
  };
}
