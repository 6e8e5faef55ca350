import { AuthplaneClient } from '../../../src/core/client.js';
import type { ClientOptions, ResourceOptions } from '../../../src/core/options.js';
import type { AuthplaneResource } from '../../../src/core/resource.js';
import { mint, RESOURCE, type SigningKey, type TokenParts } from './keys-and-tokens.js';
import { LoopbackAuthorizationServer } from '../servers/loopback-server.js';
import { ManualClock } from './manual-clock.js';

export interface TrustingResource {
  readonly server: LoopbackAuthorizationServer;
  readonly clock: ManualClock;
  readonly client: AuthplaneClient;
  readonly resource: AuthplaneResource;
  /** A token of the server's issuer: valid but for the changes. */
  readonly mint: (key: SigningKey, parts?: TokenParts) => string;
  readonly close: () => Promise<void>;
}

export interface TrustingResourceOptions {
  readonly client?: Partial<ClientOptions>;
  readonly resource?: Partial<ResourceOptions>;
}

/** A real resource that trusts a real server on loopback, under a clock of the test's own. */
export async function trustingResource(
  keys: readonly unknown[],
  options: TrustingResourceOptions = {},
): Promise<TrustingResource> {
  const server = await LoopbackAuthorizationServer.start(keys);
  const clock = new ManualClock();
  const client = await AuthplaneClient.create({
    issuer: server.issuer,
    devMode: true,
    clock,
    ...options.client,
  });
  const { issuer } = server;
  return {
    server,
    clock,
    client,
    resource: client.resource({ resource: RESOURCE, ...options.resource }),
    mint: (key, { header = {}, claims = {} } = {}) =>
      mint(key, { header, claims: { iss: issuer, ...claims } }),
    close: async () => {
      client.close();
      await server.stop();
    },
  };
}
