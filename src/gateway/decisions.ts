import { type EventOperation, eventOperation, type Events } from '../core/events.js';
import { answerFor } from '../core/error-answers.js';
import { AuthplaneError } from '../core/errors/authplane-error.js';
import { ConsentRequiredError } from '../core/errors/oauth-errors.js';
import { InsufficientScopeError } from '../core/errors/token-errors.js';
import type { Caller } from '../core/token/caller.js';
import type { McpServe } from '../mcp/serve-mcp.js';
import { RpcError, UnknownOperationError, UpstreamError } from './wire/gateway-errors.js';

/**
 * `answered`: by the upstream or from its list, also with an error of its own. `refused`: by the guard, by the
 * authorization server or by the upstream. `consent`: the user is asked first. `failed`: no answer that can be
 * used. `cancelled`: the client has gone away.
 */
export type DecisionOutcome = 'answered' | 'refused' | 'consent' | 'failed' | 'cancelled';

/** Whose credential was good. */
export interface DecisionCaller {
  /** Issuer of the token. */
  readonly issuer: string;
  /** The user. */
  readonly sub: string;
  /** The client that acts for the user. */
  readonly clientId: string;
}

/** How one request of a client ended. None of it holds a token, arguments or a result. */
export interface GatewayDecision {
  /** When the request came, or was refused. */
  readonly at: Date;
  /** Who asked; `undefined`: nobody whose credential is good. */
  readonly caller: DecisionCaller | undefined;
  /** URI of the resource that it was sent to. */
  readonly resource: string;
  /** JSON-RPC method. Text of the client, cut to 128 characters; empty for what is no message. */
  readonly method: string;
  /** Exposed name or URI. Text of the client, cut to 128 characters; empty where the method names nothing. */
  readonly name: string;
  /** Name of the upstream that it was for; `undefined`: none, or nobody knows. */
  readonly upstream: string | undefined;
  /** How it ended. */
  readonly outcome: DecisionOutcome;
  /** Code of the error, as in `docs/errors.md`; `undefined` when it was answered. */
  readonly code: string | undefined;
  /** Scopes that the caller would have needed; empty unless some are missing. */
  readonly scopes: readonly string[];
  /** Until the last byte of the answer; 0 for what the guard refused. */
  readonly durationMs: number;
}

/** Called at once; what it throws is dropped. */
export type DecisionListener = (decision: GatewayDecision) => void;

type Told = Pick<GatewayDecision, 'at' | 'caller' | 'resource' | 'upstream' | 'durationMs'> & {
  readonly operation: EventOperation | undefined;
};

const LONGEST_TEXT = 128;

/** Tells how requests end. Nothing is made of it where nobody listens. */
export class GatewayDecisions {
  readonly #listeners = new Set<DecisionListener>();
  readonly #events: Pick<Events, 'onEvent'>;
  readonly #isOurs: (resource: string) => boolean;
  #endGuard: () => void = () => undefined;

  /** @param isOurs whether a URI is that of the gateway, or one of its: requests for it the guard may refuse. */
  constructor(events: Pick<Events, 'onEvent'>, isOurs: (resource: string) => boolean) {
    this.#events = events;
    this.#isOurs = isOurs;
  }

  /** @returns what ends it. */
  onDecision(listener: DecisionListener): () => void {
    if (this.#listeners.size === 0) this.#hearGuard();
    const mine: DecisionListener = (decision) => listener(decision); // one for each call
    this.#listeners.add(mine);
    return () => {
      this.#listeners.delete(mine);
      if (this.#listeners.size === 0) this.#endGuard();
    };
  }

  #hearGuard(): void {
    this.#endGuard = this.#events.onEvent((event) => {
      if (event.type !== 'refused' || event.by !== 'guard') return;
      const { caller, operation, error, resource } = event;
      if (resource === undefined || !this.#isOurs(resource)) return;
      const told = { at: new Date(), caller, operation, resource };
      this.#tell({ ...told, upstream: undefined, durationMs: 0 }, error);
    });
  }

  /**
   * @param client aborted when it goes away before it has the answer.
   * @returns `undefined` where nobody listens, and for what has no answer.
   */
  begin(
    body: unknown,
    { claims, resource }: Caller,
    client: AbortSignal,
  ): PendingDecision | undefined {
    if (this.#listeners.size === 0) return undefined;
    const operation = eventOperation(body);
    if (operation === undefined) return undefined;
    const at = new Date();
    const since = performance.now();
    const { issuer, sub, clientId } = claims;
    const told = { at, operation, resource, caller: { issuer, sub, clientId } };
    return new PendingDecision(client, (upstream, error) => {
      const durationMs = performance.now() - since;
      this.#tell({ ...told, upstream, durationMs }, error);
    });
  }

  #tell({ operation, caller, ...told }: Told, error: unknown): void {
    const decision: GatewayDecision = {
      ...told,
      caller: caller && { issuer: caller.issuer, sub: caller.sub, clientId: caller.clientId },
      method: (operation?.method ?? '').slice(0, LONGEST_TEXT),
      name: (operation?.name ?? '').slice(0, LONGEST_TEXT),
      outcome: outcomeOf(error),
      code: codeOf(error),
      scopes: error instanceof InsufficientScopeError ? error.requiredScopes : [],
    };
    for (const listener of this.#listeners) {
      try {
        listener(decision);
      } catch {
        // The listener's own to report.
      }
    }
  }
}

/** A request that is being answered. The first ending counts. */
export class PendingDecision {
  #upstream: string | undefined;
  #end: ((upstream: string | undefined, error: unknown) => void) | undefined;

  readonly #client: AbortSignal;

  constructor(client: AbortSignal, end: (upstream: string | undefined, error: unknown) => void) {
    this.#client = client;
    this.#end = end;
  }

  readonly onRoute = (upstream: string): void => {
    this.#upstream = upstream;
  };

  /** @param error why it was not answered; none: it was. */
  end(error?: unknown): void {
    const end = this.#end;
    this.#end = undefined;
    const upstream = error instanceof UpstreamError ? error.upstream : this.#upstream;
    end?.(upstream, this.#client.aborted ? CANCELLED : error);
  }

  /** Ends with the answer, or with what keeps it from being given. */
  async follow(answer: () => Promise<McpServe>): Promise<McpServe> {
    const failed = (error: unknown): never => {
      this.end(error);
      throw error;
    };
    const serve = await answer().catch(failed);
    return async (...exchange) => {
      await Promise.resolve(serve(...exchange)).catch(failed);
      this.end();
    };
  }
}

/** In place of whatever went wrong when nobody waited any more. */
const CANCELLED = Symbol('cancelled');

function outcomeOf(error: unknown): DecisionOutcome {
  if (isAnswer(error)) return 'answered';
  if (error === CANCELLED) return 'cancelled';
  if (error instanceof ConsentRequiredError) return 'consent';
  if (error instanceof UnknownOperationError) return 'refused';
  if (error instanceof UpstreamError && error.code === 'upstream_refused') return 'refused';
  return answerFor(error).status < 500 ? 'refused' : 'failed';
}

/** An error of JSON-RPC is what the client has asked for. */
function isAnswer(error: unknown): boolean {
  return error === undefined || error instanceof RpcError;
}

function codeOf(error: unknown): string | undefined {
  if (isAnswer(error) || error === CANCELLED) return undefined;
  return error instanceof AuthplaneError ? error.code : 'internal_error';
}
