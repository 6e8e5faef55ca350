import type { Events } from '../../core/events.js';
import { OperationRefusedError } from '../../core/errors/request-errors.js';
import { areKnown, type Eventually, whenAllKnown, whenKnown } from '../../core/lib/deadline.js';
import { NO_SCOPES, type ScopeNeeds, sumOfAll } from '../../core/lib/scopes.js';
import { quoted } from '../../core/lib/text.js';
import { type FoundOperation, isOfMcp, type McpOperation } from '../../core/mcp/json-rpc.js';
import type { McpOptions } from '../../core/mcp/settings.js';
import type { OperationScopes, OperationVerdict } from '../../core/mcp/operation-scopes.js';
import type { Refusal } from '../../core/mcp/scope-demand.js';
import { type Caller, meetsNeeds } from '../../core/token/caller.js';
import type { RulesAsked } from '../http/request.js';
import type { HiddenName, McpHiding } from './answers/hiding.js';
import type { OperationTable } from './declared-operations.js';
import { type ListedNames, ListRulings } from './answers/list-rulings.js';
import type { McpRequest } from './mcp-request.js';
import type { McpState } from './state/server-state.js';
import { ownerOf } from './state/state-owners.js';

/** What may be done with a request. */
export interface McpVerdict {
  /** The scopes that its operations need together. */
  readonly needs: ScopeNeeds;
  /** What must look to this caller as if it did not exist. */
  readonly hidden: readonly HiddenName[];
  /** What is asked of single operations besides scopes. */
  readonly rules: readonly RulesAsked[];
  /** Where it asks for lists: what rules say about them, by {@link nameKey}. */
  readonly listed?: ListedNames;
}

interface SeenVerdict extends OperationVerdict {
  readonly standIn?: string;
}

const MAX_ASKED_STAND_INS = 5;
const CANNOT_HIDE: SeenVerdict = Object.freeze({
  needs: NO_SCOPES,
  hidden: true,
  refusal: { reason: 'its URI cannot be hidden' },
});
/** There is a verdict for each operation. */
const UNKNOWN: SeenVerdict = Object.freeze({
  needs: NO_SCOPES,
  hidden: false,
  refusal: { reason: 'nobody has judged it' },
});

/** Which scopes the operations and tasks of a request need, and what of them is hidden from its caller. */
export class OperationJudge {
  readonly #refusesUnknown: boolean;
  readonly #table: OperationTable;
  readonly #tasks: McpState['tasks'];
  readonly #hiding: McpHiding;
  readonly #events: Events;
  readonly #rulings = new ListRulings();

  constructor(
    { unknownMethods }: McpOptions,
    table: OperationTable,
    { tasks }: Pick<McpState, 'tasks'>,
    hiding: McpHiding,
    events: Events,
  ) {
    this.#refusesUnknown = unknownMethods === 'refuse';
    this.#table = table;
    this.#tasks = tasks;
    this.#hiding = hiding;
    this.#events = events;
  }

