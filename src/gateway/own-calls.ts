import { OperationRefusedError } from '../core/errors/request-errors.js';
import { isJsonObject, member, memberOf } from '../core/lib/members.js';
import { quoted } from '../core/lib/text.js';
import type { McpOperation } from '../core/mcp/json-rpc.js';
import type { Caller } from '../core/token/caller.js';
import type { ProtectedResource } from '../nest/resources/protected-resources.js';
import { type Message, messagesOf } from './upstream/reply-messages.js';
import { sendInSession } from './legacy/call-in-session.js';
import { legacyResult } from './legacy/reserved-meta.js';
import { LISTS, type ListKind } from './listing/list-kinds.js';
import { mergedList } from './listing/merged-list.js';
import { paramHeaders } from './listing/param-headers.js';
import type { Route } from './listing/routing-table.js';
import { callTerms } from './upstream/call-terms.js';
import type { UpstreamRegistry } from './listing/upstream-registry.js';
import { callerKeyOf, type GatewayCaller } from './options/gateway-caller.js';
import { type Asking, META } from './upstream/modern-rpc.js';
import { refusal } from './upstream/upstream-refusal.js';
import type { UpstreamReply } from './upstream/upstream.js';
import { HeldTokens } from './upstream/upstream-tokens.js';
import { RpcError, UnknownOperationError } from './wire/gateway-errors.js';
import { MODERN } from './wire/modern-request.js';
import { outgoingRequest } from './wire/upstream-request.js';

/** How {@link McpGateway.call} is made. */
export interface GatewayCallOptions {
  /** Whose token is exchanged, and whose scopes count. */
  readonly caller: GatewayCaller;
  /** Ends the call. Default: nothing does but `timeoutMs` of the upstream. */
  readonly signal?: AbortSignal;
  /** Told what the upstream says of its progress. Default: it is not asked to. */
  readonly onProgress?: (progress: Readonly<Record<string, unknown>>) => void;
}

const ID = 'authplane-call';

/** Lists and calls of the application's own code, by the same rules as those of clients. */
export class OwnCalls {
  readonly #registry: UpstreamRegistry;
  readonly #protectedBy: () => ProtectedResource;

  constructor(registry: UpstreamRegistry, protectedBy: () => ProtectedResource) {
    this.#registry = registry;
    this.#protectedBy = protectedBy;
  }

  async list(kind: ListKind, caller: GatewayCaller): Promise<readonly Message[]> {
    const { catalogue, warnings } = this.#registry;
    const shape = LISTS[kind];
    const asking = askingFor(caller, new AbortController().signal);
    const upstreams = this.#registry.offering(kind);
    const { items, unavailable } = await mergedList(upstreams, shape, asking, {
      catalogue,
      warnings,
    });
    for (const { error } of unavailable) this.#registry.log(error);
    const method = USES[kind];
    const verdicts = await Promise.all(
      items.map(async ({ name }) => {
        const params = { [shape.operation === 'resource' ? 'uri' : 'name']: name, arguments: {} };
        return this.#verdict({ kind: shape.operation, method, name, params }, caller);
      }),
    );
    const shown = items.filter((_, at) => verdicts[at]?.hidden === false);
    return shown.map(({ text }) => JSON.parse(text) as Message);
  }

  async call(
    name: string,
    args: Readonly<Record<string, unknown>>,
    { caller, signal = new AbortController().signal, onProgress }: GatewayCallOptions,
  ): Promise<Message> {
    const asking = askingFor(caller, signal);
    const route = await this.#registry.routes.named('tools', name, asking);
    const params = { name, arguments: args };
    const operation = { kind: 'tool', method: 'tools/call', name, params } as const;
    const { hidden, refusal: refused, needs } = await this.#verdict(operation, caller);
    if (route === undefined || hidden) throw new UnknownOperationError(`Unknown tool: ${name}`);
    if (refused !== undefined)
      throw new OperationRefusedError(`${quoted(name)}: ${refused.reason}`);
    this.#protectedBy().resource.requireScopes(caller.claims, needs);
    const own = { ...params, name: route.item.own };
    const era = await this.#registry.eraOf(route.upstream, asking);
    return era === MODERN
      ? this.#modern(route, own, asking, onProgress)
      : this.#legacy(route, own, asking, onProgress);
  }

  #verdict(operation: McpOperation, { claims }: GatewayCaller) {
    const { mcp, resource } = this.#protectedBy();
    const caller: Caller = { claims, method: claims.method, resource: resource.resource };
    return mcp.scopes.judge(operation, caller);
  }

  async #modern(
    route: Route,
    params: Message,
    asking: Omit<Asking, 'timeoutMs'>,
    onProgress: GatewayCallOptions['onProgress'],
  ): Promise<Message> {
    const { upstream, item } = route;
    const terms = callTerms(route);
    const meta = onProgress === undefined ? META : { ...META, progressToken: ID };
    const message = {
      id: ID,
      method: 'tools/call',
      params: { ...params, _meta: meta },
      name: item.own,
    };
    const reply = await upstream.call({
      ...asking,
      ...outgoingRequest(message, paramHeaders(item, params['arguments'])),
      ...terms,
      method: 'POST',
      operation: { method: 'tools/call', name: item.own },
    });
    return resultOf(route, reply, asking, onProgress);
  }

  async #legacy(
    route: Route,
    params: Message,
    caller: Omit<Asking, 'timeoutMs'>,
    onProgress: GatewayCallOptions['onProgress'],
  ): Promise<Message> {
    const asking = { ...caller, held: new HeldTokens() };
    const client = { capabilities: {}, clientInfo: undefined };
    const meta = onProgress === undefined ? {} : { _meta: { progressToken: ID } };
    const method = 'tools/call';
    const message = { jsonrpc: '2.0', id: ID, method, params: { ...params, ...meta } };
    const { session, reply, answered } = await sendInSession(route, client, message, asking);
    try {
      return await resultOf(route, reply, asking, onProgress);
    } catch (error) {
      session.doubt();
      throw error;
    } finally {
      answered();
      void session.close(asking);
    }
  }
}

const USES: Readonly<Record<ListKind, string>> = {
  tools: 'tools/call',
  prompts: 'prompts/get',
  resources: 'resources/read',
  resourceTemplates: 'resources/read',
};

function askingFor(caller: GatewayCaller, signal: AbortSignal): Omit<Asking, 'timeoutMs'> {
  return { caller, callerKey: callerKeyOf(caller), signal };
}

async function resultOf(
  route: Route,
  reply: UpstreamReply,
  { caller }: Pick<Asking, 'caller'>,
  onProgress: GatewayCallOptions['onProgress'],
): Promise<Message> {
  const { upstream } = route;
  if (reply.status !== 200) {
    const error = await refusal(route, reply, caller);
    if (!(error instanceof RpcError)) throw error;
    throw upstream.error('upstream_failed', `it answers with error ${error.rpc.code}`, {});
  }
  for await (const message of messagesOf(upstream, reply)) {
    if (member(message, 'method') === 'notifications/progress') {
      const params = member(message, 'params');
      if (isJsonObject(params)) onProgress?.(params);
    } else if (member(message, 'id') === ID) {
      const result = member(message, 'result');
      if (isJsonObject(result)) return legacyResult(result);
      const code = memberOf(member(message, 'error'), 'code');
      throw upstream.error('upstream_failed', `it answers with error ${Number(code)}`, {});
    }
  }
  throw upstream.error('upstream_failed', 'its answer ended without a result', {});
}
