import { ConfigurationError } from '../core/errors.js';
import { memberOf } from './consent.js';
import { type ConsentOptions, runWithConsent } from './consent-flow.js';
import { checkedConsentOptions } from './consent-options.js';
import { failureAnswer, isOurs, JsonRpcError } from './failure-answer.js';
import { logFailure } from './failure-log.js';
import { type McpCall, mcpCall } from './mcp-call.js';

type Callable = (...args: unknown[]) => unknown;
type Methods = Record<string, unknown>;

/** Public ways to register on `McpServer` of either SDK generation, and what they register. */
const REGISTRATIONS = {
  registerTool: 'tools/call',
  tool: 'tools/call',
  registerPrompt: 'prompts/get',
  prompt: 'prompts/get',
  registerResource: 'resources/read',
  resource: 'resources/read',
} as const;

const adapted = new WeakSet<object>();

/**
 * Makes an `McpServer` or `Server` of the MCP SDK, v1 or v2, answer `ConsentRequiredError` and all
 * other errors of this package that a handler throws, in the shape of the request's protocol era.
 * Call it on a new server, before anything is registered:
 *
 * ```ts
 * const server = withConsent(new McpServer({ name: 'calendar', version: '1.0.0' }), { issuer });
 * ```
 *
 * `prompts/get` and `resources/read`, which have no error results, fail with a JSON-RPC error where a
 * tool answers in words.
 *
 * After the user has agreed to open the page, a handler is called again, up to five times: ask for
 * the token first and change things afterwards.
 *
 * @returns the same server.
 * @throws ConfigurationError when it is no such server, or has handlers already.
 */
export function withConsent<Server extends object>(
  server: Server,
  options: ConsentOptions,
): Server {
  if (adapted.has(server)) return server;
  const inner = protocolOf(server);
  if (isLate(server, inner)) {
    throw new ConfigurationError('withConsent: call it before tools, prompts and resources exist');
  }
  adapted.add(server);
  const adapter = new ServerAdapter(inner, checkedConsentOptions(options));
  if (inner !== (server as Methods)) adapter.adaptRegistrations(server as Methods);
  adapter.adaptProtocol();
  return server;
}

class ServerAdapter {
  readonly #inner: Methods;
  readonly #options: ConsentOptions;
  /** Errors that were thrown into an SDK and have not been sent yet, by JSON-RPC request id. */
  readonly #thrown = new Map<string | number, JsonRpcError>();

