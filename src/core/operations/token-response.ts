import { INSPECT, node } from '../platform/node.js';
import { plainNumber, unlessEmpty } from '../jws/claim-values.js';
import type { HttpAnswer } from '../http/answer.js';
import { deepFreeze } from '../lib/strict-json.js';
import { member, textOf } from '../lib/members.js';
import { unverifiedClaim } from '../jws/unverified-claims.js';
import { schemeOf } from '../token/credentials.js';
import { thumbprintIn } from '../token/confirmation.js';
import { type AskedFor, protocolError, requireObject } from '../calls/oauth-answer.js';

interface TokenValues {
  readonly accessToken: string;
  readonly tokenType: 'Bearer' | 'DPoP';
  readonly expiresIn: number | undefined;
  readonly scope: string | undefined;
  readonly issuedTokenType: string | undefined;
  readonly refreshToken: string | undefined;
  readonly raw: Record<string, unknown>;
}

/**
 * A token that the authorization server issued (RFC 6749 §5.1). Frozen.
 *
 * Logging, inspecting or serialising it shows what kind of token it is and never the token. Holds
 * nothing that was verified: the token is for the service it was asked for.
 */
export class TokenResponse {
  /** How to present it (RFC 6750, RFC 9449); no other type is accepted. */
  readonly tokenType: 'Bearer' | 'DPoP';
  /** `expires_in`, seconds. `undefined`: not said. 0: as good as used up. */
  readonly expiresIn: number | undefined;
  /** `scope` as sent; absent means as requested (RFC 6749 §5.1). */
  readonly scope: string | undefined;
  /** `issued_token_type` as sent (RFC 8693 §2.2.1). */
  readonly issuedTokenType: string | undefined;
  readonly #accessToken: string;
  readonly #refreshToken: string | undefined;
  readonly #raw: Readonly<Record<string, unknown>>;

  /** @internal Made from answers of the authorization server. */
  constructor(values: TokenValues) {
    this.tokenType = values.tokenType;
    this.expiresIn = values.expiresIn;
    this.scope = values.scope;
    this.issuedTokenType = values.issuedTokenType;
    this.#accessToken = values.accessToken;
    this.#refreshToken = values.refreshToken;
    this.#raw = deepFreeze(values.raw);
    Object.freeze(this);
  }

  /** `access_token`. A secret. */
  get accessToken(): string {
    return this.#accessToken;
  }

  /** `refresh_token`, if there is one. A secret, and used by nothing here. */
  get refreshToken(): string | undefined {
    return this.#refreshToken;
  }

  /**
   * `cnf.jkt`: thumbprint of the key the token is bound to (RFC 9449 §6.1), as the answer or else the
   * token itself says. Nobody has verified it.
   */
  get cnfJkt(): string | undefined {
    const claims = [member(this.#raw, 'cnf'), unverifiedClaim(this.#accessToken, 'cnf')];
    return claims.map((cnf) => textOf(thumbprintIn(cnf))).find((jkt) => jkt !== undefined);
  }

  /** All members as sent, the tokens included. Never log it. */
  get raw(): Readonly<Record<string, unknown>> {
    return this.#raw;
  }

  /** For logs: the kind of token, and no token. */
  toJSON(): Record<string, unknown> {
    const { tokenType, expiresIn, scope, issuedTokenType } = this;
    return { tokenType, expiresIn, scope, issuedTokenType };
  }

  /** Without it `showHidden` would call the getters. */
  [INSPECT](): string {
    return `TokenResponse ${node.util.inspect(this.toJSON(), { breakLength: Infinity })}`;
  }
}

/**
 * The token of a 2xx answer (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 9449 §5). Its scope is no wider than
 * the one that was asked for, if any was; it may be narrower.
 *
 * @throws ProtocolError
 */
export function readTokenResponse(answer: HttpAnswer, asked: AskedFor): TokenResponse {
  const refuse = (problem: string): never => {
    throw protocolError(answer, asked, `: ${problem}`);
  };
  const raw = requireObject(answer, asked);
  const accessToken = member(raw, 'access_token');
  // RFC 6749 appendix A.12 without the blank, which cannot stand in an Authorization header.
  if (typeof accessToken !== 'string' || !/^[\x21-\x7e]+$/.test(accessToken)) {
    return refuse('access_token is missing or no token text');
  }
  const tokenType = schemeOf(textOf(member(raw, 'token_type'))) ?? refuse('unsupported token_type');
  const expiresIn = plainNumber(optional(raw, 'expires_in'));
  if (expiresIn !== undefined && !isDuration(expiresIn)) {
    return refuse('expires_in is not a number of seconds');
  }
  const scope = optional(raw, 'scope');
  if (!isOptionalText(scope)) return refuse('scope is not a string');
  if (grantsMore(scope, asked)) {
    return refuse('scope is wider than asked for; leave scope out to take whatever is granted');
  }
  const refreshToken = optional(raw, 'refresh_token');
  if (!isOptionalText(refreshToken)) return refuse('refresh_token is not a string');
  const issuedTokenType = optional(raw, 'issued_token_type');
  if (!isOptionalText(issuedTokenType)) return refuse('issued_token_type is not a string');
  if (asked.isExchange === true && (issuedTokenType ?? '').trim() === '') {
    return refuse('issued_token_type is missing (RFC 8693 §2.2.1)');
  }
  const values = { accessToken, tokenType, expiresIn, scope, issuedTokenType, refreshToken, raw };
  return new TokenResponse(values);
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

/** A member that may be missing, and that some servers then send as `null` or `""`. */
function optional(raw: Record<string, unknown>, name: string): unknown {
  return unlessEmpty(member(raw, name));
}

/** AuthPlane echoes the scope that was asked for. A token that can do more than meant must not get about. */
function grantsMore(granted: string | undefined, { scope = '' }: AskedFor): boolean {
  const wanted = scopesIn(scope);
  return wanted.length > 0 && scopesIn(granted ?? '').some((one) => !wanted.includes(one));
}

function scopesIn(text: string): string[] {
  return text.split(' ').filter((scope) => scope !== '');
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}
