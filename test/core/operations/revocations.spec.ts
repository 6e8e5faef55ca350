import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { ServerError } from '../../../src/core/errors/oauth-errors.js';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import {
  jwt,
  setUpAnswering,
  type Setup,
  thrownBy,
  tokenBody,
} from '../../support/servers/client-setup.js';
import { replyJson, replyProblem, replyRaw } from '../../support/servers/scripted-server.js';

let setup: Setup;
let operations: TokenOperations;

beforeEach(async () => {
  setup = await setUpAnswering();
  operations = setup.operations;
});

afterEach(() => setup.close());

/** The parameters in the order they were sent. */
function sent(): [string, string][] {
  return [...setup.server.last.form];
}

function count(path = '/token_endpoint'): number {
  return setup.server.requests.filter((request) => request.path === path).length;
}

describe('revocation', () => {
  it('rfc7009-revocation-request-must-post-token-and-token-type-hint', async () => {
    await operations.revoke('token_to_revoke');
    expect(sent()).toEqual([
      ['token', 'token_to_revoke'],
      ['token_type_hint', 'access_token'],
    ]);
    await operations.revoke('r', 'refresh_token');
    expect(setup.server.last.form.get('token_type_hint')).toBe('refresh_token');
  });

  it.each([
    ['an empty body', replyRaw('', 200)],
    ['204', replyRaw('', 204)],
    ['JSON', replyJson({})],
    ['something else', replyRaw('ok', 200, { 'content-type': 'text/plain' })],
  ])('RFC 7009 §2.2: %s is a success', async (_name, reply) => {
    setup.server.on('/revocation_endpoint', reply);
    await operations.revoke('t');
  });

  it('rfc7009-revocation-server-errors-must-surface', async () => {
    setup.server.on('/revocation_endpoint', replyProblem('server_error', 500));
    const thrown = await thrownBy(operations.revoke('t'));
    expect(thrown).toBeInstanceOf(ServerError);
    expect(thrown).toMatchObject({ code: 'server_error', statusCode: 500 });
  });

  it('hardening: a hint that is none is refused before anything is sent', async () => {
    const thrown = await thrownBy(operations.revoke('t', 5 as never));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(setup.server.requests).toEqual([]);
  });

  it.each([200, 500])('forgets cached tokens, also when the answer is %d', async (status) => {
    setup.server.on('/revocation_endpoint', replyJson({ error: 'server_error' }, status));
    const told: string[] = [];
    const listener = (token: string): void => void told.push(token);
    operations.onRevoked(listener);
    const own = await operations.clientCredentials();
    await operations.exchange({ subjectToken: 's' });
    await operations.revoke(own.accessToken).catch(() => undefined);
    await operations.revoke('s').catch(() => undefined);
    expect((await operations.clientCredentials()).accessToken).toBe('token-3');
    expect((await operations.exchange({ subjectToken: 's' })).accessToken).toBe('token-4');
    expect([...new Set(told)]).toEqual([own.accessToken, 's']);
    expect(listener).toBeDefined(); // held until here
  });

  it('hardening: a token goes with what came from another spelling of its signature', async () => {
    const [one, other] = [jwt({ sub: 'one' }), jwt({ sub: 'other' })];
    await operations.exchange({ subjectToken: one });
    await operations.exchange({ subjectToken: other });
    await operations.revoke(one.replace(/[^.]+$/, 'twin'));
    const { accessToken } = await operations.exchange({ subjectToken: other });
    expect(accessToken).toBe('token-2');
    const again = await operations.exchange({ subjectToken: one });
    expect(again.accessToken).toBe('token-3');
  });

  it('10.14d: a foreign token with two dots goes alone', async () => {
    const [one, other] = ['v4.public.one', 'v4.public.other'];
    for (const subjectToken of [one, other]) await operations.exchange({ subjectToken });
    operations.evict(one);
    expect((await operations.exchange({ subjectToken: other })).accessToken).toBe('token-2');
    expect((await operations.exchange({ subjectToken: one })).accessToken).toBe('token-3');
  });

  it('T43: does not let a token in that was on its way meanwhile', async () => {
    let answer: () => void = () => undefined;
    setup.server.on('/token_endpoint', (response, request) => {
      answer = () => void replyJson(tokenBody({ access_token: 'late' }))(response, request);
    });
    const exchange = operations.exchange({ subjectToken: 's' });
    while (count() === 0) await delay(2);
    await operations.revoke('s');
    answer();
    expect((await exchange).accessToken).toBe('late');
    setup.server.on('/token_endpoint', replyJson(tokenBody({ access_token: 'new' })));
    expect((await operations.exchange({ subjectToken: 's' })).accessToken).toBe('new');
  });
});
