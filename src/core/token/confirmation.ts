import { isJsonObject, member } from '../lib/members.js';

/** `jkt` of a `cnf` claim (RFC 9449 §6.1), of whatever type; `undefined` where there is none. */
export function thumbprintIn(cnf: unknown): unknown {
  return isJsonObject(cnf) ? member(cnf, 'jkt') : undefined;
}
