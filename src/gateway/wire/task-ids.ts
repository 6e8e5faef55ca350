import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Generations } from '../../core/lib/generations.js';
import { RELATED_TASK } from '../../core/mcp/json-rpc.js';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';

type Message = Readonly<Record<string, unknown>>;

/** A task of an upstream. */
export interface UpstreamTask {
  readonly upstream: string;
  readonly taskId: string;
  /** The upstream's own name of the tool that has made it; `undefined`: this process has not seen that. */
  readonly tool: string | undefined;
}

const LONGEST = 4096;
const REMEMBERED = 10_000;

/**
 * Ids of tasks as clients see them: they name the upstream, and are good for the caller alone whose call has
 * made the task. Nothing is kept, so that another process with the same secret knows them as well.
 */
export class TaskIds {
  readonly #secret: string | Buffer;
  readonly #tools = new Generations<string>(REMEMBERED);

  /** @param secret of all processes; `undefined`: of this one alone. */
  constructor(secret: string | undefined) {
    this.#secret = secret ?? randomBytes(32);
  }

  /** @param tool that has made the task, by the upstream's own name. */
  wrap(taskId: string, { upstream, callerKey, tool }: TaskOwner): string {
    const payload = Buffer.from(JSON.stringify([upstream, taskId])).toString('base64url');
    const id = `${payload}.${this.#mac(payload, callerKey)}`;
    if (tool !== undefined) this.#tools.set(id, tool);
    return id;
  }

  /** @returns `undefined` for what is no task of this caller. */
  unwrap(id: unknown, callerKey: string): UpstreamTask | undefined {
    if (typeof id !== 'string' || id.length > LONGEST) return undefined;
    const [payload = '', mac = ''] = id.split('.', 2);
    const expected = this.#mac(payload, callerKey);
    if (!isSame(mac, expected) || id !== `${payload}.${expected}`) return undefined;
    const [upstream, taskId] = JSON.parse(Buffer.from(payload, 'base64url').toString()) as string[]; // our own
    return { upstream: upstream ?? '', taskId: taskId ?? '', tool: this.#tools.get(id) };
  }

  /** A message of an upstream, in which its tasks have ids of ours. */
  wrapIn(message: Message, owner: TaskOwner): Message {
    const place = Object.hasOwn(message, 'result') ? 'result' : 'params';
    const body = member(message, place);
    if (!isJsonObject(body)) return message;
    const task = member(body, 'task');
    const tasks = member(body, 'tasks');
    const related = memberOf(memberOf(body, '_meta'), RELATED_TASK);
    const changed = {
      ...(typeof member(body, 'taskId') === 'string' ? this.#renamed(body, owner) : {}),
      ...(hasTaskId(task) ? { task: this.#renamed(task, owner) } : {}),
      ...(Array.isArray(tasks) ? { tasks: this.#allRenamed(tasks, owner) } : {}),
      ...(hasTaskId(related)
        ? { _meta: { ...objectOf(body['_meta']), [RELATED_TASK]: this.#renamed(related, owner) } }
        : {}),
    };
    if (Object.keys(changed).length === 0) return message;
    return { ...message, [place]: { ...body, ...changed } };
  }

  #allRenamed(tasks: readonly unknown[], owner: TaskOwner): readonly unknown[] {
    return tasks.map((one) => (hasTaskId(one) ? this.#renamed(one, owner) : one));
  }

  #renamed(task: Message, owner: TaskOwner): Message {
    return { ...task, taskId: this.wrap(String(task['taskId']), owner) };
  }

  #mac(payload: string, callerKey: string): string {
    const text = JSON.stringify([payload, callerKey]);
    return createHmac('sha256', this.#secret).update(text).digest('base64url');
  }
}

/** Whose task it is. */
export interface TaskOwner {
  readonly upstream: string;
  readonly callerKey: string;
  readonly tool?: string | undefined;
}

function objectOf(value: unknown): Message {
  return isJsonObject(value) ? value : {};
}

function hasTaskId(value: unknown): value is Message {
  return isJsonObject(value) && typeof member(value, 'taskId') === 'string';
}

function isSame(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)];
  return first.length === second.length && timingSafeEqual(first, second);
}
