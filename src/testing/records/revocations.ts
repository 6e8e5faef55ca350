/** Which access tokens are revoked, and which ones their client may revoke. */
export class Revocations {
  /** By `jti`: the client of each token that no user stands behind. */
  private readonly machineTokens = new Map<string, string>();
  private readonly revoked = new Set<string>();

  recordMachineToken(jti: string, clientId: string): void {
    this.machineTokens.set(jti, clientId);
  }

  revoke(jti: string): void {
    this.revoked.add(jti);
  }

  /** Revokes a machine token of this client and leaves every other token alone. */
  revokeOwn(jti: string, clientId: string): void {
    if (this.machineTokens.get(jti) === clientId) this.revoke(jti);
  }

  has(jti: unknown): boolean {
    return typeof jti === 'string' && this.revoked.has(jti);
  }
}
