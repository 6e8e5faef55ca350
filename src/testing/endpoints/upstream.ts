import { randomBytes } from 'node:crypto';

/** The provider behind the broker resources. AuthPlane asks it on every exchange. */
export class Upstream {
  private count = 0;

  get calls(): number {
    return this.count;
  }

  reset(): void {
    this.count = 0;
  }

  /** A token that nobody here can read. */
  accessToken(provider: string): string {
    this.count += 1;
    return `${provider}-${randomBytes(32).toString('base64url')}`;
  }
}
