import type { EventOperation } from '../../core/events.js';
import { OperationRefusedError } from '../../core/errors/request-errors.js';
import { InsufficientScopeError, TokenMissingError } from '../../core/errors/token-errors.js';
import { type Eventually, whenKnown } from '../../core/lib/deadline.js';
import { NO_SCOPES, type ScopeNeeds, sumOfAll, sumOfNeeds } from '../../core/lib/scopes.js';
import type { AuthplaneResource } from '../../core/resource.js';
import type { Caller } from '../../core/token/caller.js';
import type { HttpExchange } from '../http/exchange.js';
import type { RulesAsked } from '../http/request.js';
import type { OperationTable } from './declared-operations.js';
import type { EndpointAnswers } from './endpoint-answers.js';
import type { McpRequest } from './mcp-request.js';
import type { McpVerdict, OperationJudge } from './operation-judge.js';

/**
 * A request to an MCP server before its caller is known. It is noted with the request, and so it does not hold
 * the answer; see `RequestState`.
 */
export interface Inspection {
  /** It certainly is for an MCP server. */
  readonly isMcp: boolean;
  /** Somebody without any credential may ask. */
  readonly admitsAnybody: boolean;
  /** What a caller without credentials is told to ask for. */
  readonly announcedNeeds: ScopeNeeds;
  /** What the body asks for by name. */
  readonly operations: readonly EventOperation[];
  /**
   * Whether this caller may go on.
   *
   * @throws SessionNotFoundError, InvalidRequestError, OperationRefusedError, InsufficientScopeError
   */
  judge(exchange: HttpExchange, caller: Caller): Eventually<void>;
  /** What the judged operations ask of their caller besides scopes. */
  readonly rules: readonly RulesAsked[];
  /**
   * Sees to it that the answer says nothing that the judged caller must not know of. The last step: nothing
   * may refuse the request after it.
   */
  admit(exchange: HttpExchange, caller: Caller): void;
  /** Both once more, by what the server has taught since. */
  admitAgain(exchange: HttpExchange, caller: Caller): Eventually<void>;
}

/** What messages to one resource are judged by. */
export interface MessageRules {
  readonly resource: Pick<AuthplaneResource, 'requireScopes'>;
  readonly table: OperationTable;
  readonly judge: OperationJudge;
  readonly answers: EndpointAnswers;
  /** @throws SessionNotFoundError for a session that somebody else has opened. */
  requireOwnSession(exchange: HttpExchange, caller: Caller): void;
}

const NOTHING_HIDDEN: McpVerdict = Object.freeze({ needs: NO_SCOPES, hidden: [], rules: [] });

/** Of a request that certainly is one to an MCP server. */
export class MessageInspection implements Inspection {
  readonly isMcp = true;
  readonly admitsAnybody: boolean;
  readonly #by: MessageRules;
  readonly #asked: McpRequest;
  readonly #needs: ScopeNeeds;
  #verdict = NOTHING_HIDDEN;

  /** @param needs of the handler. */
  constructor(by: MessageRules, asked: McpRequest, needs: ScopeNeeds, admitsAnybody: boolean) {
    this.admitsAnybody = admitsAnybody;
    this.#by = by;
    this.#asked = asked;
    this.#needs = needs;
  }

  get operations(): readonly EventOperation[] {
    return this.#asked.operations;
  }

  get announcedNeeds(): ScopeNeeds {
    const { scopes } = this.#by.table;
    return sumOfAll(this.#asked.operations.map((one) => scopes.announcedNeeds(one)));
  }

  get rules(): readonly RulesAsked[] {
    return this.#verdict.rules;
  }

  judge(exchange: HttpExchange, caller: Caller): Eventually<void> {
    this.#by.requireOwnSession(exchange, caller);
    return caller.isAnonymous === true ? this.#judgeAnybody(caller) : this.#judge(caller);
  }

  admit(exchange: HttpExchange, caller: Caller): void {
    const { answers } = this.#by;
    answers.watch(exchange, caller);
    answers.conceal(exchange, caller, this.#asked, this.#verdict);
  }

  admitAgain(exchange: HttpExchange, caller: Caller): Eventually<void> {
    return whenKnown(this.#judge(caller), () =>
      this.#by.answers.conceal(exchange, caller, this.#asked, this.#verdict),
    );
  }

  #judge(caller: Caller): Eventually<void> {
    const judged = this.#by.judge.judge(this.#asked, caller);
    return judged instanceof Promise
      ? this.#requireLater(judged, caller)
      : this.#require(judged, caller);
  }

  async #requireLater(judged: Promise<McpVerdict>, caller: Caller): Promise<void> {
    this.#require(await judged, caller);
  }

  #require(verdict: McpVerdict, caller: Caller): void {
    this.#verdict = verdict;
    const needs = sumOfNeeds(this.#needs, verdict.needs);
    this.#by.resource.requireScopes(caller.claims, needs);
    if (caller.isAnonymous === true) requireNothing(needs);
  }

  /** @throws TokenMissingError for whatever a caller is needed for. */
  #judgeAnybody(caller: Caller): Eventually<void> {
    const { isOpen, tasks } = this.#asked;
    if (!isOpen || tasks.length > 0) throw new TokenMissingError();
    try {
      return this.#judge(caller);
    } catch (error) {
      const needsCaller =
        error instanceof InsufficientScopeError || error instanceof OperationRefusedError;
      throw needsCaller ? new TokenMissingError() : error;
    }
  }
}

/** Of a GET on a path that is no endpoint: it is a stream of MCP if its first event says so. */
export class MaybeStreamInspection implements Inspection {
  readonly isMcp = false;
  readonly admitsAnybody = false;
  readonly announcedNeeds = NO_SCOPES;
  readonly operations = [];
  readonly rules = [];
  readonly #by: Pick<MessageRules, 'resource' | 'answers'>;
  readonly #needs: ScopeNeeds;

  constructor(by: Pick<MessageRules, 'resource' | 'answers'>, needs: ScopeNeeds) {
    this.#by = by;
    this.#needs = needs;
  }

  judge(_exchange: HttpExchange, caller: Caller): void {
    this.#by.resource.requireScopes(caller.claims, this.#needs);
  }

  admit(exchange: HttpExchange, caller: Caller): void {
    this.#by.answers.watchMaybeStream(exchange, caller);
  }

  admitAgain(exchange: HttpExchange, caller: Caller): void {
    this.judge(exchange, caller);
  }
}

function requireNothing({ all, anyOf, rules }: ScopeNeeds): void {
  if (all.length + anyOf.length > 0 || rules !== undefined) throw new TokenMissingError();
}
