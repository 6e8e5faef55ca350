import { isJsonObject } from '../../core/lib/members.js';
import { eventsOf, readText } from '../wire/read-message.js';
import type { UpstreamReply } from './upstream.js';

export type Message = Readonly<Record<string, unknown>>;

const MAX_BYTES = 10_485_760;

/** The messages of an answer, as they come. What is no message is left out. */
export async function* messagesOf({ body, isEvents }: UpstreamReply): AsyncGenerator<Message> {
  if (!isEvents) {
    const message = parsed(await readText(body, MAX_BYTES));
    if (message !== undefined) yield message;
    return;
  }
  for await (const data of eventsOf(body, MAX_BYTES)) {
    const message = parsed(data);
    if (message !== undefined) yield message;
  }
}

function parsed(text: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(text);
    return isJsonObject(message) ? message : undefined;
  } catch {
    return undefined;
  }
}
