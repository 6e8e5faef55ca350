import { errors, jwtVerify, type CompactJWSHeaderParameters } from 'jose';

import { actorChain, type Actor } from './actors.js';
import { compactJws } from './compact-jws.js';
import { randomId, type SigningKeys } from './signing-keys.js';

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
  /** Signature algorithm. Default: that of the current key. */
  readonly alg?: string | undefined;
  /** Default: that of the current key. */
  readonly kid?: string | undefined;
  /** Default `at+jwt`. */
  readonly typ?: string | undefined;
  readonly [name: string]: unknown;
}

export interface AccessTokenGrant {
  readonly sub: string;
  readonly clientId: string;
  /** The `agent_id`, when the client that gets the token is registered as an agent. */
  readonly agentId: string | undefined;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly ttlSeconds: number;
  /** The thumbprint of the key to which the token is bound (RFC 9449 §6). */
  readonly jkt?: string | undefined;
  readonly act?: Actor | undefined;
}

export interface IssuedToken {
  readonly token: string;
  readonly jti: string;
}

/** The skew that AuthPlane grants when it reads its own tokens. */
const CLOCK_TOLERANCE_SECONDS = 30;

/** Builds, signs and reads access tokens as AuthPlane does (RFC 9068). */
export class AccessTokens {
  constructor(
    private readonly issuer: string,
    private readonly keys: SigningKeys,
    private readonly now: () => number,
  ) {}

  issue(grant: AccessTokenGrant): IssuedToken {
    const jti = randomId();
    return { token: this.sign({ ...this.claims(grant), jti }), jti };
  }

  claims(grant: AccessTokenGrant): TokenClaims {
    const { jkt, act, agentId } = grant;
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
      ...(jkt !== undefined && { cnf: { jkt } }),
      ...(act !== undefined && { act }),
      ...(agentId !== undefined && { agent_id: agentId }),
      ...(agentId !== undefined && act !== undefined && { agent_chain: actorChain(act) }),
    };
  }

  sign(claims: TokenClaims, changes: TokenHeader = {}): string {
    const key = this.keys.current;
    return compactJws({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...changes }, claims, key);
  }

  /** The claims of a live token of this issuer, revoked or not; `undefined` for anything else. */
  async read(token: string): Promise<TokenClaims | undefined> {
    const options = {
      issuer: this.issuer,
      typ: 'at+jwt',
      algorithms: ['ES256', 'RS256'],
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(this.now() * 1000),
    };
    try {
      const { payload } = await jwtVerify(token, this.verificationKey, options);
      return payload;
    } catch (error) {
      // jose throws a TypeError when the algorithm of the header does not fit the key.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }

  private readonly verificationKey = ({ kid }: CompactJWSHeaderParameters) => {
    const key = this.keys.find(kid);
    if (key === undefined) throw new errors.JWKSNoMatchingKey();
    return key;
  };
}
