const INTEGER = 0x02;
const SEQUENCE = 0x30;

/**
 * The ECDSA signature of a JWS (RFC 7518 §3.4: both numbers, one behind the other) in DER, which is what
 * `node:crypto` takes without further options. `undefined` when it is not as long as it has to be.
 */
export function ecdsaDer(signature: Buffer, coordinateLength: number): Buffer | undefined {
  if (signature.length !== 2 * coordinateLength) return undefined;
  const first = firstByte(signature, 0, coordinateLength);
  const second = firstByte(signature, coordinateLength, 2 * coordinateLength);
  const firstLength = coordinateLength - first + signBytes(signature, first);
  const secondLength = 2 * coordinateLength - second + signBytes(signature, second);
  const length = 4 + firstLength + secondLength;
  const head = length < 128 ? [SEQUENCE, length] : [SEQUENCE, 0x81, length];
  const der = Buffer.alloc(head.length + length);
  der.set(head);
  const middle = writeInteger(der, head.length, signature.subarray(first, coordinateLength));
  writeInteger(der, middle, signature.subarray(second));
  return der;
}

/** Where a number begins that has no more than one zero in front. */
function firstByte(signature: Buffer, from: number, end: number): number {
  let first = from;
  while (first < end - 1 && signature[first] === 0) first++;
  return first;
}

/** A number whose first bit is set would be a negative one. */
function signBytes(signature: Buffer, first: number): 0 | 1 {
  return (signature[first] ?? 0) > 127 ? 1 : 0;
}

/** @returns where the next one goes. */
function writeInteger(der: Buffer, at: number, bytes: Buffer): number {
  const sign = signBytes(bytes, 0);
  der[at] = INTEGER;
  der[at + 1] = bytes.length + sign;
  der.set(bytes, at + 2 + sign);
  return at + 2 + sign + bytes.length;
}
