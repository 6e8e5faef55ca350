import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { TokenMissingError } from '../../core/errors/token-errors.js';
import type { Caller } from '../../core/token/caller.js';
import { requests } from '../../nest/http/request.js';
import type { McpOperation, OperationKind } from '../../core/mcp/json-rpc.js';
import { type Eventually, whenKnown } from '../../core/lib/deadline.js';
import { requireOperation } from '../../core/mcp/operation-scopes.js';
import type { RuledOperation } from '../../core/mcp/scope-requirement.js';
import { decoded } from '../../core/mcp/uri-table.js';
import { canonical } from '../../core/mcp/uri-reader.js';
import type { AuthplaneOperations } from '../../nest/authplane-operations.js';
import { OperationRefusal } from '../../nest/refusals/operation-refusal.js';
import { memberOf, putMember } from '../../core/lib/members.js';
import { mcpCall } from '../answers/call.js';
import { type HandlerRequirement, requirementOf } from './requires.js';
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

/** Options of {@link scoped}. */
export interface ScopedOptions {
  /** The resource of `AuthplaneModule.forFeature` whose endpoint serves this server. Default: that of `forRoot`. */
  readonly resource?: string;
}

const adapted = new WeakSet<object>();

/**
 * Makes an `McpServer` of the MCP SDK, v1 or v2, take handlers from `requires`: what they need becomes
 * known to the guard with the registration, so that a name and its scopes cannot drift apart.
 *
 * The guard answers 403 with a challenge before anything is dispatched. For a server that is made per
 * request, which is when the names of the first request are not known yet, `serveMcp` lets the guard
 * judge once more; whatever reaches a handler all the same is refused there with the JSON-RPC error
 * -32003.
 *
 * ```ts
 * const server = scoped(new McpServer({ name: 'notes', version: '1.0.0' }), this.operations);
 * ```
 *
 * @param operations injected; its table learns at most 10,000 requirements.
 * @returns the same server.
 * @throws ConfigurationError when it is no such server, or has registrations already.
 */
export function scoped<Server extends object>(
  server: Server,
  operations: AuthplaneOperations,
  options: ScopedOptions = {},
): Server {
  if (adapted.has(server)) return server;
  const protocol = protocolOf(server, 'scoped');
  if (!isCallable((server as Methods)['registerTool'])) {
    throw new ConfigurationError('scoped: pass an McpServer; a Server registers no names');
  }
  if (hasRegistrations(server, protocol)) {
    throw new ConfigurationError('scoped: call it before tools, prompts and resources exist');
  }
  adapted.add(server);
  new ScopedServer(operations, options).adapt(server as Methods, protocol);
  return server;
}

type Named = Pick<McpOperation, 'kind' | 'name' | 'method'>;

class ScopedServer {
  readonly #operations: AuthplaneOperations;
  readonly #options: ScopedOptions;
  readonly #thrown = new ThrownErrors();

  constructor(operations: AuthplaneOperations, options: ScopedOptions) {
    this.#operations = operations;
    this.#options = options;
  }

  adapt(server: Methods, protocol: Methods): void {
    for (const [name, registration] of Object.entries(REGISTRATIONS)) {
      const original = server[name];
      if (!isCallable(original)) continue; // v2 has dropped the short names
      putMember(server, name, (...args: unknown[]) => {
        const needs = requirementOf(args.at(-1));
        if (needs === undefined) return original.apply(server, args);
        const { kind, method } = registration;
        const operation = { kind, method, name: nameIn(kind, args) };
        const registered = original.apply(server, [
          ...args.slice(0, -1),
          this.#bound(needs, operation),
        ]);
        this.#adaptUpdates(registered, operation, needs);
        return registered;
      });
    }
    this.#thrown.watch(protocol);
  }

