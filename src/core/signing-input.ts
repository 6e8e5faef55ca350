/**
 * What the signature of a JWT covers (RFC 7515 §2, JWS Signing Input); any other token as it is.
 *
 * To recognise a token that was revoked: of an ECDSA signature everybody can make a second one that
 * is as good, so the whole text of a token does not name it.
 */
export function signingInput(token: string): string {
  return /^([^.]+\.[^.]+)\.[^.]+$/.exec(token)?.[1] ?? token;
}
