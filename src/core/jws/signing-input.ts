import { isJsonObject, member } from '../lib/members.js';
import { ownCopy } from '../lib/text.js';

/** Headers are some hundred characters. */
const MAX_KNOWN = 1024;

/**
 * What the signature of a JWT covers (RFC 7515 §2, JWS Signing Input); any other token as it is.
 *
 * To recognise a token that was revoked: of an ECDSA signature everybody can make a second one that
 * is as good, so the whole text of a token does not name it.
 */
export function signingInput(token: string): string {
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  const areThree =
    second > first + 1 && second < token.length - 1 && token.lastIndexOf('.') === second;
  return areThree && isJoseHeader(token.slice(0, first)) ? token.slice(0, second) : token;
}

/** The one that was found last: the same for all tokens of one key, as good as always. */
let known = '';

/** Other formats have two dots as well, and share their first parts (`v4.public.…` of PASETO). */
function isJoseHeader(encoded: string): boolean {
  if (encoded === known && known !== '') return true;
  try {
    const header: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString());
    const isOne = isJsonObject(header) && typeof member(header, 'alg') === 'string';
    if (isOne && encoded.length <= MAX_KNOWN) known = ownCopy(encoded);
    return isOne;
  } catch {
    return false;
  }
}
