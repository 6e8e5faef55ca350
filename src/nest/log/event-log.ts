import { logText } from '../../core/lib/log-text.js';
import { type AuthplaneEvent, type EventOperation, Events } from '../../core/events.js';
import { quoted } from '../../core/lib/text.js';
import { onlyApplication } from '../http/running.js';
import { requests } from '../http/request.js';
import { PackageLogger } from './package-logger.js';
import { RefusalLog } from './refusal-log.js';
import { SparseWarnings } from './sparse-warnings.js';

type EventOf<Type extends AuthplaneEvent['type']> = Extract<
  AuthplaneEvent,
  { readonly type: Type }
>;

/** Writes what operators read, each line under the name of the part of this package that it is about. */
class EventLog {
  readonly #module = new PackageLogger('AuthplaneModule');
  readonly #guard = new PackageLogger('AuthplaneGuard');
  readonly #mcp = new PackageLogger('AuthplaneMcp');
  readonly #refusals = {
    guard: new RefusalLog(this.#guard),
    handler: new RefusalLog(new PackageLogger('AuthplaneExceptionFilter')),
  };
  readonly #mcpWarnings = new SparseWarnings(this.#mcp);
  readonly #clientWarnings = new SparseWarnings(new PackageLogger('AuthplaneClient'));

  write(event: AuthplaneEvent): void {
    switch (event.type) {
      case 'admitted':
        return;
      case 'refused':
        return this.#refusals[event.by].write(event.error);
      case 'refused_context':
        return this.#guard.error(contextText(event));
      case 'hidden':
        return this.#mcp.debug(hiddenText(event.operations));
      case 'foreign_session':
        return this.#mcp.warn(`refused a request to an MCP session ${event.reason}`);
      case 'foreign_event_id':
        return this.#mcp.debug('dropped a Last-Event-ID that this user and client was not sent');
      case 'rule_failed':
        return this.#mcp.error(`${operationText(event.operation)}: ${event.reason}`, event.fault);
      case 'operation_failed':
        return this.#operationFailed(event);
      case 'server_failed':
        return this.#serverFailed(event);
      case 'background_failure':
        return this.#clientWarnings.warn(event.error.message, event.error.message);
      case 'unlisted_name':
        return this.#mcp.warn(unlistedText(event));
      case 'protected':
        return this.#module.log(protectedText(event));
      case 'open':
        return this.#module.warn(`NOT protected: ${event.resources.join(', ')}`);
      case 'set_up':
        return event.isDoubtful ? this.#module.warn(event.text) : this.#module.log(event.text);
    }
  }

  /** What the answer to the client keeps to itself. */
  #operationFailed({ method, error, pageProblem }: EventOf<'operation_failed'>): void {
    this.#mcp.debug(`${method}: ${error.code}: ${logText(error)}`);
    if (pageProblem === undefined) return;
    this.#mcpWarnings.warn(
      'consent_url',
      `the authorization server's consent_url is not shown to users: ${pageProblem}`,
    );
  }

  #serverFailed({ fault, isClientGone }: EventOf<'server_failed'>): void {
    if (isClientGone) this.#mcp.debug('the client has gone away before the answer was complete');
    else this.#mcp.error('an MCP request failed', fault);
  }
}

/** Events that the log hears. */
export function loggedEvents(): Events {
  const events = new Events();
  const log = new EventLog();
  events.onEvent((event) => log.write(event));
  return events;
}

/** Of what belongs to no application: a server that is used without the module. */
let ofProcess: Events | undefined;

/** Those of the application that the running request belongs to, or of the only one that there is. */
export function runningEvents(): Pick<Events, 'emit'> {
  const { events } = requests.getStore()?.application ?? onlyApplication() ?? {};
  return events ?? (ofProcess ??= loggedEvents());
}

function contextText({ where, context }: EventOf<'refused_context'>): string {
  return (
    `refused ${where}: AuthplaneGuard protects HTTP handlers and the MCP handlers behind them, and this ` +
    `one runs in a "${context}" context`
  );
}

function hiddenText(operations: readonly EventOperation[]): string {
  const [first, ...others] = operations.map(operationText);
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  return `answered as if there were no such thing: ${first}${more}`;
}

function operationText({ method, name }: EventOperation): string {
  return `${method} ${quoted(name)}`;
}

function unlistedText({ kind, name }: EventOf<'unlisted_name'>): string {
  return (
    `mcp: the server lists no ${kind} ${quoted(name)}, so the entry of the options protects nothing: ` +
    'correct the name, unless it is registered later'
  );
}

function protectedText({ resources, issuer, isReady }: EventOf<'protected'>): string {
  const later = isReady ? '' : '; requests get 503 until it can be reached';
  return `protecting ${resources.join(', ')} with tokens of ${issuer}${later}`;
}
