import type { AuthplaneError } from './errors/authplane-error.js';
import { memberOf } from './lib/members.js';
import type { OperationKind } from './mcp/json-rpc.js';
import type { Caller } from './token/caller.js';

/** Who it was: what is verified of them, and no text of a credential. */
export interface EventCaller {
  readonly method: string;
  readonly resource: string;
  readonly issuer: string;
  readonly sub: string;
  readonly clientId: string;
}

/** What was asked for; `name` is text of the client, of any length. */
export interface EventOperation {
  readonly method: string;
  readonly name: string;
}

/** What has happened, as data. None of it holds a token, a proof, arguments or a result. */
export type AuthplaneEvent =
  /** A request was let in; once for each request. Made only while somebody listens to admissions. */
  | {
      readonly type: 'admitted';
      readonly caller: EventCaller;
      readonly operations: readonly EventOperation[];
    }
  /** A request was answered with an error of this package. */
  | {
      readonly type: 'refused';
      readonly by: 'guard' | 'handler';
      readonly error: AuthplaneError;
      readonly caller?: EventCaller;
      /** URI of the protected resource. */
      readonly resource?: string;
      /** What the message asked for, where it was one of JSON-RPC. */
      readonly operation?: EventOperation;
    }
  /** A handler that nobody can guard was about to run. */
  | { readonly type: 'refused_context'; readonly where: string; readonly context: string }
  /** Operations or tasks were answered as if they did not exist. */
  | {
      readonly type: 'hidden';
      readonly caller: EventCaller;
      readonly operations: readonly EventOperation[];
    }
  /** A request named a session of somebody else, or one whose answers nobody has seen begin. */
  | { readonly type: 'foreign_session'; readonly caller: EventCaller; readonly reason: string }
  /** A stream was to be resumed after an event that this caller was not sent; it began anew. */
  | { readonly type: 'foreign_event_id'; readonly caller: EventCaller }
  /** A scope rule of the application threw, or answered what is none. */
  | {
      readonly type: 'rule_failed';
      readonly operation: EventOperation;
      readonly reason: string;
      readonly fault: unknown;
    }
  /** A tool, resource or prompt was answered with an error of this package. */
  | {
      readonly type: 'operation_failed';
      readonly method: string;
      readonly error: AuthplaneError;
      /** Why its consent page is not shown to the user. */
      readonly pageProblem?: string | undefined;
    }
  /** An MCP server failed after the response was its own. */
  | { readonly type: 'server_failed'; readonly fault: unknown; readonly isClientGone: boolean }
  /** What no request waits for has failed: a refresh, or a check that may be left out. */
  | { readonly type: 'background_failure'; readonly error: AuthplaneError }
  /** A server lists nothing of a name that the options protect. */
  | { readonly type: 'unlisted_name'; readonly kind: OperationKind; readonly name: string }
  /** The application has started, and these resources are protected. */
  | {
      readonly type: 'protected';
      readonly resources: readonly string[];
      readonly issuer: string;
      readonly isReady: boolean;
    }
  /** The application has started, and anybody may call the MCP endpoints of these resources. */
  | { readonly type: 'open'; readonly resources: readonly string[] }
  /** What operators should know of the set-up, and what in it is probably not meant. */
  | { readonly type: 'set_up'; readonly text: string; readonly isDoubtful: boolean };

export type EventListener = (event: AuthplaneEvent) => void;

export interface ListenerOptions {
  /** Also what has gone well, which is what happens to most requests. Default `false`. */
  readonly admissions?: boolean;
}

/**
 * The one way from what happens to whoever has to know it: log, audit, telemetry. A listener is called at
 * once; what it throws or rejects with is dropped, because it must not change the answer to a client.
 */
export class Events {
  readonly #listeners = new Set<EventListener>();
  readonly #ofAdmissions = new Set<EventListener>();

  /** @returns what ends it. */
  onEvent(listener: EventListener, { admissions = false }: ListenerOptions = {}): () => void {
    this.#listeners.add(listener);
    if (admissions) this.#ofAdmissions.add(listener);
    return () => {
      this.#listeners.delete(listener);
      this.#ofAdmissions.delete(listener);
    };
  }

  /** To be asked before an `admitted` event is made. */
  get hearsAdmissions(): boolean {
    return this.#ofAdmissions.size > 0;
  }

  emit(event: AuthplaneEvent): void {
    const listeners = event.type === 'admitted' ? this.#ofAdmissions : this.#listeners;
    for (const listener of listeners) tell(listener, event);
  }
}

function tell(listener: EventListener, event: AuthplaneEvent): void {
  try {
    const told: unknown = listener(event);
    if (told instanceof Promise) told.catch(() => undefined);
  } catch {
    // The listener's own to report.
  }
}

/** What a message asks for; `undefined` for what is none, or is answered by nobody. */
export function eventOperation(message: unknown): EventOperation | undefined {
  const method = memberOf(message, 'method');
  if (typeof method !== 'string' || memberOf(message, 'id') === undefined) return undefined;
  const params = memberOf(message, 'params');
  const name = memberOf(params, 'name') ?? memberOf(params, 'uri');
  return { method, name: typeof name === 'string' ? name : '' };
}

export function eventCaller({ method, resource, claims }: Caller): EventCaller {
  const { issuer, sub, clientId } = claims;
  return { method, resource, issuer, sub, clientId };
}
