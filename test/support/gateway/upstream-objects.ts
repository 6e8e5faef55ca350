import { none, type UpstreamOptions } from 'authplane-nestjs/gateway';
import { resolveUpstream } from '../../../src/gateway/options/upstream-options.js';
import type { Asking } from '../../../src/gateway/upstream/modern-rpc.js';
import { Upstream, type UpstreamDependencies } from '../../../src/gateway/upstream/upstream.js';
import { callerOf } from '../tokens/callers.js';
import { ManualClock } from '../tokens/manual-clock.js';

/** An upstream as the gateway makes it of its options, without a gateway: by default called without a token. */
export function upstreamAt(
  url: string,
  options: Partial<UpstreamOptions> = {},
  dependencies: Partial<UpstreamDependencies> = {},
): Upstream {
  return new Upstream(resolveUpstream('cal', { url, token: none(), ...options }), {
    client: {} as never, // nobody asks it for tokens
    dpop: undefined,
    clock: new ManualClock(),
    devMode: true,
    perCallerInFlight: 16,
    maxNameLength: 64,
    ...dependencies,
  });
}

/** For whom upstreams are asked. */
export function askingAs(
  who = 'ann',
  { scopes = [], signal = new AbortController().signal, token = '' }: AskingOptions = {},
): Asking {
  const { claims } = callerOf(scopes);
  return { caller: { claims, token }, callerKey: who, signal, timeoutMs: 10_000 };
}

interface AskingOptions {
  readonly scopes?: readonly string[];
  readonly signal?: AbortSignal;
  /** The inbound one. */
  readonly token?: string;
}
