import { randomBytes } from 'node:crypto';

import type { UserGrant } from './authorization-codes.js';
import { OAuthProblem } from '../http/oauth-problem.js';

const LIFETIME_SECONDS = 7 * 24 * 3600;

interface Family {
  readonly grant: UserGrant;
  /** The access tokens that came with its refresh tokens. */
  readonly jtis: string[];
  revoked: boolean;
}

interface StoredToken {
  readonly family: Family;
  readonly expiresAt: number;
  spent: boolean;
}

/** Rotating refresh tokens: all that stem from one grant form a family and fall together. */
export class RefreshTokens {
  private readonly stored = new Map<string, StoredToken>();

  constructor(private readonly now: () => number) {}

  /** The first token of a new family; `jti` is the access token that goes with it. */
  start(grant: UserGrant, jti: string): string {
    return this.add({ grant, jtis: [jti], revoked: false });
  }

  /** Notes an access token that goes with this refresh token. */
  accompany(token: string, jti: string): void {
    this.stored.get(token)?.family.jtis.push(jti);
  }

  /**
   * The grant behind a token that this client may use now.
   *
   * @throws OAuthProblem `invalid_grant`; a token that was used before revokes its family
   * (RFC 9700 §4.14.2).
   */
  grantOf(token: string, clientId: string): UserGrant {
    return this.usable(token, clientId).family.grant;
  }

  /** Spends the token and gives its successor. */
  rotate(token: string, clientId: string): string {
    const stored = this.usable(token, clientId);
    stored.spent = true;
    return this.add(stored.family);
  }

  /**
   * Revokes the family of the token and gives the access tokens of the family; a token of somebody
   * else is left alone (RFC 7009 §2.1).
   */
  revoke(token: string, clientId: string): readonly string[] {
    const family = this.stored.get(token)?.family;
    if (family?.grant.clientId !== clientId) return [];
    family.revoked = true;
    return family.jtis;
  }

  private usable(token: string, clientId: string): StoredToken {
    this.dropExpired();
    const stored = this.stored.get(token);
    if (stored === undefined) throw new OAuthProblem('invalid_grant');
    if (stored.family.grant.clientId !== clientId) throw new OAuthProblem('invalid_grant');
    if (stored.family.revoked) throw new OAuthProblem('invalid_grant');
    if (stored.spent) {
      stored.family.revoked = true;
      throw new OAuthProblem('invalid_grant', 'token family revoked due to reuse detection');
    }
    return stored;
  }

  private add(family: Family): string {
    this.dropExpired();
    const token = randomBytes(32).toString('base64url');
    this.stored.set(token, { family, expiresAt: this.now() + LIFETIME_SECONDS, spent: false });
    return token;
  }

  private dropExpired(): void {
    for (const [token, { expiresAt }] of this.stored) {
      if (expiresAt <= this.now()) this.stored.delete(token);
    }
  }
}
