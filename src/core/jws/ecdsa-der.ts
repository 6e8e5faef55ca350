const INTEGER = 0x02;
const SEQUENCE = 0x30;

/** Longer than what ES512 has, so that what is too long can be told. */
const decoded = Buffer.alloc(2 * 66 + 4);
const der = Buffer.alloc(decoded.length + 16);
/** The beginning of `der` by its length: nothing is made anew for a signature. */
const ofLength: Buffer[] = [];

/**
 * The ECDSA signature of a JWS (RFC 7518 §3.4: both numbers, one behind the other) in DER, which is what
 * `node:crypto` takes without further options. `undefined` when it is not as long as it has to be.
 *
 * Good until the next call: whoever keeps it makes a copy.
 *
 * @param signature canonical base64url.
 */
export function ecdsaDer(signature: string, coordinateLength: number): Buffer | undefined {
  if (decoded.write(signature, 'base64url') !== 2 * coordinateLength) return undefined;
  const first = firstByte(0, coordinateLength);
  const second = firstByte(coordinateLength, 2 * coordinateLength);
  const firstLength = coordinateLength - first + signBytes(first);
  const secondLength = 2 * coordinateLength - second + signBytes(second);
  const length = 4 + firstLength + secondLength;
  let at = 0;
  der[at++] = SEQUENCE;
  if (length > 127) der[at++] = 0x81;
  der[at++] = length;
  at = writeInteger(at, first, coordinateLength);
  at = writeInteger(at, second, 2 * coordinateLength);
  return (ofLength[at] ??= der.subarray(0, at));
}

/** Where a number begins that has no more than one zero in front. */
function firstByte(from: number, end: number): number {
  let first = from;
  while (first < end - 1 && decoded[first] === 0) first++;
  return first;
}

/** A number whose first bit is set would be a negative one. */
function signBytes(first: number): 0 | 1 {
  return (decoded[first] ?? 0) > 127 ? 1 : 0;
}

/** @returns where the next one goes. */
function writeInteger(start: number, first: number, end: number): number {
  const sign = signBytes(first);
  let at = start;
  der[at++] = INTEGER;
  der[at++] = end - first + sign;
  if (sign === 1) der[at++] = 0;
  decoded.copy(der, at, first, end);
  return at + end - first;
}
