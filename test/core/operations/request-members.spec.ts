import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import { setUpAnswering, type Setup, thrownBy } from '../../support/servers/client-setup.js';

let setup: Setup;
let operations: TokenOperations;

beforeEach(async () => {
  setup = await setUpAnswering();
  operations = setup.operations;
});

afterEach(() => setup.close());

describe('10.23: what is refused before anything is sent', () => {
  it('RFC 6749 §4.4: client credentials without credentials', async () => {
    const bare = setup.with({ authentication: undefined });
    const thrown = await thrownBy(bare.clientCredentials());
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(String(thrown)).toMatch(/set asCredentials/);
    expect(setup.server.requests).toHaveLength(0);
  });

  it('RFC 8707 §2: a resource with a fragment; slugs and other URIs go', async () => {
    const resources = ['https://service.example.com/#f'];
    for (const call of [
      () => operations.exchange({ subjectToken: 's', resources }),
      () => operations.clientCredentials({ resources }),
    ]) {
      const thrown = await thrownBy(call());
      expect(thrown).toBeInstanceOf(ConfigurationError);
      expect(String(thrown)).toMatch(/no fragment/);
    }
    expect(setup.server.requests).toHaveLength(0);
    await operations.exchange({ subjectToken: 's', resources: ['github', 'urn:example:x'] });
  });

  it.each(['re"ad', 'lesen:über', 'a\\b', 'a\nb'])('RFC 6749 §3.3: the scope %j', async (scope) => {
    for (const call of [
      () => operations.exchange({ subjectToken: 's', scope: `read ${scope}` }),
      () => operations.clientCredentials({ scopes: ['read', scope] }),
    ]) {
      const thrown = await thrownBy(call());
      expect(thrown).toBeInstanceOf(ConfigurationError);
      expect(String(thrown)).toMatch(/is not a scope/);
    }
    expect(setup.server.requests).toHaveLength(0);
  });
});

describe('hardening: callers without types', () => {
  const subjectToken = 'canary-subject';
  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /exchange: the options must be an object/],
    ['null', null, /exchange: the options must be an object/],
    ['a text', subjectToken, /exchange: the options must be an object/],
    [
      'scope as a list',
      { subjectToken, scope: ['a'] },
      /exchange: scope: must be a string of scopes/,
    ],
    ['scope null', { subjectToken, scope: null }, /exchange: scope: must be a string/],
    ['resources as text', { subjectToken, resources: 'x' }, /exchange: resources: must be a list/],
    [
      'resources of numbers',
      { subjectToken, resources: [1] },
      /resources: must be a list of strings/,
    ],
    ['audiences null', { subjectToken, audiences: null }, /exchange: audiences: must be a list/],
    [
      'an actor that is none',
      { subjectToken, actorToken: {} },
      /exchange: actorToken: must be a str/,
    ],
    [
      'a type that is none',
      { subjectToken, subjectTokenType: 1 },
      /subjectTokenType: must be a str/,
    ],
    [
      'another type',
      { subjectToken, actorTokenType: 1 },
      /exchange: actorTokenType: must be a string/,
    ],
    [
      '10.14d: a signal that cannot be listened to',
      { subjectToken, signal: { throwIfAborted: () => undefined } },
      /exchange: signal: must be an AbortSignal/,
    ],
    [
      'a signal that is none',
      { subjectToken, signal: {} },
      /exchange: signal: must be an AbortSignal/,
    ],
    ['a misspelt member', { subjectToken, resource: 'x' }, /exchange: resource: unknown option/],
    [
      'two mistakes',
      { subjectToken, scope: 1, resources: 2 },
      /2 problems[^]*resources[^]*scope|scope[^]*resources/,
    ],
  ])('exchange of %s', async (_, request, message) => {
    const thrown = await thrownBy(operations.exchange(request as never));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect((thrown as Error).message).toMatch(message);
    expect((thrown as Error).message).not.toContain('canary');
    expect(setup.server.requests).toEqual([]);
  });

  it.each<[unknown, RegExp]>([
    [null, /clientCredentials: the options must be an object/],
    [{ scopes: 'a b' }, /clientCredentials: scopes: must be a list of strings/],
    [{ scope: 'a b' }, /clientCredentials: scope: unknown option/],
    [{ resources: [null] }, /clientCredentials: resources: must be a list of strings/],
  ])('clientCredentials of %j', async (request, message) => {
    const thrown = await thrownBy(operations.clientCredentials(request as never));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect((thrown as Error).message).toMatch(message);
  });

  it('a member that is undefined is one that was left out', async () => {
    const absent = { scope: undefined, resources: undefined, signal: undefined };
    await operations.exchange({ subjectToken, ...absent } as never);
    expect(setup.server.requests).toHaveLength(1);
  });

  it('evict of nothing', () => {
    expect(() => operations.evict(undefined as never)).toThrow(ConfigurationError);
  });
});
