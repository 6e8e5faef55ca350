import { randomBytes } from 'node:crypto';

import { calculateJwkThumbprint, compactVerify, EmbeddedJWK } from 'jose';

import { member } from '../../core/lib/members.js';
import { parseStrictJsonObject } from '../../core/lib/strict-json.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import { sameResource } from '../records/resources.js';

export const DPOP_ALGORITHMS = ['ES256', 'RS256', 'PS256'];

const NONCE_LIFETIME_SECONDS = 60;

export interface DPoPCheckOptions {
  readonly now: () => number;
  readonly lifetimeSeconds: number;
  readonly requireNonce: boolean;
}

interface Proof {
  readonly thumbprint: string;
  readonly typ: string | undefined;
  readonly claims: Record<string, unknown>;
}

/** Judges DPoP proofs as AuthPlane does at its token endpoint (RFC 9449 §4.3, §8). */
export class DPoPCheck {
  private readonly nonces = new Map<string, number>();
  private readonly spent = new Map<string, number>();

  constructor(private readonly options: DPoPCheckOptions) {}

  /** Good for any number of proofs for a minute. */
  issueNonce(): string {
    const now = this.options.now();
    dropExpired(this.nonces, now);
    const nonce = randomBytes(32).toString('base64url');
    this.nonces.set(nonce, now + NONCE_LIFETIME_SECONDS);
    return nonce;
  }

  /**
   * The thumbprint of the key that made the proof.
   *
   * @throws OAuthProblem `invalid_dpop_proof`, or `use_dpop_nonce` when only the nonce is lacking;
   * a proof that is refused for its nonce is not spent.
   */
  async thumbprint(proof: string, method: string, url: string): Promise<string> {
    const { thumbprint, typ, claims } = await verified(proof);
    if (typ?.toLowerCase() !== 'dpop+jwt') refuse('typ');
    if (text(claims, 'htm')?.toUpperCase() !== method.toUpperCase()) refuse('htm');
    if (!namesTarget(text(claims, 'htu'), url)) refuse('htu');
    const now = this.options.now();
    if (!this.isFresh(member(claims, 'iat'), now)) refuse('iat');
    const jti = text(claims, 'jti') ?? refuse('jti');
    this.checkNonce(text(claims, 'nonce'), now);
    this.spend(jti, now);
    return thumbprint;
  }

  private isFresh(issuedAt: unknown, now: number): boolean {
    if (typeof issuedAt !== 'number') return false;
    return Math.abs(now - issuedAt) <= this.options.lifetimeSeconds;
  }

  private checkNonce(nonce: string | undefined, now: number): void {
    if (!this.options.requireNonce) return;
    dropExpired(this.nonces, now);
    if (nonce === undefined || !this.nonces.has(nonce)) throw new OAuthProblem('use_dpop_nonce');
  }

  private spend(jti: string, now: number): void {
    dropExpired(this.spent, now);
    if (this.spent.has(jti)) refuse('jti was used before');
    this.spent.set(jti, now + 2 * this.options.lifetimeSeconds);
  }
}

/** Whatever fails in here is a property of the proof. `exp`, `nbf` and `ath` are not looked at. */
async function verified(proof: string): Promise<Proof> {
  try {
    // Refuses private and symmetric keys, other algorithms and RSA keys below 2048 bits.
    const options = { algorithms: DPOP_ALGORITHMS };
    const { payload, protectedHeader } = await compactVerify(proof, EmbeddedJWK, options);
    const { typ, jwk = {} } = protectedHeader;
    const thumbprint = await calculateJwkThumbprint(jwk);
    return { thumbprint, typ, claims: parseStrictJsonObject(payload) };
  } catch {
    return refuse('signature or format');
  }
}

/** Query and fragment do not count; a port that is the default is not the same as none. */
function namesTarget(htu: string | undefined, url: string): boolean {
  return htu !== undefined && sameResource(htu.replace(/[?#].*$/s, ''), url);
}

function text(claims: Record<string, unknown>, name: string): string | undefined {
  const value = member(claims, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function dropExpired(entries: Map<string, number>, now: number): void {
  for (const [entry, expiresAt] of entries) {
    if (expiresAt <= now) entries.delete(entry);
  }
}

function refuse(reason: string): never {
  throw new OAuthProblem('invalid_dpop_proof', `the DPoP proof is invalid: ${reason}`);
}
