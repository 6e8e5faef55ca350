import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../src/core/errors/server-errors.js';
import { TokenExpiredError } from '../../../src/core/errors/token-errors.js';
import type { ExchangeRequest } from '../../../src/core/operations/exchange.js';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import {
  countingTokens,
  jwt,
  setUpAnswering,
  type Setup,
  thrownBy,
  tokenBody,
} from '../../support/servers/client-setup.js';
import { replyJson, replyProblem } from '../../support/servers/scripted-server.js';
import { NOW } from '../../support/tokens/keys-and-tokens.js';
import { until } from '../../support/time/until.js';

let setup: Setup;
let operations: TokenOperations;

beforeEach(async () => {
  setup = await setUpAnswering();
  operations = setup.operations;
});

afterEach(() => setup.close());

function count(path = '/token_endpoint'): number {
  return setup.server.requests.filter((request) => request.path === path).length;
}

describe('the cache', () => {
  it('100 concurrent identical exchanges are one request', async () => {
    setup.server.on('/token_endpoint', async (response, request) => {
      await delay(20);
      await countingTokens()(response, request);
    });
    const all = await Promise.all(
      Array.from({ length: 100 }, () => operations.exchange({ subjectToken: 's', scope: 'a' })),
    );
    expect(new Set(all.map(({ accessToken }) => accessToken))).toEqual(new Set(['token-1']));
    expect(count()).toBe(1);
  });

  it('100 concurrent callers share one failure', async () => {
    setup.server.on('/token_endpoint', async (response, request) => {
      await delay(20);
      await replyProblem('consent_required')(response, request);
    });
    const all = await Promise.all(
      Array.from({ length: 100 }, () => thrownBy(operations.exchange({ subjectToken: 's' }))),
    );
    expect(new Set(all).size).toBe(1);
    expect(count()).toBe(1);
    setup.server.on('/token_endpoint', countingTokens());
    await operations.exchange({ subjectToken: 's' });
    expect(count()).toBe(2);
  });

  it('F28: a caller who gives up leaves the request to the others', async () => {
    const stop = new AbortController();
    const stopped = once(stop.signal, 'abort');
    setup.server.on('/token_endpoint', async (response, request) => {
      await stopped;
      await countingTokens()(response, request);
    });
    const impatient = thrownBy(operations.exchange({ subjectToken: 's', signal: stop.signal }));
    const patient = operations.exchange({ subjectToken: 's' });
    await until(() => count() === 1);
    stop.abort();
    expect(await impatient).toBe(stop.signal.reason);
    expect((await patient).accessToken).toBe('token-1');
    expect(count()).toBe(1);
  });

  const base: ExchangeRequest = {
    subjectToken: 's',
    subjectTokenType: 'urn:a',
    actorToken: 'a',
    actorTokenType: 'urn:a',
    resources: ['r1', 'r2'],
    audiences: ['x'],
    scope: 'a b',
  };

  it.each<[string, Partial<ExchangeRequest>]>([
    ['another subject', { subjectToken: 't' }],
    ['another subject type', { subjectTokenType: 'urn:b' }],
    ['another actor', { actorToken: 'b' }],
    ['another actor type', { actorTokenType: 'urn:b' }],
    ['fewer resources', { resources: ['r1'] }],
    ['resources in another order, of which AuthPlane reads the first', { resources: ['r2', 'r1'] }],
    ['resources that are audiences', { resources: ['r1'], audiences: ['r2', 'x'] }],
    ['a resource that looks like two', { resources: ['r1,r2'] }],
    ['another audience', { audiences: ['y'] }],
    ['another scope', { scope: 'a b c' }],
  ])('T47: %s is another token', async (_name, change) => {
    await operations.exchange(base);
    await operations.exchange({ ...base, ...change });
    expect(count()).toBe(2);
  });

  it.each<[string, Partial<ExchangeRequest>]>([
    ['scopes in another order', { scope: 'b a' }],
    ['a scope twice', { scope: 'a b a' }],
    ['blank values', { resources: ['r1', '', 'r2'], audiences: [' ', 'x'] }],
  ])('%s are the same token', async (_name, change) => {
    await operations.exchange(base);
    await operations.exchange({ ...base, ...change });
    expect(count()).toBe(1);
  });

  it('T47: grants and clients do not share tokens', async () => {
    await operations.clientCredentials({ scopes: ['a'] });
    await operations.clientCredentials({ scopes: ['b'] });
    await operations.clientCredentials({ scopes: ['a'], resources: ['r'] });
    await operations.clientCredentials({ scopes: ['a', 'r'] });
    await operations.clientCredentials({ scopes: ['a'] });
    expect(count()).toBe(4);
  });

  it('T47: another client or another key is another token', async () => {
    const authentication = { clientId: 'a', authenticate: () => ({}) };
    const dpop = { thumbprint: 'x', proof: async () => 'proof', noteNonce: () => undefined };
    setup.server.on('/token_endpoint', countingTokens({ token_type: 'DPoP' }));
    operations = setup.with({ authentication, dpop });
    for (const [clientId, thumbprint] of [
      ['a', 'x'],
      ['b', 'x'],
      ['a', 'y'],
      ['ax', ''],
      ['', 'ax'],
    ]) {
      Object.assign(authentication, { clientId });
      Object.assign(dpop, { thumbprint });
      await operations.clientCredentials();
    }
    expect(count()).toBe(5);
  });

  it('clientCredentials is cached, and evicted', async () => {
    const { accessToken } = await operations.clientCredentials();
    expect((await operations.clientCredentials()).accessToken).toBe(accessToken);
    operations.evict(accessToken);
    expect((await operations.clientCredentials()).accessToken).toBe('token-2');
  });

  it('RFC 6749 §5.1: expires_in 0 is not cached, an absent one is', async () => {
    setup.server.on('/token_endpoint', countingTokens({ expires_in: 0 }));
    await operations.exchange({ subjectToken: 's' });
    await operations.exchange({ subjectToken: 's' });
    expect(count()).toBe(2);
    setup.server.on('/token_endpoint', countingTokens({ expires_in: undefined }));
    await operations.exchange({ subjectToken: 's' });
    await operations.exchange({ subjectToken: 's' });
    expect(count()).toBe(3);
  });

  it('has the margin and the default of the options', async () => {
    operations = setup.with({ cacheTtlBufferSeconds: 0, defaultTtlSeconds: 5, cacheMaxEntries: 0 });
    await operations.clientCredentials();
    await operations.clientCredentials();
    expect(count()).toBe(2);
    operations = setup.with({ cacheTtlBufferSeconds: 3590 });
    await operations.clientCredentials();
    setup.clock.advance(9);
    await operations.clientCredentials();
    expect(count()).toBe(3);
    setup.clock.advance(1);
    await operations.clientCredentials();
    expect(count()).toBe(4);
  });

  it('ends with the subject token', async () => {
    const subjectToken = jwt({ exp: NOW + 10 });
    await operations.exchange({ subjectToken });
    setup.clock.advance(9);
    await operations.exchange({ subjectToken });
    expect(count()).toBe(1);
    setup.clock.advance(1);
    const thrown = await thrownBy(operations.exchange({ subjectToken }));
    expect(thrown).toBeInstanceOf(TokenExpiredError);
  });
});

describe('hardening: T49: the scope of an answer', () => {
  it.each<[string | undefined, string | undefined, boolean]>([
    ['read', 'read admin', false],
    ['read', 'admin', false],
    ['read', 'READ', false],
    ['read write', 'write read', true],
    ['read  write', 'read', true],
    ['read', '', true],
    ['read', undefined, true],
    [undefined, 'read admin', true],
    [' ', 'read admin', true],
  ])('%j asked for, %j granted', async (scope, granted, accepted) => {
    setup.server.on('/token_endpoint', replyJson(tokenBody({ scope: granted })));
    const asked = scope === undefined ? {} : { scope };
    const scopes = scope === undefined ? {} : { scopes: scope.split(' ') };
    for (const ask of [
      () => operations.exchange({ subjectToken: 's', ...asked }),
      () => operations.clientCredentials(scopes),
    ]) {
      const outcome = await ask().catch((error: unknown) => error);
      expect(outcome instanceof ProtocolError).toBe(!accepted);
      if (!accepted) expect(String(outcome)).toContain('scope is wider than asked for');
    }
  });
});
