import { describe, expect, it } from 'vitest';
import { actorChain, actorOf } from '../../../src/testing/records/actors.js';

describe('RFC 8693 §4.1: actorOf', () => {
  it('carries over sub, type and the actor inside, and nothing else', () => {
    const claim = { sub: 'b', actor_type: 'agent', exp: 1, act: { sub: 'a', iss: 'x' } };
    expect(actorOf(claim)).toEqual({ sub: 'b', actor_type: 'agent', act: { sub: 'a' } });
  });

  it.each<[unknown, object]>([
    [{}, { sub: '' }],
    [{ sub: 5, actor_type: 'human', act: 'a' }, { sub: '' }],
    [
      { sub: 'a', actor_type: 'service' },
      { sub: 'a', actor_type: 'service' },
    ],
  ])('%j is %j', (claim, actor) => {
    expect(actorOf(claim)).toEqual(actor);
  });

  it.each([undefined, null, 'a', ['a'], 5])('%j names nobody', (claim) => {
    expect(actorOf(claim)).toBeUndefined();
  });
});

it('actorChain: root first, the current actor last', () => {
  const actor = { sub: 'c', act: { sub: 'b', act: { sub: 'a' } } };
  expect(actorChain(actor)).toEqual(['a', 'b', 'c']);
  expect(actorChain({ sub: 'a' })).toEqual(['a']);
});
