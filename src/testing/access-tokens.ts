import { createHmac } from 'node:crypto';

import { randomId, signWith, type SigningKey, type SigningKeys } from './signing-keys.js';

/** Claims by name. One that is `undefined` is left out of the token. */
export type TokenClaims = Readonly<Record<string, unknown>>;

/**
 * Changes to the header of a token. A member that is `undefined` is left out.
 *
 * `alg` decides how the token is signed: `none` leaves the signature empty, `HS256` uses the public
 * key in PEM as the secret (the algorithm confusion of RFC 8725 §2.1), and under any other name the
 * token is signed by the current key all the same.
 */
export interface TokenHeader {
  readonly alg?: string | undefined;
  readonly kid?: string | undefined;
  readonly typ?: string | undefined;
  readonly [name: string]: unknown;
}

export interface AccessTokenGrant {
  readonly sub: string;
  readonly clientId: string;
  /** Registered as an agent: its tokens carry `agent_id`. */
  readonly agent: boolean;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly ttlSeconds: number;
}

/** Builds and signs access tokens as AuthPlane does (RFC 9068). */
export class AccessTokens {
  constructor(
    private readonly issuer: string,
    private readonly keys: SigningKeys,
    private readonly now: () => number,
  ) {}

  issue(grant: AccessTokenGrant): string {
    return this.sign(this.claims(grant));
  }

  claims(grant: AccessTokenGrant): TokenClaims {
    const issuedAt = this.now();
    return {
      iss: this.issuer,
      sub: grant.sub,
      aud: [grant.audience],
      client_id: grant.clientId,
      ...(grant.scope.length > 0 && { scope: grant.scope.join(' ') }),
      jti: randomId(),
      iat: issuedAt,
      exp: issuedAt + grant.ttlSeconds,
      nbf: issuedAt,
      ...(grant.agent && { agent_id: grant.clientId }),
    };
  }

  sign(claims: TokenClaims, changes: TokenHeader = {}): string {
    const key = this.keys.current;
    const header: TokenHeader = { alg: key.alg, kid: key.kid, typ: 'at+jwt', ...changes };
    const input = `${encode(header)}.${encode(claims)}`;
    return `${input}.${signature(key, header.alg, input)}`;
  }
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function signature(key: SigningKey, alg: string | undefined, input: string): string {
  if (alg === 'none') return '';
  if (alg !== 'HS256') return signWith(key, input);
  const secret = key.publicKey.export({ format: 'pem', type: 'spki' });
  return createHmac('sha256', secret).update(input).digest('base64url');
}
