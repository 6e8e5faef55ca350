import type { AuthorizationServerCalls } from '../calls/call.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { textProblem } from '../lib/option-checks.js';
import { present, requireToken } from './request-members.js';

/** Must not throw. */
export type RevocationListener = (token: string) => void;

/** Tokens that this server revokes (RFC 7009), and who has to know of them. */
export class Revocations {
  readonly #calls: Pick<AuthorizationServerCalls, 'post'>;
  readonly #listeners = new Set<WeakRef<RevocationListener>>();
  readonly #collected = new FinalizationRegistry<WeakRef<RevocationListener>>((listener) =>
    this.#listeners.delete(listener),
  );

  constructor(calls: Pick<AuthorizationServerCalls, 'post'>) {
    this.#calls = calls;
  }

  /**
   * Tells of the token, before and after: what came in meanwhile has to be forgotten too, also when the
   * authorization server does not do its part.
   *
   * @throws ConfigurationError without a token.
   */
  async revoke(token: string, tokenTypeHint = 'access_token'): Promise<void> {
    requireToken(token, 'token');
    const problem = textProblem(tokenTypeHint);
    if (problem !== undefined) throw new ConfigurationError(`tokenTypeHint: ${problem}`);
    this.#tell(token);
    try {
      await this.#calls.post({
        operation: 'revoke',
        endpoint: 'revocation_endpoint',
        parameters: present([
          ['token', token],
          ['token_type_hint', tokenTypeHint],
        ]),
      });
    } finally {
      this.#tell(token);
    }
  }

  /** Tells of tokens given to {@link revoke}, for as long as somebody else holds the listener. */
  onRevoked(listener: RevocationListener): void {
    const held = new WeakRef(listener);
    this.#listeners.add(held);
    this.#collected.register(listener, held);
  }

  #tell(token: string): void {
    for (const listener of this.#listeners) listener.deref()?.(token);
  }
}
