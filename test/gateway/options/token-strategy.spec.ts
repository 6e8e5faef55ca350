import { describe, expect, test } from 'vitest';
import { clientCredentials, exchange, none } from 'authplane-nestjs/gateway';
import { requireNoCredentials } from '../../../src/gateway/options/token-strategy.js';

describe('where the token for an upstream comes from', () => {
  test('each strategy says what it is, and nobody changes it', () => {
    const all = [
      exchange({ scope: 'a', resource: 'api' }),
      clientCredentials({ scope: 'a' }),
      none(),
    ];
    expect(all).toEqual([
      { kind: 'exchange', scope: 'a', resource: 'api' },
      { kind: 'clientCredentials', scope: 'a' },
      { kind: 'none' },
    ]);
    expect(all.every((one) => Object.isFrozen(one))).toBe(true);
  });
});

describe('requireNoCredentials', () => {
  const rules = { tools: {}, prompts: {}, resources: {} };
  const bare = { name: 'cal', token: none(), watch: 'streams' as const, ...rules };
  const check = (sources: object) => () => requireNoCredentials({ ...bare, ...sources });

  test.each<[string, object]>([
    ['none', {}],
    ['a function of the application', { token: () => undefined }],
    ['rules without tokens', { tools: { a: {}, b: false } }],
    ['a watch without a token', { watch: none() }],
  ])('%s needs no client', (_, sources) => {
    expect(check(sources)).not.toThrow();
  });

  test.each<[string, object]>([
    ['exchange', { token: exchange({ scope: 'a' }) }],
    ['clientCredentials', { token: clientCredentials({ scope: 'a' }) }],
    ['exchange', { tools: { a: { token: exchange({ scope: 'a' }) } } }],
    ['clientCredentials', { prompts: { a: { token: clientCredentials({ scope: 'a' }) } } }],
    ['exchange', { resources: { 'a://*': { token: exchange({ scope: 'a' }) } } }],
  ])('%s does, wherever it stands: %j', (kind, sources) => {
    expect(check(sources)).toThrow(
      `gateway: upstreams.cal: token: ${kind} needs a client of the gateway at the authorization server: set asCredentials`,
    );
  });
});
