import { type Eventually, whenAllKnown } from '../../../core/lib/deadline.js';
import { type Named, nameKey, type OperationScopes } from '../../../core/mcp/operation-scopes.js';
import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { Caller } from '../../../core/token/caller.js';
import { useOf } from './lists.js';

/** Whether a caller may see what is hidden by a rule, by {@link nameKey}. */
export type ListedNames = ReadonlyMap<string, boolean>;

interface ListRequest {
  readonly lists: readonly OperationKind[];
}

interface Rulings {
  readonly scopes: OperationScopes;
  readonly listed: Eventually<ListedNames>;
}

/**
 * What rules say about the names of lists, asked before the server is: an answer that is on its way waits for
 * nobody. Each is asked once for a request, however often the request is judged.
 */
export class ListRulings {
  readonly #known = new WeakMap<ListRequest, Rulings>();

  of(request: ListRequest, scopes: OperationScopes, caller: Caller): Eventually<ListedNames> {
    const known = this.#known.get(request);
    if (known?.scopes === scopes) return known.listed; // else the server has taught more
    const listed = ruled(request, scopes, caller);
    this.#known.set(request, { scopes, listed });
    return listed;
  }
}

function ruled(
  { lists }: ListRequest,
  scopes: OperationScopes,
  caller: Caller,
): Eventually<ListedNames> {
  const asked = scopes.hiddenByRule
    .filter(({ kind }) => lists.includes(kind))
    .map((one): Eventually<readonly [string, boolean]> => {
      const shown = isShown(scopes, caller, one);
      const key = nameKey(one);
      return shown instanceof Promise ? shown.then((isIt) => [key, isIt]) : [key, shown];
    });
  return whenAllKnown(asked, (all) => new Map(all));
}

/** Whoever cannot be told yes is told no: a rule that fails shows nothing. */
function isShown(scopes: OperationScopes, caller: Caller, named: Named): Eventually<boolean> {
  const verdict = scopes.judge(useOf(named), caller);
  if (!(verdict instanceof Promise)) return !verdict.hidden;
  return verdict.then(
    ({ hidden }) => !hidden,
    () => false,
  );
}
