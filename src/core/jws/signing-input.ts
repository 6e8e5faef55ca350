import { isJsonObject, member } from '../lib/members.js';

/**
 * What the signature of a JWT covers (RFC 7515 §2, JWS Signing Input); any other token as it is.
 *
 * To recognise a token that was revoked: of an ECDSA signature everybody can make a second one that
 * is as good, so the whole text of a token does not name it.
 */
export function signingInput(token: string): string {
  const [header = '', claims = '', signature = '', more] = token.split('.', 4);
  const isJws = more === undefined && claims !== '' && signature !== '' && isJoseHeader(header);
  return isJws ? `${header}.${claims}` : token;
}

/** Other formats have two dots as well, and share their first parts (`v4.public.…` of PASETO). */
function isJoseHeader(encoded: string): boolean {
  try {
    const header: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString());
    return isJsonObject(header) && typeof member(header, 'alg') === 'string';
  } catch {
    return false;
  }
}
