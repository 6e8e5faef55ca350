import type { IncomingMessage } from 'node:http';
import { type ExecutionContext, HttpException, Logger } from '@nestjs/common';
import { type AuthplaneError, InvalidRequestError, OperationRefusedError } from '../core/errors.js';
import { HiddenNames } from '../core/hidden-names.js';
import {
  asksForList,
  type FoundOperation,
  operationsOf,
  renameOperation,
} from '../core/json-rpc.js';
import {
  type McpOptions,
  OperationScopes,
  type OperationRequirement,
  type Refusal,
  requirementsOf,
} from '../core/operation-scopes.js';
import type { AuthplaneResource } from '../core/resource.js';
import { addScopeNeeds, NO_SCOPES, type ScopeNeeds } from '../core/scopes.js';
import { SessionOwners } from '../core/session-owners.js';
import type { VerifiedClaims } from '../core/verified-claims.js';
import { withoutHidden } from './mcp-lists.js';
import { onResponseHead, rewriteMessages } from './mcp-response.js';
import { httpRequest, rawRequest, rawResponse } from './request.js';

type HttpContext = Pick<ExecutionContext, 'switchToHttp'>;

const SESSION = 'mcp-session-id';

/** Methods without a body: streams, the end of a session, and what no MCP server serves. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/** What a request to the MCP endpoint asks for, as far as its body tells. */
export interface McpRequest {
  readonly operations: readonly FoundOperation[];
  readonly wantsList: boolean;
  /** Why the body cannot be judged; to be thrown once the caller is known. */
  readonly problem?: AuthplaneError;
}

/** The rules of one resource for requests to its MCP endpoint. */
export class McpRules {
  readonly #logger = new Logger('AuthplaneMcp');
  readonly #path: string;
  readonly #owners = new SessionOwners();
  readonly #hiddenNames = new HiddenNames();
  #scopes: OperationScopes;

  constructor(
    { resource }: Pick<AuthplaneResource, 'resource'>,
    readonly options: McpOptions,
  ) {
    this.#path = comparablePath(new URL(resource).pathname);
    this.#scopes = new OperationScopes(requirementsOf(options));
  }

  get scopes(): OperationScopes {
    return this.#scopes;
  }

  /** What decorators say, which adds up with the options. Known once all modules are there. */
  declare(declared: readonly OperationRequirement[], looseUris: boolean): void {
    const ofList = this.options.list === 'hide';
    this.#scopes = new OperationScopes(
      [
        ...requirementsOf(this.options),
        ...declared.map((one) => ({ ...one, hidden: one.hidden || ofList })),
      ],
      looseUris,
    );
  }

  /** Whether a request to this URL is one to the resource itself. */
  isEndpoint(url: string): boolean {
    return comparablePath(url) === this.#path;
  }

  /** @throws HttpException for an `Origin` that is not allowed. Its absence is fine (MCP, Transports). */
  requireOrigin(context: HttpContext): void {
    const { allowedOrigins } = this.options;
    const { origin } = nodeRequest(context).headers;
    if (allowedOrigins === undefined || origin === undefined || allowedOrigins.includes(origin))
      return;
    throw jsonRpcRefusal(403, -32000, 'Forbidden: Origin not allowed');
  }

  /** Never throws: who sends no token hears of that first. */
  read(context: HttpContext): McpRequest {
    const { body } = httpRequest(context);
    const request = nodeRequest(context);
    if (!isParsed(body, request)) {
      if (BODILESS.has(request.method ?? '')) return { operations: [], wantsList: false };
      return this.#unreadable('no parsed JSON body: let the body parser of the platform run');
    }
    try {
      return { operations: operationsOf(body), wantsList: asksForList(body) };
    } catch (error) {
      return this.#unreadable(error instanceof Error ? error.message : 'unknown');
    }
  }

  /** For the challenge of a request that carries no token. */
  announcedNeeds({ operations }: McpRequest): ScopeNeeds {
    return addScopeNeeds(...operations.map((operation) => this.#scopes.announcedNeeds(operation)));
  }

  /** @throws HttpException for a session that somebody else has opened. */
  requireOwnSession(context: HttpContext, claims: VerifiedClaims): void {
    const sessionId = sessionIdOf(context);
    if (this.options.sessionBinding === false || sessionId === undefined) return;
    if (!this.#owners.isForeign(sessionId, claims)) return;
    this.#logger.warn('refused a request to the MCP session of another user or client');
    throw jsonRpcRefusal(404, -32001, 'Session not found'); // as for one that does not exist
  }

  /**
   * The scopes that the operations of this request need together, and those of them that this caller
   * must not know of, which have to go through {@link letPass}.
   *
   * @throws InvalidRequestError, OperationRefusedError
   */
  judge({ operations, problem }: McpRequest, claims: VerifiedClaims) {
    if (problem !== undefined) throw problem;
    const hidden: FoundOperation[] = [];
    const needs: ScopeNeeds[] = [];
    for (const operation of operations) {
      const verdict = this.#scopes.judge(operation, claims);
      if (verdict.refusal !== undefined) throw this.#refused(operation, verdict.refusal);
      if (!verdict.hidden) needs.push(verdict.needs);
      else if (this.#canHide(operation)) hidden.push(operation);
      else throw this.#refused(operation, { reason: 'its URI cannot be hidden' });
    }
    return { needs: needs.length === 0 ? NO_SCOPES : addScopeNeeds(...needs), hidden };
  }

  /** The last step: nothing may refuse the request after it. */
  letPass(
    context: HttpContext,
    claims: VerifiedClaims,
    { wantsList }: McpRequest,
    hidden: readonly FoundOperation[],
  ): void {
    if (this.options.sessionBinding !== false) this.#watchSession(context, claims);
    if (!this.#scopes.hides) return;
    // A GET may replay answers to earlier requests (`Last-Event-ID`).
    if (wantsList || hidden.length > 0 || nodeRequest(context).method === 'GET') {
      this.#watchAnswers(context, claims);
    }
    for (const operation of hidden) this.#hide(context, operation);
  }

  /** Where the stand-in itself is a forbidden URI, a server would run what must not run. */
  #canHide({ kind, name }: FoundOperation): boolean {
    return !this.#scopes.knows({ kind, name: this.#hiddenNames.standInFor(name) });
  }

  #hide(context: HttpContext, operation: FoundOperation): void {
    const { kind, method, name } = operation;
    this.#logger.debug(`${method}: answered as if there were no such ${kind}: ${printable(name)}`);
    const standIn = this.#hiddenNames.standInFor(name);
    renameOperation(operation, standIn);
    renameInHeaders(nodeRequest(context), name, standIn);
    renewRawBody(httpRequest(context));
  }

  #watchAnswers(context: HttpContext, claims: VerifiedClaims): void {
    // So that a compressing layer above does not turn messages into bytes that cannot be read here.
    delete nodeRequest(context).headers['accept-encoding'];
    rewriteMessages(rawResponse(context), (json) =>
      withoutHidden(this.#hiddenNames.restore(json), this.#scopes, claims),
    );
  }

  #watchSession(context: HttpContext, claims: VerifiedClaims): void {
    const { method } = nodeRequest(context);
    const asked = sessionIdOf(context);
    onResponseHead(rawResponse(context), SESSION, (status, opened) => {
      const succeeded = status >= 200 && status < 300;
      if (method === 'POST' && succeeded && opened) this.#owners.remember(opened, claims);
      if (method === 'DELETE' && succeeded && asked) this.#owners.forget(asked);
    });
  }

  #unreadable(reason: string): McpRequest {
    this.#logger.debug(`refused a request to the MCP endpoint: ${reason}`);
    return { operations: [], wantsList: false, problem: new InvalidRequestError(reason) };
  }

  #refused({ method, name }: FoundOperation, { reason, fault }: Refusal): OperationRefusedError {
    const message = `${method} ${printable(name)}: ${reason}`;
    if (fault !== undefined)
      this.#logger.error(message, fault instanceof Error ? fault.stack : fault);
    return new OperationRefusedError(message, { cause: fault });
  }
}

