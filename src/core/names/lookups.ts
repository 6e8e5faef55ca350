import { CallbackError } from '../errors/request-errors.js';
import type { Clock } from '../lib/clock.js';
import { within } from '../lib/deadline.js';

const MAX_ENTRIES = 1000;
const MAX_PENDING = 100;
const DEADLINE_MS = 5000;
const YES_SECONDS = 60;
const NO_SECONDS = 10;

interface Known<Value> {
  readonly value: Value;
  readonly until: number;
}

/** What is asked, and how its answers are told apart. */
export interface LookupRules<Value> {
  /** Of the option, for messages. */
  readonly name: string;
  readonly clock: Pick<Clock, 'elapsed'>;
  /** Whether an answer is kept as a yes (60 s) or as a no (10 s). */
  readonly isYes: (value: Value) => boolean;
}

/**
 * Answers of a function of the application to questions that anybody may cause by sending requests: asked
 * once for all who want to know the same at the same time, remembered for a while, and never waited for
 * by many. 1000 answers are kept, and those that were not used for longest go.
 */
export class Lookups<Value> {
  readonly #known = new Map<string, Known<Value>>();
  readonly #pending = new Map<string, Promise<Value>>();

  constructor(private readonly rules: LookupRules<Value>) {}

  /** Answers in memory. */
  get size(): number {
    return this.#known.size;
  }

  /**
   * At once where it is known.
   *
   * @throws CallbackError when the function fails or takes more than 5 seconds, which is not remembered,
   * and when 100 others are waited for.
   */
  find(key: string, ask: () => Value | Promise<Value>): Value | Promise<Value> {
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key);
      if (this.rules.clock.elapsed() < known.until) {
        this.#known.set(key, known); // used last
        return known.value;
      }
    }
    return this.#pending.get(key) ?? this.#ask(key, ask);
  }

  #ask(key: string, ask: () => Value | Promise<Value>): Promise<Value> {
    const { name } = this.rules;
    if (this.#pending.size >= MAX_PENDING) {
      throw new CallbackError(
        `${name}: ${MAX_PENDING} questions are waiting for an answer already`,
      );
    }
    const answer = this.#answer(key, ask);
    this.#pending.set(key, answer);
    return answer;
  }

  async #answer(key: string, ask: () => Value | Promise<Value>): Promise<Value> {
    const { name, isYes, clock } = this.rules;
    try {
      const value = await within(
        DEADLINE_MS,
        ask,
        () => new CallbackError(`${name} gave no answer within ${DEADLINE_MS} ms`),
      );
      const seconds = isYes(value) ? YES_SECONDS : NO_SECONDS;
      this.#remember(key, { value, until: clock.elapsed() + seconds });
      return value;
    } catch (cause) {
      throw cause instanceof CallbackError ? cause : new CallbackError(`${name} failed`, { cause });
    } finally {
      this.#pending.delete(key);
    }
  }

  #remember(key: string, known: Known<Value>): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_ENTRIES && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, known);
  }
}
