import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { requirementProblem, type ScopeRequirement } from '../../core/mcp/scope-requirement.js';
import type { ScopesOptions } from '../../nest/authplane.decorators.js';
import { type Callable, isCallable } from './sdk-server.js';

/** What a handler needs, as `requires` was told. */
export interface HandlerRequirement extends Partial<ScopesOptions> {
  readonly scopes: ScopeRequirement;
  readonly handler: Callable;
}

/** By the function that `requires` returns. */
const requirements = new WeakMap<object, HandlerRequirement>();

/**
 * Puts the scopes of a tool, resource or prompt beside its handler, where a server of the MCP SDK (v1
 * or v2) registers it. The server has to be one that `scoped` returned; on any other the handler
 * refuses every call, because nothing could tell what is called.
 *
 * ```ts
 * server.registerTool(
 *   'add_note',
 *   { inputSchema: z.object({ text: z.string() }) },
 *   requires(['notes:write'], ({ text }) => addNote(text)),
 * );
 * ```
 *
 * @param scopes all of a list, `{ all?, any? }`, or a rule. A rule is asked twice: by the guard with
 *   the arguments as they were sent, and before the handler runs with those that the server has
 *   validated, defaults and transforms applied. Both have to let the call pass.
 * @param options `list: 'hide'` leaves the operation out of the lists of callers who lack the scopes.
 * @returns a handler of the same type.
 * @throws ConfigurationError for what is no requirement, or no function.
 */
export function requires<Handler extends (...args: never[]) => unknown>(
  scopes: ScopeRequirement,
  handler: Handler,
  options: Partial<ScopesOptions> = {},
): Handler {
  const problem = requirementProblem(scopes);
  if (problem !== undefined) throw new ConfigurationError(`requires: the scopes ${problem}`);
  if (!isCallable(handler)) throw new ConfigurationError('requires: the handler is no function');
  const refusing = (): never => {
    throw new ConfigurationError(
      'requires: the server of this handler is not scoped; register it on scoped(server, operations)',
    );
  };
  requirements.set(refusing, { ...options, scopes, handler });
  return refusing as unknown as Handler; // replaced by `scoped` when it is registered
}

/** `undefined` for a handler that needs nothing of its own. */
export function requirementOf(handler: unknown): HandlerRequirement | undefined {
  return isCallable(handler) ? requirements.get(handler) : undefined;
}