/**
 * One spelling for all paths that a router may take for the same route: routers ignore case, repeated
 * and final slashes, and decode, each to its own taste. Too many requests are MCP requests then, which
 * is harmless; one too few would go by unchecked.
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

/**
 * Express 4 leaves `{}` where it parsed nothing. The server would then read the stream itself, and
 * run what nobody has checked.
 */
function isParsed(body: unknown, request: IncomingMessage): body is object {
  if (typeof body !== 'object' || body === null) return false;
  if (ArrayBuffer.isView(body) || isStream(body)) return false;
  return Object.keys(body).length > 0 || !hasUnreadBody(request);
}

function isStream(body: object): boolean {
  return 'pipe' in body && typeof body.pipe === 'function';
}

function hasUnreadBody({ headers, readableDidRead }: IncomingMessage): boolean {
  const length = headers['content-length'] ?? '0';
  return !readableDidRead && (headers['transfer-encoding'] !== undefined || Number(length) !== 0);
}

function nodeRequest(context: HttpContext): IncomingMessage {
  return rawRequest(httpRequest(context)) as IncomingMessage;
}

/** As the server sees it: repeated lines are joined, and are then no known session. */
function sessionIdOf(context: HttpContext): string | undefined {
  const value = nodeRequest(context).headers[SESSION];
  return Array.isArray(value) ? value.join(', ') : value;
}

function jsonRpcRefusal(status: number, code: number, message: string): HttpException {
  return new HttpException({ jsonrpc: '2.0', error: { code, message }, id: null }, status);
}

/**
 * In 2026-07-28 a header repeats the name, and a server refuses one that differs. It was not read for
 * the decision and only follows the body here.
 */
function renameInHeaders(request: IncomingMessage, from: string, to: string): void {
  const { headers, rawHeaders } = request;
  if (names(headers['mcp-name'], from)) headers['mcp-name'] = to;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const isName = rawHeaders[index]?.toLowerCase() === 'mcp-name';
    if (isName && names(rawHeaders[index + 1], from)) rawHeaders[index + 1] = to;
  }
}

function names(header: string | string[] | undefined, name: string): boolean {
  if (typeof header !== 'string') return false;
  const encoded = /^=\?base64\?(.*)\?=$/.exec(header.trim())?.[1];
  const plain = encoded === undefined ? header.trim() : Buffer.from(encoded, 'base64').toString();
  return plain === name;
}

/** Nest's `rawBody`: a server that parses it once more must find the same message. */
function renewRawBody(request: { readonly body?: unknown; rawBody?: unknown }): void {
  if (request.rawBody !== undefined) request.rawBody = Buffer.from(JSON.stringify(request.body));
}

function printable(text: string): string {
  return JSON.stringify(text.slice(0, 200)).replace(/[^\x20-\x7e]/g, '?');
}
