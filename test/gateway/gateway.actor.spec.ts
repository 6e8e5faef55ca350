import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange } from 'authplane-nestjs/gateway';
import { Events } from '../../src/core/events.js';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../support/gateway/upstream-servers.js';

/** What the authorization server is sent, of requests in this process. */
class Forms {
  readonly all: URLSearchParams[] = [];
  readonly #noted = (message: unknown) => {
    const { request } = message as { request: IncomingMessage };
    if (request.headers['content-type']?.includes('urlencoded') !== true) return;
    const { push } = request; // a listener would take the body from whoever reads it
    let text = '';
    request.push = (chunk: Buffer | null, encoding) => {
      if (chunk === null) this.all.push(new URLSearchParams(text));
      else text += chunk.toString();
      return push.call(request, chunk, encoding);
    };
  };

  begin(): void {
    subscribe('http.server.request.start', this.#noted);
  }

  end(): void {
    unsubscribe('http.server.request.start', this.#noted);
  }
}

describe('14.2: exchange({ actor }) through a gateway', () => {
  const forms = new Forms();
  let search: RunningUpstream;
  let app: GatewayApp;
  let actor = '';
  beforeAll(async () => {
    forms.begin();
    search = await startUpstream(searchServer);
    const token = exchange({ scope: 'search', actor: () => actor });
    app = await startGateway({
      scopes: ['use'],
      resources: [{ url: search.url, scopeMap: { use: ['search'] } }],
      gateway: { upstreams: { search: { url: search.url, token } } },
    });
  });
  afterAll(async () => {
    forms.end();
    await app.close();
    await search.stop();
  });

  const actorToken = (sub: string) =>
    app.authorizationServer.issueToken({ aud: [app.mcpUrl], scope: 'use', sub, client_id: sub });
  const call = async (token: string) => {
    const asked = search.asked.length;
    const init = { token };
    const { status } = await app.ask('tools/call', { name: 'search__web', arguments: {} }, init);
    return { status, token: search.asked.slice(asked).at(-1)?.token };
  };

  test('its token reaches the authorization server, and two actors never share a token', async () => {
    const ann = await app.token({ sub: 'ann' });
    const [one, two] = [await actorToken('one'), await actorToken('two')];
    const told: string[] = [];
    const stops = [
      app.app.app
        .get(Events)
        .onEvent((event) => told.push(inspect(event, { depth: 9 })), { admissions: true }),
      app.gateway.onDecision((decision) => told.push(JSON.stringify(decision))),
    ];
    const keys: string[] = [];

    const { set } = Map.prototype;
    Map.prototype.set = function (this: Map<unknown, unknown>, key: unknown, value: unknown) {
      const [, , by = ''] = new Error().stack?.split('\n') ?? [];
      if (typeof key === 'string' && /\/src\/(?!testing)/.test(by)) keys.push(key); // not those of the stand-in
      return set.call(this, key, value);
    };
    const given: Record<string, Set<unknown>> = { one: new Set(), two: new Set() };
    try {
      for (const [name, token] of [
        ['one', one],
        ['two', two],
        ['one', one],
        ['two', two],
      ] as const) {
        actor = token;
        const { status, token: sent } = await call(ann);
        expect(status).toBe(200);
        given[name]?.add(sent);
      }
    } finally {
      Map.prototype.set = set;
      for (const stop of stops) stop();
    }
    const actors = forms.all.map((form) => form.get('actor_token')).filter((sent) => sent !== null);
    expect(actors).toEqual([one, two]); // what was exchanged for one is his, and kept
    expect(forms.all.at(-1)?.get('actor_token_type')).toBe(
      'urn:ietf:params:oauth:token-type:access_token',
    );
    expect([given['one']?.size, given['two']?.size]).toEqual([1, 1]);
    expect(given['one']).not.toEqual(given['two']);
    expect(search.received()).not.toContain(one);
    expect([told.length > 0, keys.length > 0]).toEqual([true, true]);
    for (const text of [...told, ...keys])
      for (const token of [one, two])
        for (const piece of [token, token.split('.')[1]!, token.split('.')[2]!])
          expect(text).not.toContain(piece);
  });

  test('an actor who is refused gets nothing that somebody else has', async () => {
    const ann = await app.token({ sub: 'ann', jti: 'again' });
    actor = await actorToken('three');
    expect((await call(ann)).status).toBe(200);
    actor = 'not-a-token-of-this-server';
    const { status, token } = await call(ann);
    expect([status, token]).toEqual([502, undefined]);
  });
});
