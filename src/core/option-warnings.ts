import { node } from './platform/node.js';
import { InMemoryDPoPReplayStore } from './dpop/replay-store.js';

/** What counts of the options for the authorization server. */
interface ServerSettings {
  readonly devMode: boolean;
  readonly authentication: unknown;
}

/** What counts of the options of one resource. */
interface ResourceSettings {
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly inboundDPoP:
    { readonly replayStore: unknown; readonly hasRandomNonceSecret: boolean } | undefined;
  readonly revocationChecker: unknown;
}

/** Legal settings for the authorization server that are probably not meant. */
export function serverWarnings({ devMode }: ServerSettings): string[] {
  return devMode
    ? [
        'devMode is on: http, loopback and private addresses are accepted. Never use it in production',
      ]
    : [];
}

/** Legal settings of a resource that are probably not meant. */
export function resourceWarnings(server: ServerSettings, resource: ResourceSettings): string[] {
  return [
    emptyPathWarning(resource),
    offlineAccessWarning(resource),
    replayMemoryWarning(server, resource),
    nonceSecretWarning(server, resource),
    introspectionWarning(server, resource),
  ].filter((warning) => warning !== undefined);
}

function emptyPathWarning({ resource }: ResourceSettings): string | undefined {
  const { href } = new URL(resource);
  return href === resource
    ? undefined
    : `resource "${resource}" has an empty path; MCP clients write it "${href}", so tokens may carry ` +
        `that audience and be refused. Register and configure "${href}", or use a path`;
}

function offlineAccessWarning({ scopes }: ResourceSettings): string | undefined {
  return scopes.includes('offline_access')
    ? 'scopes: offline_access is for clients to ask for, not for a resource to advertise'
    : undefined;
}

function replayMemoryWarning(
  server: ServerSettings,
  { inboundDPoP }: ResourceSettings,
): string | undefined {
  if (inboundDPoP === undefined || isShared(inboundDPoP.replayStore)) return undefined;
  return mayHaveSiblings(server)
    ? 'inboundDPoP: used proofs are remembered in the memory of this process only. With several ' +
        'processes or hosts a stolen proof works once in each: set replayStore (authplane-nestjs/redis)'
    : undefined;
}

function nonceSecretWarning(
  server: ServerSettings,
  { inboundDPoP }: ResourceSettings,
): string | undefined {
  return inboundDPoP?.hasRandomNonceSecret === true && mayHaveSiblings(server)
    ? 'inboundDPoP: the secret of the nonces is random, so each process refuses the nonces of the ' +
        'others and clients never get in. With several processes set nonce: { secret }, the same in all'
    : undefined;
}

/** How many processes serve the resource cannot be seen from inside one of them. */
function mayHaveSiblings({ devMode }: ServerSettings): boolean {
  return !devMode || node.isClusterWorker;
}

/** Naming the memory of the process, to set its size for example, makes it no other. */
function isShared(replayStore: unknown): boolean {
  return replayStore !== undefined && !(replayStore instanceof InMemoryDPoPReplayStore);
}

function introspectionWarning(
  { authentication }: ServerSettings,
  { revocationChecker }: ResourceSettings,
): string | undefined {
  return revocationChecker === 'introspection' && authentication === undefined
    ? "revocationChecker: 'introspection' without asCredentials: AuthPlane answers authenticated " +
        'clients only, so every token would be refused. Set asCredentials (auth of ' +
        'AuthplaneClient.create) to a client that is bound to this resource'
    : undefined;
}
