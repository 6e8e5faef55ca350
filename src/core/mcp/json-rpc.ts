import { isJsonObject, member as memberIn, memberOf, textOf } from '../lib/members.js';
import { InvalidRequestError } from '../errors/request-errors.js';
import { MAX_URI_LENGTH } from './uri-table.js';

/**
 * What scopes can be asked for: everything an MCP server offers by name or URI, and JSON-RPC methods of
 * its own.
 */
export type OperationKind = 'tool' | 'resource' | 'prompt' | 'method';

/** One use of a tool, resource, prompt or method, as a JSON-RPC message asks for it. */
export interface McpOperation {
  /** What it uses; `method` for any other JSON-RPC method. */
  readonly kind: OperationKind;
  /** JSON-RPC method, such as `tools/call`. */
  readonly method: string;
  /** Name of the tool or prompt, URI of the resource, the method itself. */
  readonly name: string;
  /** `params` of the message, unchecked. */
  readonly params: unknown;
}

/** Where in the parsed body a name stands. */
export interface FoundName {
  readonly method: string;
  readonly name: string;
  readonly holder: object;
  readonly member: string | number;
}

/** An operation and where in the parsed body its name stands. */
export interface FoundOperation extends McpOperation, FoundName {}

/** As many as both MCP SDKs take. */
const MAX_BATCH = 100;
/** In one request: each is looked up, also for callers who have shown no token. */
const MAX_OPERATIONS = 1000;

export const LISTEN = 'subscriptions/listen';

/** One message: what several questions ask of it is looked up once. */
class Message {
  readonly method: string | undefined;
  #params: object | null | undefined;

  constructor(readonly json: object) {
    this.method = textOf(memberIn(json, 'method'));
  }

