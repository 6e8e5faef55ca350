/** What readers are made of. */
import { LENGTHS } from './expressions.js';

/** `AUTHPLANE_STRESS` measures whole bodies instead of pieces of them. */
export const BODY = process.env['AUTHPLANE_STRESS'] === undefined ? 131_072 : LENGTHS.body;

/** What the stand-ins of hidden names are looked for in, as a client may have it echoed. */
export const BEGUN_ESCAPES = [
  ...['\\', '\\u', '%EF', '%EF%B7', '&#', '&#x', 'Z'],
  '\\\\\\\\\\\\\\\\u',
];

export interface Reader {
  readonly length: number;
  /** Prepares a text of about this length. @returns what reads it. */
  readonly reading: (length: number) => () => unknown;
}

export const reader = (length: number, reading: Reader['reading']): Reader => ({ length, reading });
export const ofText = (length: number, atom: string, read: (text: string) => unknown): Reader =>
  reader(length, (size) => {
    const text = atom.repeat(Math.ceil(size / atom.length));
    return () => read(text);
  });
export const ofJson = (
  make: (count: number) => unknown,
  read: (body: unknown) => unknown,
): Reader =>
  reader(BODY, (size) => {
    const body = make(Math.ceil(size / 10));
    return () => read(body);
  });

export const nested = (count: number) => {
  let value: unknown = 1;
  for (let i = 0; i < count; i++) value = { params: value };
  return value;
};
export const wide = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`member-${index}`, index]));
export const many = <T>(count: number, one: (index: number) => T) =>
  Array.from({ length: count }, (_, index) => one(index));
export const pieces = (text: string, length: number) =>
  many(Math.ceil(text.length / length), (at) => text.slice(at * length, (at + 1) * length));
