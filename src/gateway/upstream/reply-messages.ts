import { isJsonObject } from '../../core/lib/members.js';
import { eventsOf, readText } from '../wire/read-message.js';
import type { UpstreamReply } from './upstream.js';

export type Message = Readonly<Record<string, unknown>>;

const MAX_BYTES = 10_485_760;

/** The messages of an answer, as they come. What is no message is left out. */
export async function* messagesOf({ body, isEvents }: UpstreamReply): AsyncGenerator<Message> {
  if (!isEvents) {
    yield* messagesIn(await readText(body, MAX_BYTES));
    return;
  }
  for await (const data of eventsOf(body, MAX_BYTES)) {
    yield* messagesIn(data);
  }
}

/** Of 2025-03-26 several may come together. */
function messagesIn(text: string): readonly Message[] {
  try {
    const message: unknown = JSON.parse(text);
    return (Array.isArray(message) ? message : [message]).filter(isJsonObject);
  } catch {
    return [];
  }
}
