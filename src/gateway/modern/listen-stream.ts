import type { ServerResponse } from 'node:http';
import { type ChangeListener, EventStream } from '../changes/event-stream.js';
import { changesOf, type ListenFilter } from '../changes/listen-filter.js';
import { MODERN_TASK_NEWS } from '../wire/task-shapes.js';
import type { RequestId } from '../wire/json-rpc-answer.js';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

/** One stream of changes to one client of 2026-07-28. */
export class ListenStream implements ChangeListener {
  readonly closed: Promise<unknown>;
  readonly #events: EventStream;
  readonly #id: RequestId;
  readonly #changes: ReadonlySet<string>;
  readonly #uris: ReadonlySet<string>;
  readonly #tasks: ReadonlySet<unknown>;

  constructor(response: ServerResponse, id: RequestId, filter: ListenFilter) {
    this.#id = id;
    this.#changes = new Set(changesOf(filter));
    this.#uris = new Set(filter.resourceSubscriptions);
    this.#tasks = new Set(filter.taskIds);
    this.#events = new EventStream(response, (method) => this.#notify(method, {}));
    this.closed = this.#events.closed;
    this.#notify('notifications/subscriptions/acknowledged', { notifications: filter });
    if (this.#changes.size + this.#uris.size + this.#tasks.size === 0) this.end();
  }

  changed(method: string): void {
    if (this.#changes.has(method)) this.#events.changed(method);
  }

  listsChanged(): void {
    for (const method of this.#changes) this.changed(method);
  }

  updated(uri: string): void {
    if (this.#uris.has(uri)) this.#notify('notifications/resources/updated', { uri });
  }

  /** @param task as `tasks/get` would have it, with the id that the client knows. */
  toldOfTask(task: Readonly<Record<string, unknown>>): void {
    if (this.#tasks.has(task['taskId'])) this.#notify(MODERN_TASK_NEWS, task);
  }

  /** With the result that says that it ended well. */
  end(): void {
    const result = { resultType: 'complete', _meta: { [SUBSCRIPTION]: this.#id } };
    this.#events.send({ jsonrpc: '2.0', id: this.#id, result });
    this.#events.end();
  }

  #notify(method: string, params: object): void {
    const stamped = { ...params, _meta: { [SUBSCRIPTION]: this.#id } };
    this.#events.send({ jsonrpc: '2.0', method, params: stamped });
  }
}
