import type { AuthContext, AuthplaneClient } from 'authplane-nestjs';

/** What tools call. It knows nothing of MCP, and of consent only that an exchange may fail. */
export class Calendar {
  constructor(
    private readonly authplane: AuthplaneClient,
    private readonly caller: AuthContext,
  ) {}

  /** Shows the token, so that tests can tell whose it is. */
  async events(): Promise<string> {
    const { accessToken } = await this.authplane.exchange({
      subjectToken: this.caller.token,
      resources: ['google-cal'],
      scope: 'calendar.read',
    });
    return `events of ${this.caller.claims.sub} read with ${accessToken}`;
  }

  deleteAll(): string {
    this.caller.requireScope('calendar:delete');
    return 'deleted';
  }
}
