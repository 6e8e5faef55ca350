import { expect, test } from 'vitest';
import { clientCredentials, none } from '../../../src/gateway/options/token-strategy.js';
import { callTerms, type Destination } from '../../../src/gateway/upstream/call-terms.js';

const ofUpstream = none();
const ofRule = clientCredentials({ scope: 'search' });
const upstream = { options: { token: ofUpstream, timeoutMs: 60_000 } } as Destination['upstream'];

test('14.A: a rule decides on the token and the time of a call, each for itself, else the upstream', () => {
  const terms = (token?: Destination['item']['verdict']['token'], timeoutMs?: number) =>
    callTerms({ upstream, item: { verdict: { token, timeoutMs } } });
  expect(terms()).toEqual({ strategy: ofUpstream, timeoutMs: 60_000 });
  expect(terms(ofRule)).toEqual({ strategy: ofRule, timeoutMs: 60_000 });
  expect(terms(undefined, 5)).toEqual({ strategy: ofUpstream, timeoutMs: 5 });
});
