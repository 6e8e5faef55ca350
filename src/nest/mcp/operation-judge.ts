import type { Events } from '../../core/events.js';
import { OperationRefusedError } from '../../core/errors/request-errors.js';
import { addScopeNeeds, NO_SCOPES, type ScopeNeeds } from '../../core/lib/scopes.js';
import { quoted } from '../../core/lib/text.js';
import { type FoundOperation, isOfMcp, type McpOperation } from '../../core/mcp/json-rpc.js';
import type { McpOptions } from '../../core/mcp/settings.js';
import type {
  OperationScopes,
  OperationVerdict,
  Refusal,
} from '../../core/mcp/operation-scopes.js';
import { type Caller, meetsNeeds } from '../../core/token/caller.js';
import type { HiddenName, McpHiding } from './answers/hiding.js';
import type { OperationTable } from './declared-operations.js';
import type { McpRequest } from './mcp-request.js';
import type { McpState } from './state/server-state.js';
import { ownerOf } from './state/state-owners.js';

/** What may be done with a request. */
export interface McpVerdict {
  /** The scopes that its operations need together. */
  readonly needs: ScopeNeeds;
  /** What must look to this caller as if it did not exist. */
  readonly hidden: readonly HiddenName[];
}

interface SeenVerdict extends OperationVerdict {
  readonly standIn?: string;
}

/** Which scopes the operations and tasks of a request need, and what of them is hidden from its caller. */
export class OperationJudge {
  readonly #refusesUnknown: boolean;
  readonly #table: OperationTable;
  readonly #tasks: McpState['tasks'];
  readonly #hiding: McpHiding;
  readonly #events: Events;

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

  /** @throws InvalidRequestError, OperationRefusedError */
  judge({ operations, tasks, problem }: McpRequest, caller: Caller): McpVerdict {
    if (problem !== undefined) throw problem;
    const hidden: HiddenName[] = [];
    const needs: ScopeNeeds[] = [];
    for (const operation of operations) {
      const verdict = this.#verdictOn(operation, caller);
      const seen: SeenVerdict = verdict.hidden ? this.#seenInstead(operation, caller) : verdict;
      if (seen.refusal !== undefined) throw this.#refused(operation, seen.refusal);
      if (seen.standIn !== undefined) hidden.push({ ...operation, standIn: seen.standIn });
      needs.push(seen.needs);
    }
    for (const task of tasks) {
      const needed = this.#needsOfTask(task.name, caller);
      if (needed === undefined) hidden.push(this.#hiding.hidden(task));
      else needs.push(needed);
    }
    return { needs: needs.length === 0 ? NO_SCOPES : addScopeNeeds(...needs), hidden };
  }

  /** Whether the list of tasks names it to this caller. */
  showsTask(taskId: string, caller: Caller): boolean {
    const needs = this.#needsOfTask(taskId, caller);
    return needs !== undefined && meetsNeeds(caller, needs);
  }

  #verdictOn(operation: FoundOperation, caller: Caller): OperationVerdict {
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
  #seenInstead(operation: FoundOperation, caller: Caller): SeenVerdict {
    for (const standIn of this.#hiding.standInsFor(operation)) {
      const verdict = this.#scopes.judge(renamed(operation, standIn), caller);
      if (!verdict.hidden) return { ...verdict, standIn };
    }
    return { needs: NO_SCOPES, hidden: true, refusal: { reason: 'its URI cannot be hidden' } };
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
