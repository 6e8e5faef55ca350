import { Generations } from '../lib/generations.js';
import { member } from '../lib/members.js';

const MAX_VALUES = 10_000;
const MAX_LENGTH = 1024;
const MAX_LIST = 64;

/** Claims that many tokens have in common; `sub` and `jti` are none. */
const SHARED_CLAIMS = ['iss', 'aud', 'client_id', 'scope', 'agent_id'];
const SHARED_LISTS = ['aud', 'agent_chain'];
const NONE: readonly string[] = Object.freeze([]);

/**
 * One text, or one list, for all tokens that say the same: most of what is kept of a token is what the other
 * tokens say, too. Bounded; what it has forgotten is there twice for a while.
 */
export class SharedValues {
  readonly #texts = new Generations<string>(MAX_VALUES / 2);
  readonly #lists = new Generations<readonly string[]>(MAX_VALUES / 2);
  /** Lists that have come from here. */
  readonly #shared = new WeakSet<readonly string[]>();
  readonly #words = new Generations<readonly string[]>(MAX_VALUES / 2);
  readonly #single = new Generations<readonly string[]>(MAX_VALUES / 2);

  text(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (text.length <= MAX_LENGTH) this.#texts.set(text, text);
    return text;
  }

  /** Frozen. */
  list(list: readonly string[]): readonly string[] {
    if (list.length === 0) return NONE;
    if (this.#shared.has(list)) return list;
    const key = JSON.stringify(list);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    const frozen = Object.freeze(list.map((text) => this.text(text)));
    this.#shared.add(frozen);
    if (key.length <= MAX_LENGTH) this.#lists.set(key, frozen);
    return frozen;
  }

  /** The words of a text with blanks between them, each once. Frozen. */
  words(text: string): readonly string[] {
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    const words = this.list([...new Set(text.split(' ').filter((word) => word !== ''))]);
    if (text.length <= MAX_LENGTH) this.#words.set(text, words);
    return words;
  }

  /** A list of nothing else. Frozen. */
  only(text: string): readonly string[] {
    const known = this.#single.get(text);
    if (known !== undefined) return known;
    const list = Object.freeze([text]);
    if (text.length <= MAX_LENGTH) this.#single.set(text, list);
    return list;
  }

  /** Puts shared values in the place of equal ones. */
  shareIn(claims: Record<string, unknown>): void {
    for (const name of SHARED_CLAIMS) {
      const value = member(claims, name);
      if (typeof value === 'string') claims[name] = this.text(value);
    }
    for (const name of SHARED_LISTS) {
      const value = member(claims, name);
      if (isShortTextList(value)) claims[name] = this.list(value);
    }
  }
}

function isShortTextList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_LIST &&
    value.every((entry) => typeof entry === 'string')
  );
}
