import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { memberOf, putMember } from '../../core/lib/members.js';
import { type ConsentOptions, runWithConsent } from '../answers/consent-flow.js';
import { checkedConsentOptions } from '../answers/consent-options.js';
import { failureAnswer, isOurs, jsonRpcError } from '../answers/failure-answer.js';
import { tellFailure } from '../answers/failure-event.js';
import { type McpCall, mcpCall } from '../answers/call.js';
import { requirementOf, requires } from './requires.js';
import {
  type Callable,
  hasRegistrations,
  isCallable,
  isMethods,
  type Methods,
  protocolOf,
  REGISTRATIONS,
} from './sdk-server.js';
import { ThrownErrors } from './thrown-errors.js';

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
  const inner = protocolOf(server, 'withConsent');
  if (hasRegistrations(server, inner)) {
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
  readonly #thrown = new ThrownErrors();

  constructor(inner: Methods, options: ConsentOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  adaptRegistrations(server: Methods): void {
    for (const [name, { method }] of Object.entries(REGISTRATIONS)) {
      const original = server[name];
      if (!isCallable(original)) continue; // v2 has dropped the short names
      putMember(server, name, (...args: unknown[]) => {
        const registered = original.apply(server, this.#lastAdapted(args, method));
        this.#adaptUpdates(registered, method);
        return registered;
      });
    }
  }

  adaptProtocol(): void {
    const { setRequestHandler } = this.#inner;
    if (!isCallable(setRequestHandler)) return;
    putMember(this.#inner, 'setRequestHandler', (...args: unknown[]) =>
      setRequestHandler.apply(this.#inner, this.#lastAdapted(args)),
    );
    this.#thrown.watch(this.#inner);
  }

  /** A registered tool, prompt or resource lets its callback be replaced. */
  #adaptUpdates(registered: unknown, method: string): void {
    if (!isMethods(registered) || !isCallable(registered['update'])) return;
    const { update } = registered;
    putMember(registered, 'update', (updates: unknown) => {
      const callback = memberOf(updates, 'callback');
      if (!isCallable(callback)) return update.call(registered, updates);
      const replacement = { ...(updates as Methods), callback: this.#adapted(callback, method) };
      return update.call(registered, replacement);
    });
  }

  /** All signatures, of both generations, have the handler last. */
  #lastAdapted(args: readonly unknown[], method?: string): unknown[] {
    const handler = args.at(-1);
    return isCallable(handler) ? [...args.slice(0, -1), this.#adapted(handler, method)] : [...args];
  }

  #adapted(handler: Callable, method?: string): Callable {
    const needs = requirementOf(handler); // stays outside, where `scoped` finds it
    if (needs !== undefined) {
      return requires(needs.scopes, this.#adapted(needs.handler, method), needs);
    }
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
    tellFailure(error, call, this.#options);
    const answer = failureAnswer(error, call, this.#options);
    if (answer.kind === 'result') return answer.result;
    const failure = jsonRpcError(answer, error);
    this.#thrown.remember(failure, call);
    throw failure;
  }
}
