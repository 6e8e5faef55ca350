import type { TokenStrategy } from '../options/token-strategy.js';
import type { Upstream } from './upstream.js';

/** Where a call goes, and what is said of its tool, prompt or resource. */
export interface Destination {
  readonly upstream: Upstream;
  readonly item: {
    readonly verdict: {
      readonly token: TokenStrategy | undefined;
      readonly timeoutMs: number | undefined;
    };
  };
}

/** What a call is made with: by the rules of what is called, else by the options of the upstream. */
export function callTerms({ upstream, item }: Destination): {
  readonly strategy: TokenStrategy;
  readonly timeoutMs: number;
} {
  const { token: strategy = upstream.options.token, timeoutMs = upstream.options.timeoutMs } =
    item.verdict;
  return { strategy, timeoutMs };
}
