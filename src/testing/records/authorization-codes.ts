import { randomBytes } from 'node:crypto';

const LIFETIME_SECONDS = 600;

/** What a user agreed to: the base of every token of the code flow. */
export interface UserGrant {
  readonly clientId: string;
  readonly sub: string;
  readonly scope: readonly string[];
  /** The audience; without one it is the issuer. */
  readonly resource: string | undefined;
}

export interface CodeGrant extends UserGrant {
  readonly redirectUri: string;
  readonly codeChallenge: string;
}

interface StoredCode {
  readonly grant: CodeGrant;
  readonly expiresAt: number;
}

/** Codes that were handed out and not redeemed: ten minutes each, good for one attempt. */
export class AuthorizationCodes {
  private readonly stored = new Map<string, StoredCode>();

  constructor(private readonly now: () => number) {}

  issue(grant: CodeGrant): string {
    this.dropExpired();
    const code = randomBytes(32).toString('base64url');
    this.stored.set(code, { grant, expiresAt: this.now() + LIFETIME_SECONDS });
    return code;
  }

  /** Consumes the code first, so whatever is refused afterwards has spent it. */
  consume(code: string): CodeGrant | undefined {
    this.dropExpired();
    const stored = this.stored.get(code);
    this.stored.delete(code);
    return stored?.grant;
  }

  private dropExpired(): void {
    for (const [code, { expiresAt }] of this.stored) {
      if (expiresAt <= this.now()) this.stored.delete(code);
    }
  }
}
