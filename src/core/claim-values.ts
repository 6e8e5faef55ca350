/** What a claim of a JWT may be, in access tokens and in proofs. */

/** Later than any real date in seconds, earlier than any in milliseconds. */
const MAX_NUMERIC_DATE = 99_999_999_999;

/** RFC 7519 §2: seconds since 1970, whole ones only. */
export function isNumericDate(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_NUMERIC_DATE;
}

/** A lone surrogate compares and encodes differently from place to place, so it is no identity. */
export function isClaimText(value: unknown, maxLength: number): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= 2 * maxLength &&
    [...value].length <= maxLength && // characters, of which some take two UTF-16 units
    !/\p{Surrogate}/u.test(value)
  );
}