  /** @throws InvalidRequestError for a member named `__proto__` */
  get params(): object | undefined {
    if (this.#params === undefined) this.#params = ownObject(this.json, 'params') ?? null;
    return this.#params ?? undefined;
  }
}

/** The messages of a body, for several questions about it. */
class Messages {
  constructor(readonly all: readonly Message[]) {}
}

/** To be asked about in the place of the body. @throws InvalidRequestError as {@link operationsOf} */
export function messagesIn(body: unknown): object {
  return new Messages(messagesOf(body));
}

interface Members {
  readonly jsonrpc?: unknown;
  readonly method?: unknown;
}

type Finder = (method: string, params: object) => FoundOperation[];

/** Which members name what, per method. Anything else needs no more than the endpoint itself. */
const FINDERS: ReadonlyMap<string, Finder> = new Map([
  ['tools/call', named('tool', 'name')],
  ['prompts/get', named('prompt', 'name')],
  ['resources/read', named('resource', 'uri')],
  ['resources/subscribe', named('resource', 'uri')],
  ['resources/unsubscribe', named('resource', 'uri')],
  ['completion/complete', completed],
  [LISTEN, listenedTo],
]);

/** What asks for a task by its id (2025-11-25), or does so in the extension for 2026-07-28. */
const TASK_METHODS: ReadonlySet<string> = new Set([
  'tasks/get',
  'tasks/result',
  'tasks/cancel',
  'tasks/update',
]);
export const RELATED_TASK = 'io.modelcontextprotocol/related-task';
const CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

const LISTS: ReadonlyMap<string, OperationKind> = new Map([
  ['tools/list', 'tool'],
  ['resources/list', 'resource'],
  ['resources/templates/list', 'resource'],
  ['prompts/list', 'prompt'],
]);
const NO_LISTS: readonly OperationKind[] = Object.freeze([]);
const NOTHING_FOUND: readonly FoundOperation[] = Object.freeze([]);

/** What clients may send in revisions up to 2026-07-28, the extension for tasks included. */
const MCP_METHODS: ReadonlySet<string> = new Set([
  ...FINDERS.keys(),
  ...LISTS.keys(),
  ...TASK_METHODS,
  'tasks/list',
  'initialize',
  'ping',
  'logging/setLevel',
  'server/discover',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/elicitation/complete',
  'notifications/tasks/status',
]);

/**
 * Every operation of a parsed JSON-RPC body, single or batch. Read the very object that the MCP server
 * gets, or the two may disagree about it.
 *
 * A message that is no request needs no scopes, and the server answers it with an error of its own. The
 * `method` alone makes a request: a server that is careless about `id` must not be a way around this.
 *
 * @throws InvalidRequestError for a batch or a URI that is too long, for too many operations, for names that are no
 * texts, and for members named `__proto__`, which validating libraries may copy into the prototype of what is read.
 */
export function operationsOf(body: unknown): FoundOperation[] {
  const operations: FoundOperation[] = [];
  for (const message of messagesOf(body)) {
    for (const operation of operationsIn(message)) operations.push(operation);
    if (operations.length > MAX_OPERATIONS) throw tooManyError('operations in a request');
  }
  return operations;
}

/**
 * Whether the body is JSON-RPC 2.0, or a batch that has some: one message with a `method` is enough, and
 * a `method` of MCP that names or lists operations is one without `jsonrpc`, too, because servers differ
 * in whether they ask for it. To tell messages from other JSON on paths that may be anything.
 */
export function isJsonRpc(body: unknown): boolean {
  return (Array.isArray(body) ? body : [body]).some(
    (message) => isJsonObject(message) && isCall(message),
  );
}

/** What the body asks for lists of: tools, resources and their templates, prompts. */
export function listsIn(body: unknown): readonly OperationKind[] {
  const messages = messagesOf(body);
  if (!messages.some(({ method = '' }) => LISTS.has(method))) return NO_LISTS;
  return messages.flatMap(({ method = '' }) => LISTS.get(method) ?? []);
}

/** 2026-07-28: whether the body opens a stream of updates, which has no end of its own. */
export function asksForUpdates(body: unknown): boolean {
  return messagesOf(body).some(({ method }) => method === LISTEN);
}

/**
 * Every task that requests of a parsed body name: what `tasks/get` and its kind ask for, `subscriptions/listen` is to
 * tell of, or a request says it belongs to. Answers and notifications are about tasks of the client.
 *
 * @throws InvalidRequestError as {@link operationsOf}
 */
export function tasksOf(body: unknown): FoundName[] {
  const tasks: FoundName[] = [];
  for (const { json, method, params } of messagesOf(body)) {
    if (method === undefined || params === undefined || !Object.hasOwn(json, 'id')) continue;
    if (TASK_METHODS.has(method)) tasks.push(...foundTask(method, params));
    const news = method === LISTEN ? newsIn(params, 'taskIds') : undefined;
    if (news !== undefined) tasks.push(...news.flatMap((_, at) => foundTask(method, news, at)));
    const meta = ownObject(params, '_meta');
    const related = meta && ownObject(meta, RELATED_TASK);
    if (related !== undefined) tasks.push(...foundTask(method, related));
  }
  return tasks;
}

/** Whether the body asks which tasks there are. */
export function asksForTasks(body: unknown): boolean {
  return messagesOf(body).some(({ method }) => method === 'tasks/list');
}

/**
 * Whether an answer to this body may be a task: the client asks for one (2025-11-25), or says that it
 * can handle one (the extension for 2026-07-28).
 */
export function mayMakeTask(body: unknown): boolean {
  return messagesOf(body).some(({ params }) => {
    const meta = params && ownObject(params, '_meta');
    const capabilities = meta && ownObject(meta, CLIENT_CAPABILITIES);
    const extensions = capabilities && ownObject(capabilities, 'extensions');
    return (
      (params !== undefined && Object.hasOwn(params, 'task')) ||
      (extensions !== undefined && Object.hasOwn(extensions, TASKS_EXTENSION))
    );
  });
}

/** Every message of the body as the use of its method, for servers with methods of their own. */
export function methodsOf(body: unknown): FoundOperation[] {
  return messagesOf(body).flatMap(({ json, method = '' }) =>
    found('method', method, memberIn(json, 'params'), json, 'method'),
  );
}

/** What anybody may send who has shown no credential, as far as what it names needs none. */
const OPEN_METHODS: ReadonlySet<string> = new Set([
  ...FINDERS.keys(),
  ...LISTS.keys(),
  'initialize',
  'server/discover',
  'ping',
  'logging/setLevel',
]);

/** Whether all messages of the body are such that may need no caller; answers to the server are. */
export function isOpen(body: unknown): boolean {
  return messagesOf(body).every(({ json, method }) => {
    if (method === undefined) return !Object.hasOwn(json, 'method');
    return OPEN_METHODS.has(method) || (isOfMcp(method) && method.startsWith('notifications/'));
  });
}

/** Whether the MCP specification has this method, in any revision. */
export function isOfMcp(method: string): boolean {
  return MCP_METHODS.has(method);
}

/** Another name in the body. Only the guard does this, for what a caller must not see. */
export function renameOperation({ holder, member }: FoundName, name: string): void {
  Object.assign(holder, { [member]: name });
}

function operationsIn(message: Message): readonly FoundOperation[] {
  const { method, params } = message;
  const finder = method === undefined ? undefined : FINDERS.get(method);
  if (method === undefined || finder === undefined) return NOTHING_FOUND;
  return params === undefined ? NOTHING_FOUND : finder(method, params);
}

/** `__proto__` counts as a copying library would read it, so that {@link operationsOf} can refuse it. */
function isCall(message: object): boolean {
  const copied: unknown = memberIn(message, '__proto__');
  const { jsonrpc, method } = { ...(isJsonObject(copied) ? copied : {}), ...message } as Members;
  return typeof method === 'string' && (jsonrpc === '2.0' || isKnown(method));
}

function isKnown(method: string): boolean {
  return FINDERS.has(method) || LISTS.has(method);
}

function messagesOf(body: unknown): readonly Message[] {
  if (body instanceof Messages) return body.all;
  if (!Array.isArray(body)) return isJsonObject(body) ? [new Message(withoutPrototype(body))] : [];
  if (body.length > MAX_BATCH) {
    throw new InvalidRequestError(`a batch of ${body.length} messages; at most ${MAX_BATCH}`);
  }
  return body.filter(isJsonObject).map((json) => new Message(withoutPrototype(json)));
}

function named(kind: OperationKind, member: string): Finder {
  return (method, params) => found(kind, method, params, params, member);
}

/** `ref` names a prompt or the URI template of a resource; its `type` is not trusted. */
function completed(method: string, params: object): FoundOperation[] {
  const ref = ownObject(params, 'ref');
  if (ref === undefined) return [];
  return [
    ...found('prompt', method, params, ref, 'name'),
    ...found('resource', method, params, ref, 'uri'),
  ];
}

/** 2026-07-28: one stream for the updates of many resources, and tasks. */
function newsIn(params: object, name: string): unknown[] {
  const asked: unknown = memberOf(ownObject(params, 'notifications'), name);
  if (!Array.isArray(asked)) return [];
  if (asked.length > MAX_OPERATIONS) throw tooManyError('subscriptions in a message');
  return asked;
}

function listenedTo(method: string, params: object): FoundOperation[] {
  const uris = newsIn(params, 'resourceSubscriptions');
  return uris.flatMap((_, at) => found('resource', method, params, uris, at));
}

function tooManyError(what: string): InvalidRequestError {
  return new InvalidRequestError(`too many ${what}; at most ${MAX_OPERATIONS}`);
}

function found(
  kind: OperationKind,
  method: string,
  params: unknown,
  holder: object,
  member: string | number,
): FoundOperation[] {
  const name = nameIn(holder, member);
  if (name === undefined) return [];
  if (kind === 'resource' && name.length > MAX_URI_LENGTH) {
    throw new InvalidRequestError(`a URI of ${name.length} characters; at most ${MAX_URI_LENGTH}`);
  }
  return [{ kind, method, name, params, holder, member }];
}

function foundTask(method: string, holder: object, member: string | number = 'taskId') {
  const name = nameIn(holder, member);
  return name === undefined ? [] : [{ method, name, holder, member }];
}

/** A server that makes a text of what is none, `["uri"]` for example, would find what was not judged. */
function nameIn(holder: object, member: string | number): string | undefined {
  const name = memberIn(holder, member);
  if (name === undefined || typeof name === 'string') return name;
  throw new InvalidRequestError(`${JSON.stringify(member)} of a message is no text`);
}

function ownObject(object: object, member: string): object | undefined {
  const value = memberIn(object, member);
  return isJsonObject(value) ? withoutPrototype(value) : undefined;
}

function withoutPrototype(object: object): object {
  if (!Object.hasOwn(object, '__proto__')) return object;
  throw new InvalidRequestError('a member named __proto__ in a JSON-RPC message');
}

/** What the answer to a request repeats; `undefined` for a message that has no answer of its own. */
export function requestIdIn(message: unknown, name = 'id'): string | number | undefined {
  const id = memberOf(message, name);
  return typeof id === 'string' || typeof id === 'number' ? id : undefined;
}
