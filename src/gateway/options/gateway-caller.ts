import type { VerifiedClaims } from '../../core/token/verified-claims.js';

/** Who calls: an `AuthContext`, an `Authentication`, or both members from elsewhere. */
export interface GatewayCaller {
  /** Of the verified token. */
  readonly claims: VerifiedClaims;
  /** The inbound token, which is exchanged and never sent to an upstream; empty: there is none. */
  readonly token: string;
}

/** What is his alone is kept by this. Nothing of the token: it is renewed, and the caller stays the same. */
export function callerKeyOf({ claims }: GatewayCaller): string {
  return [claims.issuer, claims.sub, claims.clientId].join('\0');
}
