import { expect, it } from 'vitest';
import { Upstream } from '../../../src/testing/endpoints/upstream.js';

it('gives tokens of the provider that nobody can read, and counts them', () => {
  const upstream = new Upstream();
  const [one, other] = [upstream.accessToken('google'), upstream.accessToken('google')];
  expect(one).toMatch(/^google-[\w-]{43}$/);
  expect(one).not.toBe(other);
  expect(upstream.calls).toBe(2);
  upstream.reset();
  expect(upstream.calls).toBe(0);
});
