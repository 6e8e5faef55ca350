import { isJsonObject } from '../../core/lib/members.js';
import type { Asking } from '../upstream/modern-rpc.js';
import type { Message } from '../upstream/reply-messages.js';

type Who = Omit<Asking, 'timeoutMs'>;

/** Told of each state of a task, as 2026-07-28 says it. */
export type TaskHearer = (task: Message) => void;

interface Listening {
  readonly hear: TaskHearer;
  readonly asking: Who;
  told: string;
  isTelling: boolean;
  /** There is something new meanwhile. */
  isBehind: boolean;
}

/** Whoever listens to one task. */
export class HeldListeners {
  readonly #stateFor: (asking: Who) => Promise<Message>;
  readonly #log: (error: unknown) => void;
  readonly #all = new Set<Listening>();

  constructor(stateFor: (asking: Who) => Promise<Message>, log: (error: unknown) => void) {
    this.#stateFor = stateFor;
    this.#log = log;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** Told the state that it has, then each change, until the signal; `left` hears of its end. */
  add(hear: TaskHearer, asking: Who, left: () => void): void {
    const listening = { hear, asking, told: '', isTelling: false, isBehind: false };
    this.#all.add(listening);
    const leave = (): void => {
      this.#all.delete(listening);
      left();
    };
    asking.signal.addEventListener('abort', leave, { once: true });
    void this.#tellOne(listening);
  }

  /** Something is new. */
  tell(): void {
    for (const listening of this.#all) void this.#tellOne(listening);
  }

  /** Never rejects. One after the other, so that no state is told after a newer one, and once for all that is new. */
  async #tellOne(listening: Listening): Promise<void> {
    listening.isBehind = true;
    if (listening.isTelling) return;
    listening.isTelling = true;
    while (listening.isBehind && this.#all.has(listening)) {
      listening.isBehind = false;
      await this.#tellState(listening);
    }
    listening.isTelling = false;
  }

  /** Never rejects. What was told already is not told again. */
  async #tellState(listening: Listening): Promise<void> {
    try {
      const task = await this.#stateFor(listening.asking);
      const { status, statusMessage, lastUpdatedAt, inputRequests } = task;
      const asked = Object.keys(isJsonObject(inputRequests) ? inputRequests : {});
      const state = JSON.stringify([status, statusMessage, lastUpdatedAt, asked]);
      if (state === listening.told || !this.#all.has(listening)) return;
      listening.told = state;
      listening.hear(task);
    } catch (error) {
      if (!listening.asking.signal.aborted) this.#log(error);
    }
  }
}
