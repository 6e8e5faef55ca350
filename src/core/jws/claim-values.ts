/** What a claim of a JWT may be, in access tokens and in proofs. */

import type { ClaimRule } from '../errors/token-errors.js';

/** Later than any real date in seconds, earlier than any in milliseconds. */
const MAX_NUMERIC_DATE = 99_999_999_999;

/** RFC 7519 §2: seconds since 1970, of which there may be fractions. */
export function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_NUMERIC_DATE;
}

/** Which rule a value breaks that is no {@link isNumericDate}. */
export function brokenTimeRule(value: unknown): ClaimRule {
  return typeof value === 'number' ? 'malformed' : 'type';
}

/** A lone surrogate compares and encodes differently from place to place, so it is no identity. */
export function isClaimText(value: unknown, maxLength: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    isNoLongerThan(value, maxLength) &&
    value.isWellFormed()
  );
}

/** In characters, of which some take two UTF-16 units. */
function isNoLongerThan(text: string, maxLength: number): boolean {
  return (
    text.length <= maxLength ||
    (text.length <= 2 * maxLength && Array.from(text).length <= maxLength)
  );
}

/** Which rule a value breaks that is no {@link isClaimText}. */
export function brokenTextRule(value: unknown, maxLength: number): ClaimRule {
  if (value === undefined) return 'missing';
  if (typeof value !== 'string') return 'type';
  return value.length > 2 * maxLength || [...value].length > maxLength ? 'too_long' : 'malformed';
}

const NUMBER_TEXT = /^\d{1,15}(?:\.\d{1,15})?$/;

/** A number that a neighbour wrote as text (`"600"`); everything else as it is. Not for claims of tokens. */
export function plainNumber(value: unknown): unknown {
  return typeof value === 'string' && NUMBER_TEXT.test(value) ? Number(value) : value;
}

/** A member that a neighbour left empty, `null` or `""`, says as much as one that is not there. */
export function unlessEmpty(value: unknown): unknown {
  return value === null || value === '' ? undefined : value;
}
