import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuthplaneClient, ConsentRequiredError } from 'authplane-nestjs/core';
import {
  clientCredentials,
  exchange,
  none,
  type TokenStrategy,
  type UpstreamTokenRequest,
} from 'authplane-nestjs/gateway';
import {
  startAuthorizationServer,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';
import { HeldTokens, UpstreamTokens } from '../../../src/gateway/upstream/upstream-tokens.js';
import { askingAs } from '../../support/gateway/upstream-objects.js';

const GATEWAY = 'https://gateway.example.com/mcp';
const CALENDAR = 'https://calendar.example.com/mcp';

describe('14.B: UpstreamTokens', () => {
  let server: StandInAuthorizationServer;
  let client: AuthplaneClient;
  let tokens: UpstreamTokens;
  beforeAll(async () => {
    const policy = { exchangeClients: ['gateway'], runtimeClients: ['gateway'] };
    const auth = { clientId: 'gateway', clientSecret: 'a-secret-of-the-gateway' };
    const grants = ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'];
    server = await startAuthorizationServer({
      clients: [{ ...auth, grantTypes: grants, scope: 'calendar.read' }],
      resources: [
        { uri: GATEWAY, slug: 'gateway', scopes: ['use'], policy },
        { uri: CALENDAR, slug: 'calendar', scopes: ['calendar.read'], policy },
      ],
      fronting: [{ source: GATEWAY, target: CALENDAR, scopeMap: { use: ['calendar.read'] } }],
    });
    client = await AuthplaneClient.create({ issuer: server.issuer, auth, devMode: true });
    tokens = new UpstreamTokens(client, { name: 'cal', resource: CALENDAR });
  });
  afterAll(async () => {
    client.close();
    await server.close();
  });

  async function needOf(strategy: TokenStrategy, sub = 'ann') {
    const token = await server.issueToken({
      aud: [GATEWAY],
      scope: 'use',
      sub,
      client_id: 'agent',
    });
    const { caller, signal } = askingAs(sub, { token });
    return { strategy, caller, signal, operation: { method: 'tools/call', name: 'list' } };
  }
  async function tokenFor(strategy: TokenStrategy, sub?: string) {
    return tokens.tokenFor(await needOf(strategy, sub));
  }
  const claimsIn = (token: { accessToken: string } | undefined) =>
    JSON.parse(Buffer.from(token?.accessToken.split('.')[1] ?? '', 'base64url').toString());
  const read = exchange({ scope: 'calendar.read' });

  test('14.34: the requests of one call have one token, until it is refused', async () => {
    let exchanges = 0;
    const counted = new UpstreamTokens(
      {
        exchange: (request) => (exchanges++, client.exchange(request)),
        clientCredentials: (request) => client.clientCredentials(request),
        evictRefused: (token) => client.evictRefused(token),
      },
      { name: 'cal', resource: CALENDAR },
    );
    const need = { ...(await needOf(read, 'held')), held: new HeldTokens() };
    const [first, second] = [await counted.tokenFor(need), await counted.tokenFor(need)];
    expect([second, exchanges]).toEqual([first, 1]);
    const next = await counted.tokenAfter(first!, need);
    expect(next?.accessToken).not.toBe(first?.accessToken);
    expect([await counted.tokenFor(need), exchanges]).toEqual([next, 2]);
    await counted.tokenFor({ ...need, held: new HeldTokens() }); // another call
    expect(exchanges).toBe(3);
    const asked: string[] = [];
    const strategy = ({ operation }: UpstreamTokenRequest) => {
      asked.push(operation.method);
      return { accessToken: 'of-a-function' };
    };
    for (const method of ['initialize', 'tools/call']) {
      await counted.tokenFor({ ...need, strategy, operation: { method } });
    }
    expect(asked).toEqual(['initialize', 'tools/call']);
  });

  test('the caller’s is exchanged for one of the upstream', async () => {
    expect(claimsIn(await tokenFor(read))).toMatchObject({ sub: 'ann', scope: 'calendar.read' });
    expect([claimsIn(await tokenFor(read)).aud].flat()).toEqual([CALENDAR]);
    const { caller, ...need } = await needOf(read);
    await expect(
      tokens.tokenFor({ ...need, caller: { ...caller, token: '' } }),
    ).rejects.toMatchObject({ code: 'upstream_refused' });
  });

  test('that of the gateway itself is the same for all', async () => {
    const own = clientCredentials({ scope: 'calendar.read' });
    const [one, other] = [await tokenFor(own, 'ann'), await tokenFor(own, 'bob')];
    expect(claimsIn(one)).toMatchObject({ client_id: 'gateway', scope: 'calendar.read' });
    expect(other?.accessToken).toBe(one?.accessToken);
    expect(await tokenFor(none())).toBeUndefined();
  });

  test('a function is told what for, and gives what is a token, or nothing', async () => {
    const asked: UpstreamTokenRequest[] = [];
    const giving = (given: unknown) =>
      tokenFor((request) => (asked.push(request), given as undefined));
    expect(await giving(undefined)).toBeUndefined();
    expect(await giving({ accessToken: 'opaque~1' })).toEqual({ accessToken: 'opaque~1' });
    expect(asked[0]).toMatchObject({
      upstream: 'cal',
      operation: { method: 'tools/call', name: 'list' },
    });
    for (const wrong of [{ accessToken: '' }, { accessToken: 'a b' }, { accessToken: 'a\n' }, {}])
      await expect(giving(wrong)).rejects.toThrow('the token for cal is none');
    const other = { accessToken: 'a', tokenType: 'Basic' };
    await expect(giving(other)).rejects.toThrow('another type than Bearer and DPoP');
  });

  test('the inbound one is never given to an upstream', async () => {
    const same = ({ caller }: UpstreamTokenRequest) => ({ accessToken: caller.token });
    await expect(tokenFor(same)).rejects.toThrow('is the inbound one, which must not be passed on');
  });

  test('what a function writes to its request changes neither the check nor the call', async () => {
    const overwriting: TokenStrategy = ({ caller, operation }) => {
      const { token } = caller;
      Object.assign(caller, { token: 'another' });
      Object.assign(operation, { name: 'another' });
      return { accessToken: token };
    };
    const need = await needOf(overwriting);
    await expect(tokens.tokenFor(need)).rejects.toThrow('is the inbound one');
    expect(need.operation.name).toBe('list');
  });

  test('after a refusal there is another one, or none', async () => {
    const need = await needOf(read, 'carl');
    const first = await tokens.tokenFor(need);
    expect((await tokens.tokenFor(need))?.accessToken).toBe(first?.accessToken); // remembered
    const next = first && (await tokens.tokenAfter(first, need));
    expect(next?.accessToken).not.toBe(first?.accessToken);
    const retried: unknown[] = [];
    const same = await needOf(({ retry }) => (retried.push(retry), { accessToken: 'same' }));
    expect(await tokens.tokenAfter({ accessToken: 'same' }, same)).toBeUndefined();
    expect(retried).toEqual([true]);
  });

  test('consent and outages stay what they are; any other refusal is of this upstream', async () => {
    server.requireConsent({ resource: CALENDAR, flavour: 'connect', user: 'eve' });
    await expect(tokenFor(read, 'eve')).rejects.toBeInstanceOf(ConsentRequiredError);
    await expect(tokenFor(exchange({ scope: 'calendar.write' }))).rejects.toMatchObject({
      ...{ code: 'upstream_refused', upstream: 'cal', maybeExecuted: false },
      message: expect.stringMatching(
        /fronting link .* scope of the caller's .* "calendar\.write"$/,
      ),
    });
    const elsewhere = 'https://calendar.example.com/';
    await expect(
      tokenFor(exchange({ scope: 'calendar.read', resource: elsewhere })),
    ).rejects.toMatchObject({
      code: 'upstream_refused',
      message: expect.stringMatching(/; register "https:\/\/calendar\.example\.com\/" there, or/),
    });
    server.fail('token', 503);
    await expect(tokenFor(read, 'dave')).rejects.toMatchObject({
      code: 'server_error',
      statusCode: 503,
    });
    server.fail('token', null);
  });
});
