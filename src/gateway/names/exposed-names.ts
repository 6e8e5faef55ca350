import { createHash } from 'node:crypto';

const SEPARATOR = '__';
const HASH_LENGTH = 8;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'; // RFC 4648 §6, in small letters
const BITS = 5;

/** How an upstream's names are shown. */
export interface Naming {
  readonly prefix: string | false;
  readonly maxNameLength: number;
}

/**
 * `<prefix>__<name>`. A function of configuration and name alone: who else is connected never renames a
 * tool, so that scopes stay with it. One that is too long ends in a hash of the whole.
 */
export function exposedName(name: string, { prefix, maxNameLength }: Naming): string {
  const full = prefix === false ? name : prefix + SEPARATOR + name;
  if (full.length <= maxNameLength) return full;
  return `${full.slice(0, maxNameLength - HASH_LENGTH - 1)}_${shortHash(full)}`;
}

/** What an exposed name would be a name of, if it was not shortened; `undefined`: of another upstream. */
export function ownNameIn(exposed: string, prefix: string | false): string | undefined {
  if (prefix === false) return exposed;
  const start = prefix + SEPARATOR;
  return exposed.startsWith(start) ? exposed.slice(start.length) : undefined;
}

/** The first 40 bits of SHA-256 in base32. */
function shortHash(text: string): string {
  const bits = createHash('sha256').update(text).digest().readUIntBE(0, BITS); // five bytes
  let hash = '';
  for (let rest = bits; hash.length < HASH_LENGTH; rest = Math.floor(rest / 32)) {
    hash = BASE32.charAt(rest % 32) + hash;
  }
  return hash;
}