  get #scopes(): OperationScopes {
    return this.#table.scopes;
  }

  /**
   * A promise where a rule is asynchronous.
   *
   * @throws InvalidRequestError, OperationRefusedError, CallbackError
   */
  judge(request: McpRequest, caller: Caller): Eventually<McpVerdict> {
    if (request.problem !== undefined) throw request.problem;
    const judged = this.#judged(request, caller);
    if (request.lists.length === 0 || this.#scopes.hiddenByRule.length === 0) return judged;
    return this.#withRulings(judged, request, caller);
  }

  #judged(request: McpRequest, caller: Caller): Eventually<McpVerdict> {
    const seen = request.operations.map((operation) => this.#seen(operation, caller));
    return areKnown(seen)
      ? this.#together(request, seen, caller)
      : this.#togetherLater(request, seen, caller);
  }

  #togetherLater(
    request: McpRequest,
    seen: readonly Eventually<SeenVerdict>[],
    caller: Caller,
  ): Eventually<McpVerdict> {
    return whenAllKnown(seen, (verdicts) => this.#together(request, verdicts, caller));
  }

  #withRulings(
    judged: Eventually<McpVerdict>,
    request: McpRequest,
    caller: Caller,
  ): Eventually<McpVerdict> {
    return whenKnown(judged, (verdict) =>
      whenKnown(this.#rulings.of(request, this.#scopes, caller), (listed) => ({
        ...verdict,
        listed,
      })),
    );
  }

  #together(
    { operations, tasks }: McpRequest,
    verdicts: readonly SeenVerdict[],
    caller: Caller,
  ): McpVerdict {
    const hidden: HiddenName[] = [];
    const needs = new Set<ScopeNeeds>();
    const rules: RulesAsked[] = [];
    let at = 0;
    for (const operation of operations) {
      const { refusal, standIn, needs: needed } = verdicts[at++] ?? UNKNOWN;
      if (refusal !== undefined) throw this.#refused(operation, refusal);
      if (standIn !== undefined) hidden.push({ ...operation, standIn });
      if (needed.rules !== undefined) rules.push({ rules: needed.rules, operation });
      needs.add(needed);
    }
    for (const task of tasks) {
      const needed = this.#needsOfTask(task.name, caller);
      if (needed === undefined) hidden.push(this.#hiding.hidden(task));
      else needs.add(needed);
    }
    return { needs: sumOfAll(needs), hidden, rules };
  }

  #seen(operation: FoundOperation, caller: Caller): Eventually<SeenVerdict> {
    const verdict = this.#verdictOn(operation, caller);
    if (verdict instanceof Promise) return this.#seenOnceKnown(verdict, operation, caller);
    return verdict.hidden ? this.#seenInstead(operation, caller) : verdict;
  }

  async #seenOnceKnown(
    verdict: Promise<OperationVerdict>,
    operation: FoundOperation,
    caller: Caller,
  ): Promise<SeenVerdict> {
    const known = await verdict;
    return known.hidden ? this.#seenInstead(operation, caller) : known;
  }

  /** Whether the list of tasks names it to this caller. */
  showsTask(taskId: string, caller: Caller): boolean {
    const needs = this.#needsOfTask(taskId, caller);
    return needs !== undefined && meetsNeeds(caller, needs);
  }

  #verdictOn(operation: FoundOperation, caller: Caller): Eventually<OperationVerdict> {
    const isRefused =
      this.#refusesUnknown &&
      operation.kind === 'method' &&
      !isOfMcp(operation.name) &&
      !this.#scopes.knows(operation);
    if (!isRefused) return this.#scopes.judge(operation, caller);
    return { needs: NO_SCOPES, hidden: false, refusal: { reason: 'a method that nobody knows' } };
  }

  /**
   * The stand-in for what is hidden, judged as anything else of its name would be: others may serve it,
   * for scopes of their own. A server would run what must not run where the stand-in is hidden itself.
   */
  #seenInstead(operation: FoundOperation, caller: Caller): Eventually<SeenVerdict> {
    for (const standIn of this.#hiding.standInsFor(operation)) {
      const verdict = this.#scopes.judge(renamed(operation, standIn), caller);
      if (verdict instanceof Promise) return this.#seenLater(verdict, standIn, operation, caller);
      if (!verdict.hidden) return { ...verdict, standIn };
    }
    return CANNOT_HIDE;
  }

  /** Where a rule has to be waited for; so only a few stand-ins are tried. */
  async #seenLater(
    first: Promise<OperationVerdict>,
    standIn: string,
    operation: FoundOperation,
    caller: Caller,
  ): Promise<SeenVerdict> {
    const verdict = await first;
    if (!verdict.hidden) return { ...verdict, standIn };
    let tries = 0;
    for (const another of this.#hiding.standInsFor(operation)) {
      if (++tries > MAX_ASKED_STAND_INS) break;
      const next = await this.#scopes.judge(renamed(operation, another), caller);
      if (!next.hidden) return { ...next, standIn: another };
    }
    return CANNOT_HIDE;
  }

  /** What the call needed that has made it; `undefined` where this caller must not know of it. */
  #needsOfTask(taskId: string, caller: Caller): ScopeNeeds | undefined {
    const needs = this.#tasks.needsOf(taskId, ownerOf(caller));
    if (needs === undefined || !this.#scopes.hides) return needs;
    return meetsNeeds(caller, needs) ? needs : undefined;
  }

  #refused({ method, name }: FoundOperation, { reason, fault }: Refusal): OperationRefusedError {
    const message = `${method} ${quoted(name)}: ${reason}`;
    if (fault !== undefined) {
      this.#events.emit({ type: 'rule_failed', operation: { method, name }, reason, fault });
    }
    return new OperationRefusedError(message, { cause: fault });
  }
}

/** For rules, which may read the name in `params`, too. */
function renamed(operation: FoundOperation, name: string): McpOperation {
  const { kind, method, holder, member, params } = operation;
  return { kind, method, name, params: holder === params ? { ...params, [member]: name } : params };
}
