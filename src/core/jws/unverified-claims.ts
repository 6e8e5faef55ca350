import { isJsonObject, member } from '../lib/members.js';

/**
 * A claim of a token that is a JWT, `undefined` for any other. Nothing is verified: good for what the
 * authorization server itself has just said over TLS, and to keep something shorter; never to let
 * somebody in.
 */
export function unverifiedClaim(token: string, name: string): unknown {
  const first = token.indexOf('.');
  if (first === -1) return undefined;
  const second = token.indexOf('.', first + 1);
  const claims = token.slice(first + 1, second === -1 ? token.length : second);
  try {
    const payload: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString());
    return isJsonObject(payload) ? member(payload, name) : undefined;
  } catch {
    return undefined; // no JWT: an opaque token says nothing
  }
}

/** `exp` of a token that is a JWT. Unverified: good for refusing and forgetting, never to let in. */
export function expiryOf(token: string): number | undefined {
  const exp = unverifiedClaim(token, 'exp');
  return typeof exp === 'number' ? exp : undefined;
}
