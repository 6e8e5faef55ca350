import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BeforeApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { NoCallerError } from '../core/errors/token-errors.js';
import type { Caller } from '../core/token/caller.js';
import { consentResponses, requestsUrlElicitation } from '../mcp/answers/consent.js';
import { memberOf } from '../core/lib/members.js';
import type { McpCall } from '../mcp/answers/call.js';
import {
  type McpServe,
  type PlatformReply,
  type PlatformRequest,
  serveMcp,
} from '../mcp/serve-mcp.js';
import { requestState } from '../nest/http/request.js';
import type { ProtectedResource } from '../nest/resources/protected-resources.js';
import { closeAfter, GatewayCalls, nodeRequest } from './gateway-calls.js';
import { ModernServer } from './modern/modern-server.js';
import type { GatewayCaller } from './options/token-strategy.js';
import type { Pass } from './modern/pass-through.js';
import type { UpstreamRegistry } from './listing/upstream-registry.js';
import { gatewayAnswer } from './wire/gateway-answer.js';
import { RpcError } from './wire/gateway-errors.js';
import {
  ACCEPTED,
  errorAnswer,
  INTERNAL_ERROR,
  INVALID_REQUEST,
  type RpcAnswer,
  sendAnswer,
} from './wire/json-rpc-answer.js';
import {
  isModern,
  MODERN,
  type ModernRequest,
  modernRequest,
  unsupportedVersion,
} from './wire/modern-request.js';

/** One inbound request of a caller whom the guard has let in. */
interface Inbound {
  readonly raw: IncomingMessage;
  readonly body: unknown;
  readonly caller: GatewayCaller;
  readonly signal: AbortSignal;
  readonly judgeAgain: () => void;
}

/**
 * The MCP endpoint of a gateway: answers lists from all upstreams, and passes everything else on to the
 * upstream that it is for, with a token for that upstream.
 *
 * A controller behind `AuthplaneGuard` hands its requests to {@link McpGateway.serve}.
 */
export class McpGateway implements OnModuleInit, BeforeApplicationShutdown {
  readonly #registry: UpstreamRegistry;
  readonly #protectedBy: () => ProtectedResource;
  readonly #modern: ModernServer;
  readonly #calls = new GatewayCalls();

  /** @internal Made by `AuthplaneGatewayModule`. */
  constructor(registry: UpstreamRegistry, protectedBy: () => ProtectedResource) {
    this.#registry = registry;
    this.#protectedBy = protectedBy;
    this.#modern = new ModernServer(registry);
  }

  /**
   * Answers one request of a Nest controller, on Express and Fastify. What fails before a byte of the
   * answer is there has its own status: 401 and 403 with a challenge, 429, 502, 503, 504.
   *
   * @throws what the application's filters answer: a missing scope, an authorization server that is away.
   * @throws NoCallerError when no `AuthplaneGuard` has let the request in.
   */
  serve(request: PlatformRequest, reply: PlatformReply): Promise<void> {
    return serveMcp(request, reply, async (client) => {
      const state = requestState(request);
      if (state.current === undefined) {
        throw new NoCallerError('a gateway without a guard: put AuthplaneGuard on its controller');
      }
      const response = reply.raw ?? (reply as unknown as ServerResponse);
      if (this.#calls.isStopping) return sending(STOPPING, response);
      const inbound = {
        raw: nodeRequest(request),
        body: request.body,
        caller: callerOf(state.current),
        signal: this.#calls.begin(response, client),
        judgeAgain: () => state.judgeAgain?.(),
      };
      return this.#served(inbound);
    });
  }

  /**
   * Called by Nest: the guard learns what the rules of upstreams ask of callers.
   *
   * @throws ConfigurationError for a name that no `forFeature` has given.
   */
  onModuleInit(): void {
    this.#protectedBy().mcp.addSource(this.#registry.scopes);
  }

  /** Called by Nest: running calls get time to end, new ones are refused. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#modern.listens.endAll();
    await this.#calls.stop(this.#registry.options.shutdownTimeoutMs);
    this.#registry.close();
  }

  async #served(inbound: Inbound): Promise<McpServe> {
    let request: ModernRequest | undefined;
    try {
      if (inbound.raw.method !== 'POST') return sending(NOT_ALLOWED);
      if (!isModern(inbound.body, inbound.raw.headers)) return sending(notModern(inbound.body));
      request = modernRequest(inbound.body, inbound.raw.headers);
      if (request === undefined) return sending(ACCEPTED);
      const answer = await this.#modern.answer(request, {
        headers: inbound.raw.headers,
        judgeAgain: inbound.judgeAgain,
        asking: {
          caller: inbound.caller,
          callerKey: callerKey(inbound.caller),
          signal: inbound.signal,
        },
      });
      return typeof answer === 'function' ? passing(answer) : sending(answer);
    } catch (error) {
      return sending(this.#failed(error, request, inbound));
    }
  }

  /** @throws what the application's filters answer */
  #failed(error: unknown, request: ModernRequest | undefined, inbound: Inbound): RpcAnswer {
    this.#registry.log(error);
    if (request === undefined && error instanceof RpcError) {
      return errorAnswer(idIn(inbound.body), error.rpc, error.status);
    }
    if (request === undefined) throw error;
    const { claims } = inbound.caller;
    const call: McpCall = {
      method: request.method,
      requestId: request.id,
      era: MODERN,
      urlElicitation: requestsUrlElicitation(request.params),
      responses: consentResponses(memberOf(request.params, 'inputResponses')),
      caller: { subject: claims.sub, clientId: claims.clientId },
      signal: inbound.signal,
    };
    const consent = this.#registry.consentPolicy;
    const answer = gatewayAnswer(error, { id: request.id, call, consent });
    if (answer === undefined) throw error;
    return answer;
  }
}

const STOPPING: RpcAnswer = errorAnswer(
  null,
  { code: INTERNAL_ERROR, message: 'The gateway is stopping' },
  503,
  { 'Retry-After': '5', Connection: 'close' },
);

/** Streams and sessions of the revisions up to 2025-11-25. */
const NOT_ALLOWED: RpcAnswer = errorAnswer(
  null,
  { code: -32000, message: 'Method not allowed.' },
  405,
  { Allow: 'POST' },
);

function sending(answer: RpcAnswer, closed?: ServerResponse): McpServe {
  return async (_request, response) => {
    if (closed !== undefined) closeAfter(response);
    sendAnswer(response, answer);
  };
}

function passing(pass: Pass): McpServe {
  return (_request, response) => pass(response);
}

/** What a client of an earlier revision hears. */
function notModern(body: unknown): RpcAnswer {
  if (Array.isArray(body) || typeof memberOf(body, 'method') !== 'string') {
    const error = { code: INVALID_REQUEST, message: 'Invalid Request' };
    return errorAnswer(null, error, 400);
  }
  const id = idIn(body);
  if (id === null) return ACCEPTED;
  const requested = memberOf(memberOf(body, 'params'), 'protocolVersion');
  const { rpc, status } = unsupportedVersion(typeof requested === 'string' ? requested : undefined);
  return errorAnswer(id, rpc, status);
}

function idIn(body: unknown): string | number | null {
  const id = memberOf(body, 'id');
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

/** Who has shown something else has no token that could be exchanged. */
function callerOf({ claims, authentication }: Caller): GatewayCaller {
  return { claims, token: authentication?.token ?? '' };
}

/** Nothing of the token: it is renewed, and the caller stays the same. */
function callerKey({ claims }: GatewayCaller): string {
  return [claims.issuer, claims.sub, claims.clientId].join('\0');
}
