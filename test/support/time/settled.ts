import { setTimeout as delay } from 'node:timers/promises';

/**
 * What is under way within this process is over: the event loop has turned so often that both sides of its
 * connections have read what had come. For what cannot be waited for by itself.
 */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 25; turns++) await delay(2);
}
