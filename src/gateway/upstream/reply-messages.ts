import { isJsonObject, member } from '../../core/lib/members.js';
import { UpstreamError } from '../wire/gateway-errors.js';
import { eventsOf, parsed, readText } from '../wire/read-message.js';
import { rpcErrorOf } from './modern-rpc.js';
import type { Upstream, UpstreamReply } from './upstream.js';

export type Message = Readonly<Record<string, unknown>>;

const MAX_BYTES = 10_485_760;

/**
 * The messages of an answer, as they come. What is no message is left out.
 *
 * @throws UpstreamError when it breaks off, or cannot be read.
 */
export async function* messagesOf(
  upstream: Pick<Upstream, 'error'>,
  { body, isEvents }: UpstreamReply,
): AsyncGenerator<Message> {
  try {
    if (!isEvents) {
      yield* messagesIn(await readText(body, MAX_BYTES));
      return;
    }
    for await (const data of eventsOf(body, MAX_BYTES)) {
      yield* messagesIn(data);
    }
  } catch (error) {
    body.destroy();
    if (error instanceof UpstreamError) throw error;
    throw upstream.error('upstream_failed', 'its answer cannot be read', { cause: error });
  }
}

/**
 * An answer as JSON-RPC has it: a result or an error, which is read first, and nothing else.
 *
 * @throws UpstreamError for what is neither.
 */
export function responseOf(upstream: Pick<Upstream, 'error'>, message: Message): Message {
  const id = member(message, 'id');
  const error = member(message, 'error');
  if (isJsonObject(error)) return { jsonrpc: '2.0', id, error: rpcErrorOf(error, 200).rpc };
  const result = member(message, 'result');
  if (isJsonObject(result)) return { jsonrpc: '2.0', id, result };
  throw upstream.error('upstream_failed', 'its answer has no result', {});
}

/** Of 2025-03-26 several may come together. */
function messagesIn(text: string): readonly Message[] {
  const message = parsed(text);
  return (Array.isArray(message) ? message : [message]).filter(isJsonObject);
}
