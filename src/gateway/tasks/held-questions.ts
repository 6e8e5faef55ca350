import type { SessionAnswer } from '../upstream/legacy-session.js';
import type { Message } from '../upstream/reply-messages.js';

/** What an upstream has asked, and waits for. */
export interface HeldQuestion {
  /** As the upstream knows it. */
  readonly id: unknown;
  readonly method: string;
  readonly params: Message;
}

interface Open extends HeldQuestion {
  /** Its answer is on the way. */
  isAnswered: boolean;
}

/** Brings an answer to whoever has asked, by the id that he knows. */
export type Deliver = (id: unknown, answer: SessionAnswer) => Promise<void>;

const MAX_QUESTIONS = 32;

/** What a task waits for, by keys that its client knows. */
export class HeldQuestions {
  readonly #open = new Map<string, Open>();
  #last = 0;

  /** Nothing is waited for. */
  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** @returns whether there is room for one more */
  ask(question: HeldQuestion): boolean {
    if (this.#open.size >= MAX_QUESTIONS) return false;
    this.#open.set(`question-${++this.#last}`, { ...question, isAnswered: false });
    return true;
  }

  /**
   * Its upstream takes it back.
   *
   * @returns whether it was open
   */
  withdraw(id: unknown): boolean {
    const [key] = [...this.#open].find(([, open]) => open.id === id) ?? [];
    return key !== undefined && this.#open.delete(key);
  }

  /**
   * Each has one answer; one that cannot be delivered leaves it open.
   *
   * @throws what `deliver` throws
   */
  async answer(key: string, answer: SessionAnswer, deliver: Deliver): Promise<void> {
    const question = this.#open.get(key);
    if (question === undefined || question.isAnswered) return;
    question.isAnswered = true;
    try {
      await deliver(question.id, answer);
      this.#open.delete(key);
    } catch (error) {
      question.isAnswered = false;
      throw error;
    }
  }

  /** As `inputRequests` of 2026-07-28 have them; `undefined`: there are none. */
  shown(): Message | undefined {
    const open = [...this.#open].filter(([, { isAnswered }]) => !isAnswered);
    if (open.length === 0) return undefined;
    return Object.fromEntries(open.map(([key, { method, params }]) => [key, { method, params }]));
  }

  clear(): void {
    this.#open.clear();
  }
}
