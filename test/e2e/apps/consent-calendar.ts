import { type AuthContext, ConsentRequiredError } from 'authplane-nestjs';

/** What tools call. It knows nothing of MCP and says with one error that consent is missing. */
export class Calendar {
  constructor(
    private readonly caller: AuthContext,
    private readonly vaultUrl: string,
  ) {}

  async events(): Promise<string> {
    return `events read with ${await this.#token()}`;
  }

  deleteAll(): string {
    this.caller.requireScope('calendar:delete');
    return 'deleted';
  }

  async #token(): Promise<string> {
    const response = await fetch(this.vaultUrl, { method: 'POST', body: this.caller.claims.sub });
    const answer = (await response.json()) as Record<string, string>;
    if (response.ok) return answer['access_token'] ?? '';
    throw new ConsentRequiredError('exchange: 400 consent_required', {
      statusCode: response.status,
      error: answer['error'] ?? '',
      serviceId: 'google-cal',
      ...(answer['consent_url'] === undefined ? {} : { consentUrl: answer['consent_url'] }),
      ...(answer['cause'] === undefined ? {} : { causeDetail: answer['cause'] }),
    });
  }
}
