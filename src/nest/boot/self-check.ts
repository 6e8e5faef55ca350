import type { Server } from 'node:http';
import type { AbstractHttpAdapter, HttpAdapterHost } from '@nestjs/core';
import { askLocally, type LocalAnswer, type LocalRequest } from '../../core/http/loopback.js';
import { toChallenge } from '../../core/challenge.js';
import { UnknownResourceError } from '../../core/errors/request-errors.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { resourceMetadataUrl } from '../../core/resource-metadata.js';

/** An operation with scopes, which nobody without a token may use. */
export interface KnownOperation {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly scopes: readonly string[];
}

/** What is asked about one resource. */
export interface CheckedResource {
  readonly resource: AuthplaneResource;
  /** `false` where the document that challenges name is not ours. */
  readonly servesMetadata: boolean;
  /** `false` where the boot has said already that the endpoint is open. */
  readonly isGuarded: boolean;
  /** `true`: what needs no scope passes without a token. */
  readonly admitsAnybody?: boolean;
  readonly operation?: KnownOperation | undefined;
  /** Paths of event streams that no guard stands on. */
  readonly streams: readonly string[];
}

type Ask = (request: Partial<LocalRequest> & { readonly path: string }) => Promise<LocalAnswer>;

/** Escaped, which no value of a parameter is. */
const NO_VALUE = '%2D';
const UNKNOWN = JSON.stringify(toChallenge(new UnknownResourceError('no such value')).body);

/** Nothing is there, it is elsewhere, or it is too busy to tell. */
const NO_ANSWER: ReadonlySet<number> = new Set([301, 302, 303, 307, 308, 404, 405, 429]);

/**
 * Asks the running application what decorators cannot show, once, when it listens: whether its MCP endpoint
 * refuses a request without a token, with a challenge of ours, and whether its metadata are there. In the
 * background: it delays nothing, and what goes wrong with it is nobody's business.
 */
export class SelfCheck {
  readonly #stop = new AbortController();

  constructor(
    private readonly resources: readonly CheckedResource[],
    /** URIs with parameters, of which no request knows which values there are. */
    private readonly templates: readonly string[],
    private readonly warn: (message: string) => void,
  ) {}

  /** Nothing happens unless the server listens; without HTTP there is none. */
  watch({ httpAdapter }: Pick<HttpAdapterHost, 'httpAdapter'>): void {
    const server = (httpAdapter as AbstractHttpAdapter | undefined)?.getHttpServer() as
      Partial<Server> | undefined;
    server?.once?.('listening', () => void this.#check(server as Server));
  }

  stop(): void {
    this.#stop.abort();
  }

  async #check(server: Server): Promise<void> {
    const address = server.address();
    if (address === null) return;
    const local = { address, isTls: 'setSecureContext' in server };
    const asking = (uri: string) => this.#askAs(new URL(uri).host, local);
    const checks = [
      ...this.resources.flatMap((one) =>
        [metadataProblem, endpointProblem, streamProblem].map(
          (check) => () => check(one, asking(one.resource.resource)),
        ),
      ),
      ...this.templates.map((uri) => () => templateProblem(uri, asking(uri))),
    ];
    for (const check of checks) await this.#report(check);
  }

  async #report(check: () => Promise<string | undefined>): Promise<void> {
    try {
      const problem = await check();
      if (problem !== undefined && !this.#stop.signal.aborted) this.warn(problem);
    } catch {
      // the application has ended, speaks another protocol, or takes too long: nothing is known
    }
  }

  #askAs(host: string, local: Parameters<typeof askLocally>[0]): Ask {
    const headers = {
      Host: host,
      Accept: 'application/json, text/event-stream',
      'User-Agent': 'authplane-nestjs self-check',
    };
    return ({ path, method = 'GET', headers: more, body }) => {
      const asked = { path, method, headers: { ...headers, ...more } };
      return askLocally(local, body === undefined ? asked : { ...asked, body }, this.#stop.signal);
    };
  }
}

