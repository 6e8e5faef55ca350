import { isJsonObject, member } from '../../core/lib/members.js';
import type { SessionAnswer } from '../upstream/legacy-session.js';
import type { Message } from '../upstream/reply-messages.js';
import { ofTask, relatedTaskOf } from '../wire/task-shapes.js';

const RESERVED = 'io.modelcontextprotocol/';
/** Of results of 2026-07-28, which earlier revisions do not have. */
const MODERN_MEMBERS = ['resultType', 'ttlMs', 'cacheScope'];

/** Without what belongs to one hop of the protocol; all other metadata goes along. */
export function withoutReserved(params: Message): Message {
  const meta = member(params, '_meta');
  if (!isJsonObject(meta)) return params;
  const kept = Object.entries(meta).filter(([name]) => !name.startsWith(RESERVED));
  if (kept.length > 0) return { ...params, _meta: Object.fromEntries(kept) };
  return without(params, ['_meta']);
}

/** What a client has answered, for the upstream that has asked: of the task that it has asked for, by its own id. */
export function answerTo(question: Message, answer: SessionAnswer): SessionAnswer {
  const result = member(answer, 'result');
  if (!isJsonObject(result)) return answer;
  const taskId = relatedTaskOf(question);
  const plain = withoutReserved(result);
  return { result: typeof taskId === 'string' ? ofTask(plain, taskId) : plain };
}

/** A result of 2026-07-28 for a client of an earlier revision. */
export function legacyResult(result: Message): Message {
  return withoutReserved(without(result, MODERN_MEMBERS));
}

/** A result of an earlier revision for a client of 2026-07-28. */
export function modernResult(result: Message, method: string): Message {
  const caching = method === 'resources/read' ? { ttlMs: 0, cacheScope: 'private' } : {};
  return { resultType: 'complete', ...caching, ...withoutReserved(result) };
}

function without(object: Message, names: readonly string[]): Message {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}
