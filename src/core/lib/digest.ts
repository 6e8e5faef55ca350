import { node } from '../platform/node.js';

/**
 * SHA-256 in base64url, as RFC 7638 and RFC 9449 spell it. Also for keys of what must not hold a
 * token itself.
 */
export function sha256(text: string): string {
  return node.crypto.hash('sha256', text, 'base64url');
}

/** One hash for several texts. */
export function tupleHash(parts: readonly string[]): string {
  return sha256(tupleText(parts));
}

/** Several texts in one. Lengths in front, so that no two lists are one text. */
export function tupleText(parts: readonly string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join('');
}
