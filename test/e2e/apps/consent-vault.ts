import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The part of an authorization server that vends upstream tokens, and refuses without consent. */
export interface Vault {
  readonly url: string;
  /** Users whose exchanges were refused or served, in order. */
  readonly exchanges: readonly string[];
  /** The user gives consent. It takes effect after some more refusals, as with a slow upstream. */
  approve(user: string, options?: { readonly afterRefusals?: number }): void;
  /** What comes with refusals from now on. */
  refuseWith(problem: Readonly<Record<string, unknown>>): void;
  reset(): void;
  close(): Promise<void>;
}

export async function startVault(issuer: string): Promise<Vault> {
  const exchanges: string[] = [];
  const refusalsLeft = new Map<string, number>();
  const usual = {
    error: 'consent_required',
    consent_url: `${issuer}/connect/google?resource=google-cal`,
    cause: 'consent_missing',
  };
  let problem: Readonly<Record<string, unknown>> = usual;
  const server = createServer((request, response) => {
    void userOf(request).then((user) => {
      exchanges.push(user);
      const left = refusalsLeft.get(user) ?? Infinity;
      refusalsLeft.set(user, left - 1);
      response
        .writeHead(left > 0 ? 400 : 200, { 'Content-Type': 'application/json' })
        .end(JSON.stringify(left > 0 ? problem : { access_token: `upstream-of-${user}` }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exchanges,
    approve: (user, { afterRefusals = 0 } = {}) => refusalsLeft.set(user, afterRefusals),
    refuseWith: (other) => {
      problem = other;
    },
    reset: () => {
      exchanges.length = 0;
      refusalsLeft.clear();
      problem = usual;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function userOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
