import { isJsonObject, member } from '../lib/members.js';

/**
 * A claim of a token that is a JWT, `undefined` for any other. Nothing is verified: good for what the
 * authorization server itself has just said over TLS, and to keep something shorter; never to let
 * somebody in.
 */
export function unverifiedClaim(token: string, name: string): unknown {
  const claims = token.split('.', 3)[1];
  if (claims === undefined) return undefined;
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
