const FIRST = 0xfdd0;
const LAST = 0xfdef;

/**
 * Whether a name or URI has a noncharacter of Unicode. The guard asks for one in place of what is hidden
 * from a caller; no upstream offers such a name, so that nothing has it, whatever globs and templates say.
 */
export function isStandIn(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code >= FIRST && code <= LAST) return true;
  }
  return false;
}
