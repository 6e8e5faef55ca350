import { decodeJwt, errors } from 'jose';

import { isJsonObject, member } from '../../core/lib/members.js';
import type { TokenClaims } from './access-tokens.js';

/** The first audience: AuthPlane gives a token only one. */
export function audienceOf({ aud }: TokenClaims): string {
  return textOf(Array.isArray(aud) ? (aud as unknown[])[0] : aud);
}

/** The `cnf.jkt` of RFC 9449 §6.1. */
export function boundKeyOf({ cnf }: TokenClaims): string | undefined {
  return isJsonObject(cnf) ? textOf(member(cnf, 'jkt')) || undefined : undefined;
}

/** The `jti` of a token, whoever signed it, or the text itself when that is no token. */
export function jtiOf(tokenOrJti: string): string {
  try {
    const { jti } = decodeJwt(tokenOrJti);
    if (typeof jti === 'string') return jti;
  } catch (error) {
    if (error instanceof errors.JWTInvalid) return tokenOrJti;
    throw error;
  }
  throw new Error('the token has no jti');
}

/** A token may come from a test, with claims of any type. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
