import { createRequire } from 'node:module';

/** What is done meanwhile, counted: a clock says how busy the machine is. */
export interface Work {
  /** Of the texts that were given to methods of strings, to regular expressions and to hashes. */
  readonly characters: number;
  /** Of loops over maps, sets and lists. */
  readonly steps: number;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Owner = Record<string, Method>;

/** Reads one character, however long the text. */
const OF_ONE_CHARACTER = ['at', 'charAt', 'charCodeAt', 'codePointAt'];
const ITERATORS = [[].values(), new Map().values(), new Set().values()].map(
  (iterator) => Object.getPrototypeOf(iterator) as Owner,
);

/** Of `run`, and of whatever it waits for within this turn of the event loop. */
export async function workOf(run: () => unknown): Promise<Work> {
  const work = { characters: 0, steps: 0 };
  const reads = (text: unknown): void => {
    if (typeof text === 'string') work.characters += text.length;
  };
  const strings = String.prototype as unknown as Owner;
  const expressions = RegExp.prototype as unknown as Owner;
  const crypto = createRequire(import.meta.url)('node:crypto') as unknown as Owner;
  const names = Object.getOwnPropertyNames(strings).filter(
    (name) => name !== 'length' && name !== 'constructor' && !OF_ONE_CHARACTER.includes(name),
  );
  const undo = [
    ...names.map((name) => counting(strings, name, (text) => reads(text))),
    counting(expressions, 'test', (_, text) => reads(text)),
    counting(crypto, 'hash', (_self, _algorithm, text) => reads(text)),
    ...ITERATORS.map((iterator) => counting(iterator, 'next', () => work.steps++)),
  ];
  try {
    await run();
  } finally {
    for (let at = 0; at < undo.length; at++) undo[at]?.();
  }
  return { ...work };
}

/** @returns puts the method back. */
function counting(
  owner: Owner,
  name: string,
  count: (self: unknown, first: unknown, second: unknown) => unknown,
): () => void {
  const { [name]: method } = owner;
  if (method === undefined) throw new Error(`there is no ${name}`);
  owner[name] = function (...args) {
    count(this, args[0], args[1]); // to spread them would take a step itself
    return Reflect.apply(method, this, args);
  };
  return () => {
    owner[name] = method;
  };
}