async function metadataProblem(
  { resource, servesMetadata }: CheckedResource,
  ask: Ask,
): Promise<string | undefined> {
  if (!servesMetadata) return undefined;
  const path = pathOf(resource.metadataUrl);
  const { status, text } = await ask({ path });
  if (status === 200 && text === JSON.stringify(resource.metadata())) return undefined;
  return (
    `self-check: GET ${path} answers ${status}, and not the metadata of ${resource.resource}: something of the ` +
    `application stands in front, and no client finds the authorization server. Let it leave out this path, or ` +
    `serve the document there yourself and set metadataRoute: false`
  );
}

/** A value that no resource has is 404 without asking the application, in words of ours. */
async function templateProblem(uri: string, ask: Ask): Promise<string | undefined> {
  const path = pathOf(resourceMetadataUrl(uri))
    .split('/')
    .map((part) => (part.startsWith(':') ? NO_VALUE : part))
    .join('/');
  const { status, text } = await ask({ path });
  if (status === 404 && text === UNKNOWN) return undefined;
  return (
    `self-check: GET ${path} answers ${status}, and not as the metadata of ${uri} do: something of the ` +
    `application stands in front, and no client finds the authorization server. Let it leave out what begins like ` +
    `this path, or serve the documents there yourself and set metadataRoute: false`
  );
}

async function endpointProblem(
  { resource, isGuarded, operation, admitsAnybody = false }: CheckedResource,
  ask: Ask,
): Promise<string | undefined> {
  if (!isGuarded) return undefined;
  const path = pathOf(resource.resource);
  const problem = admitsAnybody
    ? undefined
    : refusalProblem(`GET ${path}`, await ask({ path }), resource);
  if (problem !== undefined || operation === undefined) return problem;
  const posted = await ask({
    path,
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: unrunnable(operation),
  });
  return (
    refusalProblem(`POST ${path}`, posted, resource) ?? bodyProblem(path, posted, operation.scopes)
  );
}

/** No server runs it: a request must not have the id `null`, nor arguments that are no object (MCP, Base). */
function unrunnable({ method, params }: KnownOperation): string {
  return JSON.stringify({ jsonrpc: '2.0', id: null, method, params: { ...params, arguments: [] } });
}

function refusalProblem(
  what: string,
  { status, headers }: LocalAnswer,
  { resource, metadataUrl }: AuthplaneResource,
): string | undefined {
  if (NO_ANSWER.has(status)) return undefined;
  const challenge = headers['www-authenticate'] ?? '';
  if (status === 401 && challenge.includes(`resource_metadata="${metadataUrl}"`)) return undefined;
  const isPage = status === 200 && headers['content-type']?.startsWith('text/html') === true;
  if (isPage) return undefined; // of an application for browsers, on every path
  return status < 500 && status !== 401 && status !== 403
    ? `self-check: ${what} without a token answers ${status}: the endpoint of ${resource} is open to anybody. ` +
        `No guard of Nest's sees what is mounted with app.use() or as a plugin: serve it from a guarded controller, or put ` +
        `AuthplaneMiddleware in front of it`
    : `self-check: ${what} without a token answers ${status} without our challenge: a filter, a guard or a ` +
        `middleware of the application answers in its place, and no client of ${resource} can sign in`;
}

/** The challenge names the scopes of the operation, unless nobody could read the body. */
function bodyProblem(
  path: string,
  { status, headers }: LocalAnswer,
  scopes: readonly string[],
): string | undefined {
  const announced =
    /\bscope="([^"]*)"/.exec(headers['www-authenticate'] ?? '')?.[1]?.split(' ') ?? [];
  if (status !== 401 || scopes.every((scope) => announced.includes(scope))) return undefined;
  return (
    `self-check: the body of POST ${path} reaches no guard, so every MCP request will be answered with 400: let ` +
    `the body parser run. For a server that reads the bytes itself, create the application with rawBody: true ` +
    `instead of bodyParser: false`
  );
}

async function streamProblem({ streams }: CheckedResource, ask: Ask): Promise<string | undefined> {
  for (const path of streams) {
    const { status, headers } = await ask({ path });
    if (status === 200 && headers['content-type']?.startsWith('text/event-stream') === true) {
      return (
        `self-check: GET ${path} opens an event stream without a token, beside a guarded MCP endpoint: set ` +
        `guard: 'global', or switch that transport off`
      );
    }
  }
  return undefined;
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return `${pathname}${search}`;
}