  /** What is registered can be renamed and get another handler; it keeps its needs. */
  #adaptUpdates(registered: unknown, operation: Named, needs: HandlerRequirement): void {
    if (!isMethods(registered) || !isCallable(registered['update'])) return;
    const { update } = registered;
    let current = needs;
    let { name } = operation;
    putMember(registered, 'update', (updates: unknown) => {
      const callback = memberOf(updates, 'callback');
      current = requirementOf(callback) ?? withHandler(current, callback);
      name = newNameIn(operation.kind, updates) ?? name;
      const bound = this.#bound(current, { ...operation, name });
      return update.call(registered, { ...(updates as Methods), callback: bound });
    });
  }

  /** The handler that the SDK gets asks once more who calls. */
  #bound(needs: HandlerRequirement, operation: Named): Callable {
    this.#declare(needs, operation);
    return (...args: unknown[]) => {
      return whenKnown(this.#require(needs, operation, args), () => needs.handler(...args));
    };
  }

  #declare({ scopes, list }: HandlerRequirement, { kind, name }: Named): void {
    const { resource } = this.#options;
    this.#operations.declare({
      kind,
      name,
      scopes,
      ...(list === undefined ? {} : { list }),
      ...(resource === undefined ? {} : { resource }),
    });
  }

  /** @throws OperationRefusal */
  #require(
    { scopes }: HandlerRequirement,
    operation: Named,
    args: readonly unknown[],
  ): Eventually<void> {
    try {
      const required = requireOperation(scopes, validated(operation, args), runningCaller());
      return required instanceof Promise
        ? required.catch((error: unknown) => this.#refuse(error, args))
        : required;
    } catch (error) {
      return this.#refuse(error, args);
    }
  }

  #refuse(error: unknown, args: readonly unknown[]): never {
    const refusal = new OperationRefusal(error);
    const call = mcpCall({ sdkContext: args.at(-1), sessionCapabilities: undefined });
    if (call !== undefined) this.#thrown.remember(refusal, call);
    throw refusal;
  }
}

function runningCaller(): Caller {
  const running = requests.getStore()?.current;
  if (running !== undefined) return running;
  throw new TokenMissingError('no guarded request is running');
}

/** `registerResource(name, uri or template, …)` is known by its URI, all else by its name. */
function nameIn(kind: OperationKind, [name, uri]: readonly unknown[]): string {
  const given = kind === 'resource' ? uriOf(uri) : name;
  if (typeof given === 'string') return given;
  throw new ConfigurationError(`scoped: a ${kind} was registered without a name`);
}

/** A URI, or the template in the SDK's `ResourceTemplate`. */
function uriOf(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || !('uriTemplate' in given)) return given;
  return String(given.uriTemplate);
}

function newNameIn(kind: OperationKind, updates: unknown): string | undefined {
  const given =
    kind === 'resource'
      ? (memberOf(updates, 'uri') ?? uriOf(memberOf(updates, 'template')))
      : memberOf(updates, 'name');
  return typeof given === 'string' ? given : undefined;
}

function withHandler(needs: HandlerRequirement, callback: unknown): HandlerRequirement {
  return isCallable(callback) ? { ...needs, handler: callback } : needs;
}

/** What the handler is about to get: arguments, or URI and variables, and the context last. */
function validated({ kind, method, name }: Named, args: readonly unknown[]): RuledOperation {
  const [first, ...others] = args.slice(0, -1);
  if (kind !== 'resource') {
    const params = { name, arguments: first ?? {} };
    return { kind, method, name, params, uri: undefined, variables: {} };
  }
  const uri = first instanceof URL ? first.href : name;
  const given = others[0] ?? {};
  return {
    kind,
    method,
    name: uri,
    params: { uri, variables: given },
    uri: canonical(uri),
    variables: comparable(given),
  };
}

/** As rules get them before: each as one text, percent-decoded. */
function comparable(variables: object): RuledOperation['variables'] {
  const texts = Object.entries(variables).map(([name, value]) => [name, decoded(String(value))]);
  return Object.fromEntries(texts) as RuledOperation['variables'];
}