  constructor(inner: Methods, options: ConsentOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  adaptRegistrations(server: Methods): void {
    for (const [name, method] of Object.entries(REGISTRATIONS)) {
      const original = server[name];
      if (!isCallable(original)) continue; // v2 has dropped the short names
      server[name] = (...args: unknown[]) => {
        const registered = original.apply(server, this.#lastAdapted(args, method));
        this.#adaptUpdates(registered, method);
        return registered;
      };
    }
  }

  adaptProtocol(): void {
    const { setRequestHandler, connect } = this.#inner;
    if (!isCallable(setRequestHandler) || !isCallable(connect)) return;
    this.#inner['setRequestHandler'] = (...args: unknown[]) =>
      setRequestHandler.apply(this.#inner, this.#lastAdapted(args));
    this.#inner['connect'] = (transport: unknown) => {
      this.#adaptTransport(transport);
      return connect.call(this.#inner, transport);
    };
    this.#adaptTransport(this.#inner['transport']); // of a server that is connected already
  }

  /** A registered tool, prompt or resource lets its callback be replaced. */
  #adaptUpdates(registered: unknown, method: string): void {
    if (!isMethods(registered) || !isCallable(registered['update'])) return;
    const { update } = registered;
    registered['update'] = (updates: unknown) => {
      const callback = memberOf(updates, 'callback');
      if (!isCallable(callback)) return update.call(registered, updates);
      const replacement = { ...(updates as Methods), callback: this.#adapted(callback, method) };
      return update.call(registered, replacement);
    };
  }

  /** All signatures, of both generations, have the handler last. */
  #lastAdapted(args: readonly unknown[], method?: string): unknown[] {
    const handler = args.at(-1);
    return isCallable(handler) ? [...args.slice(0, -1), this.#adapted(handler, method)] : [...args];
  }

  #adapted(handler: Callable, method?: string): Callable {
    return async (...args) => {
      const call = this.#callOf(args, method);
      if (call === undefined) return handler(...args);
      try {
        return await runWithConsent(call, () => handler(...args), this.#options);
      } catch (error) {
        return this.#answer(error, call);
      }
    };
  }

  #callOf(args: readonly unknown[], method: string | undefined): McpCall | undefined {
    const { getClientCapabilities } = this.#inner;
    const ofRequest = memberOf(args[0], 'method');
    return mcpCall({
      sdkContext: args.at(-1),
      method: method ?? (typeof ofRequest === 'string' ? ofRequest : undefined),
      sessionCapabilities: isCallable(getClientCapabilities)
        ? getClientCapabilities.call(this.#inner)
        : undefined,
    });
  }

  #answer(error: unknown, call: McpCall): unknown {
    if (!isOurs(error)) throw error;
    logFailure(error, call, this.#options);
    const answer = failureAnswer(error, call, this.#options);
    if (answer.kind === 'result') return answer.result;
    const failure = new JsonRpcError(answer, error);
    this.#remember(failure, call);
    throw failure;
  }

  #remember(error: JsonRpcError, { requestId, signal }: McpCall): void {
    if (requestId === undefined || signal?.aborted === true) return; // nothing will be sent
    this.#thrown.set(requestId, error);
    signal?.addEventListener('abort', () => this.#thrown.delete(requestId), { once: true });
  }

  /**
   * v1's `McpServer` turns what a tool throws into an `isError` result unless it is an instance of
   * its own `McpError`, and the package has two copies of that class, one for each module format.
   * So the answer is put right where it leaves, which needs no class.
   */
  #adaptTransport(transport: unknown): void {
    if (!isMethods(transport) || !isCallable(transport['send'])) return;
    const { send } = transport;
    transport['send'] = (message: unknown, ...rest: unknown[]) =>
      send.call(transport, this.#outgoing(message), ...rest);
  }

  #outgoing(message: unknown): unknown {
    const id = memberOf(message, 'id');
    if (memberOf(message, 'method') !== undefined) return message; // our own request to the client
    if (typeof id !== 'string' && typeof id !== 'number') return message;
    const thrown = this.#thrown.get(id);
    this.#thrown.delete(id);
    if (thrown === undefined || memberOf(message, 'result') === undefined) return message;
    const { code, message: text, data } = thrown;
    return { jsonrpc: '2.0', id, error: { code, message: text, data } };
  }
}

/** `McpServer` wraps the protocol object, `Server` is one. */
function protocolOf(server: object): Methods {
  for (const candidate of [memberOf(server, 'server'), server]) {
    if (isMethods(candidate) && isCallable(candidate['setRequestHandler'])) return candidate;
  }
  throw new ConfigurationError('withConsent: pass an McpServer or a Server of the MCP SDK');
}

/** Handlers that exist already cannot be reached any more, which nobody would notice. */
function isLate(server: object, inner: Methods): boolean {
  if (inner === server) return hasHandlers(inner);
  return ['Tools', 'Prompts', 'Resources', 'ResourceTemplates'].some((kind) => {
    const registered = memberOf(server, `_registered${kind}`); // no public member tells
    return isMethods(registered) && Object.keys(registered).length > 0;
  });
}

function hasHandlers(inner: Methods): boolean {
  const { assertCanSetRequestHandler } = inner;
  if (!isCallable(assertCanSetRequestHandler)) return false;
  try {
    for (const method of new Set(Object.values(REGISTRATIONS))) {
      assertCanSetRequestHandler.call(inner, method);
    }
    return false;
  } catch {
    return true;
  }
}

function isCallable(value: unknown): value is Callable {
  return typeof value === 'function';
}

function isMethods(value: unknown): value is Methods {
  return typeof value === 'object' && value !== null;
}
