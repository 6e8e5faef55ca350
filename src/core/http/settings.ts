import { booleanProblem, count, functionProblem, seconds } from '../lib/option-checks.js';
import type { Settings } from '../lib/settings.js';
import type { OutboundFetch } from './fetch.js';

/** How the authorization server is called. */
export interface OutboundOptions {
  /**
   * Allows `http:`, loopback and private addresses, for development only. Default `false`.
   * Everything else stays as strict as in production.
   */
  readonly devMode?: boolean;
  /**
   * Your own `fetch` for all calls to the authorization server, for example through a corporate
   * proxy. The address policy is then yours: this package no longer sees which address is dialled.
   * Deadline, size cap, media type and the refusal of redirects still hold. Default: own sockets.
   */
  readonly fetch?: OutboundFetch;
  /**
   * How long one call to the authorization server may take in seconds, name resolution and
   * connecting included. Default 5.
   */
  readonly requestTimeoutSeconds?: number;
  /**
   * Most calls under way to each endpoint, metadata and key set of the authorization server. Further
   * ones wait their turn, no longer than `requestTimeoutSeconds`, then fail with
   * `OutboundOverloadError` (503). Default 32.
   */
  readonly maxSockets?: number;
}

/** {@link OutboundOptions} with their defaults. */
export type ResolvedOutbound = Required<Omit<OutboundOptions, 'fetch'>> &
  Pick<OutboundOptions, 'fetch'>;

export const OUTBOUND_SETTINGS: Settings<ResolvedOutbound> = {
  devMode: { check: booleanProblem, byDefault: false },
  fetch: { check: functionProblem },
  requestTimeoutSeconds: { check: seconds(1, 60), byDefault: 5 },
  maxSockets: { check: count(1, 10_000), byDefault: 32 },
};
