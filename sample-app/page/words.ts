import type { GatewayDecision, UpstreamState } from 'authplane-nestjs/gateway';

/** How an upstream is, for somebody who was woken up. */
export interface Health {
  readonly mood: 'up' | 'down' | 'doubtful' | 'unknown';
  readonly word: string;
  /** What callers get meanwhile. */
  readonly callers: string;
}

export function healthOf(state: UpstreamState): Health {
  const { breaker, failingSince, lastError, listedAt, retryAfterSeconds } = state;
  if (breaker === 'open') {
    const when = `it is asked again in ${retryAfterSeconds} s`;
    return { mood: 'down', word: 'down', callers: `Callers get 503 at once; ${when}. ${LISTS}` };
  }
  if (breaker === 'half-open') {
    return {
      mood: 'down',
      word: 'down',
      callers: `The next call finds out whether it is back; the others get 503. ${LISTS}`,
    };
  }
  if (failingSince !== undefined) {
    return {
      mood: 'doubtful',
      word: 'failing',
      callers: `Each call is still tried; callers get 502 or 504. ${LISTS}`,
    };
  }
  if (lastError !== undefined) return { mood: 'doubtful', ...(REFUSALS[lastError] ?? REFUSED) };
  if (listedAt === undefined) {
    return { mood: 'unknown', word: 'not listed', callers: 'Nobody has been shown its tools yet.' };
  }
  return { mood: 'up', word: 'up', callers: '' };
}

const LISTS = 'Lists show what it offered, for ten minutes.';

const REFUSED = {
  word: 'refuses',
  callers: 'It takes no token of this gateway: callers get 502. Compare its resource URI.',
};

const REFUSALS: Readonly<Record<string, Pick<Health, 'word' | 'callers'>>> = {
  upstream_rate_limited: { word: 'full', callers: 'It takes no more calls: callers get 429.' },
  upstream_busy: { word: 'busy', callers: 'Too many calls are under way: more of them get 503.' },
};

const REASONS: Readonly<Record<string, string>> = {
  token_missing: 'no token',
  token_expired: 'the token has expired',
  unknown_operation: 'no such thing for this caller',
  upstream_busy: 'too many calls, 503',
  upstream_failed: 'no usable answer, 502',
  upstream_rate_limited: 'it takes no more calls, 429',
  upstream_refused: 'it takes no token of ours, 502',
  upstream_timeout: 'no answer in time, 504',
  upstream_unavailable: 'spared, 503',
};

/** Why a request was not simply answered; empty when it was. */
export function reasonOf({ outcome, code = '', scopes }: GatewayDecision): string {
  if (outcome === 'answered') return '';
  if (outcome === 'consent') return 'the user is asked to agree';
  if (outcome === 'cancelled') return 'the client went away';
  if (scopes.length > 0) return `needs ${scopes.join(' ')}`;
  return REASONS[code] ?? code.replaceAll('_', ' ');
}
