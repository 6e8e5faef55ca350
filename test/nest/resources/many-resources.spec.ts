import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { type AuthplaneResource, UnknownResourceError } from 'authplane-nestjs';
import { type DPoPKey, dpopProof, generateDPoPKey } from 'authplane-nestjs/testing';
import type { PathParams } from '../../../src/core/names/path-template.js';
import { type ResolvedNames, withNames } from '../../../src/core/names/settings.js';
import { systemClock } from '../../../src/core/lib/clock.js';
import { ManyResources } from '../../../src/nest/resources/many-resources.js';
import { platforms, startTrusting } from '../../support/nest/start-app.js';
import {
  type OptionsAt,
  type RawRequest,
  startTenantsApp,
  type TenantsApp,
} from '../../support/nest/tenants-app.js';
import { holdTimers } from '../../support/time/held-timers.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

const METADATA = '/.well-known/oauth-protected-resource';
const TENANTS = ['acme', 'globex'];

let app: TenantsApp;

describe.each(platforms)('a resource for each path on %s', (platform) => {
  let asked: PathParams[];

  const start = (options: Partial<ReturnType<OptionsAt>> = {}, mcpPath = '/mcp/:profile') => {
    asked = [];
    return startTenantsApp(
      (port) => ({
        baseUrl: `http://127.0.0.1:${port}`,
        mcpPath,
        isResource: (params) => {
          asked.push(params);
          return TENANTS.includes(params['profile'] ?? '');
        },
        ...options,
      }),
      { platform },
    );
  };
  const uriOf = (profile: string, path = 'mcp') =>
    `http://127.0.0.1:${app.port}/${path}/${profile}`;

  afterEach(() => app.close());

  it('has its own challenge, audience, metadata and parameters', async () => {
    app = await start();
    const refused = await app.ask({ path: '/mcp/acme/about' });
    expect(refused.status).toBe(401);
    expect(refused.challenge).toBe(
      `Bearer realm="${uriOf('acme')}", scope="mcp:use", ` +
        `resource_metadata="http://127.0.0.1:${app.port}${METADATA}/mcp/acme"`,
    );
    const document = await app.ask({ path: `${METADATA}/mcp/acme` });
    expect(document.status).toBe(200);
    expect(document.json()).toMatchObject({
      resource: uriOf('acme'),
      scopes_supported: ['mcp:use'],
    });
    const token = await app.token(uriOf('acme'));
    const { status, json } = await app.ask({ path: '/mcp/acme/about?x=1', token });
    expect({ status, body: json() }).toEqual({
      status: 200,
      body: { profile: 'acme', sub: 'alice', uri: uriOf('acme'), params: { profile: 'acme' } },
    });
    expect((await app.ask({ path: '/mcp/globex/about', token })).status).toBe(401);
  });

  it('row 12: is unknown to everybody in the same way, without a challenge', async () => {
    app = await start();
    const credentials = [undefined, 'no token', await app.token(uriOf('nobody'))];
    for (const path of ['/mcp/nobody/about', '/mcp/nobody']) {
      for (const token of credentials) {
        const { status, challenge, json } = await app.ask({
          path,
          ...(token === undefined ? {} : { token }),
        });
        expect({ status, challenge, body: json() }).toEqual({
          status: 404,
          challenge: undefined,
          body: { error: 'not_found' },
        });
      }
    }
    const document = await app.ask({ path: `${METADATA}/mcp/nobody` });
    expect({ status: document.status, body: document.json() }).toEqual({
      status: 404,
      body: { error: 'not_found' },
    });
    expect(document.headers['access-control-allow-origin']).toBe('*');
    expect(asked).toEqual([{ profile: 'nobody' }]);
  });

  it('an unknown one is no JSON-RPC error: there is no server that could speak', async () => {
    app = await start();
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const { status, json } = await app.ask({ path: '/mcp/nobody', body });
    expect({ status, body: json() }).toEqual({ status: 404, body: { error: 'not_found' } });
  });

  test.each([
    '/mcp/%61cme/about',
    '/mcp/acme%2fabout/about',
    '/mcp/acme%5c/about',
    '/mcp/acme;x/about',
    '/mcp/acme%00/about',
    '/mcp/../about',
    '/mcp/%2e%2e/about',
    '/mcp//about',
    '/MCP/acme/about',
    '/%6dcp/acme/about',
    '/mcp/acme/',
    '/mcp/acme%20/about',
    '/mcp/:profile/about',
    'http://127.0.0.1/mcp/acme/about',
    '//mcp/acme/about',
  ])('row 10: %s is 404, and nobody is asked', async (path) => {
    app = await start();
    const token = await app.token(uriOf('acme'));
    const { status, challenge, text } = await app.ask({ path, token });
    expect({ status, challenge }).toEqual({ status: 404, challenge: undefined });
    expect(text).not.toContain('"uri"');
    const document = await app.ask({ path: `${METADATA}${path.replace('/about', '')}` });
    expect([404, 400]).toContain(document.status);
    expect(asked).toEqual([]);
  });

  it('row 10: the root has no metadata, and nobody sees the template', async () => {
    app = await start();
    for (const path of [METADATA, `${METADATA}/mcp`, `${METADATA}/mcp/`, `${METADATA}/mcp/acme/`]) {
      const { status, text } = await app.ask({ path });
      expect({ path, status }).toEqual({ path, status: 404 });
      expect(text).not.toContain(':profile');
    }
  });

  it('HEAD and OPTIONS of its metadata are answered as elsewhere', async () => {
    app = await start();
    const path = `${METADATA}/mcp/acme`;
    const head = await app.ask({ path, method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await app.ask({ path, method: 'OPTIONS' })).status).toBe(204);
    expect((await app.ask({ path, method: 'POST' })).status).toBe(405);
  });

  it('row 11: a thousand requests for one unknown name are one question', async () => {
    app = await start({ clock: { ...systemClock, elapsed: () => 0 } });
    const statuses = new Set<number | undefined>();
    for (let turn = 0; turn < 3; turn++) {
      const answers = Array.from({ length: 170 }, () => [
        app.ask({ path: '/mcp/nobody/about' }),
        app.ask({ path: `${METADATA}/mcp/nobody` }),
      ]);
      for (const { status } of await Promise.all(answers.flat())) statuses.add(status);
    }
    expect([...statuses]).toEqual([404]);
    expect(asked).toHaveLength(1);
  });

  it('row 11: only true is yes', async () => {
    const isResource = (({ profile }: PathParams) => profile) as unknown as () => boolean;
    app = await start({ isResource });
    expect((await app.ask({ path: '/mcp/acme/about' })).status).toBe(404);
  });

  it('a lookup that throws or hangs is 503 for those who ask for it, and nobody else', async () => {
    app = await start({
      isResource: ({ profile }) => {
        if (profile === 'broken') throw new Error('secret of the database');
        return profile === 'slow' ? new Promise<never>(() => undefined) : profile === 'acme';
      },
    });
    const deadlines = holdTimers(5000);
    const slow = app.ask({ path: '/mcp/slow/about' });
    for (const path of ['/mcp/broken/about', `${METADATA}/mcp/broken`]) {
      const { status, headers, challenge, text } = await app.ask({ path });
      expect({ status, challenge, retry: headers['retry-after'] }).toEqual({
        status: 503,
        challenge: undefined,
        retry: '5',
      });
      expect(text).not.toContain('secret');
    }
    const token = await app.token(uriOf('acme'));
    expect((await app.ask({ path: '/mcp/acme/about', token })).status).toBe(200);
    await deadlines.fire(1);
    expect((await slow).status).toBe(503);
  });

  it('row 9: a session of one is unknown at the other', async () => {
    app = await start({}, '/sessions/:profile');
    const send = async (profile: string, method: string, headers: RawRequest['headers'] = {}) =>
      app.ask({
        path: `/sessions/${profile}`,
        body: { jsonrpc: '2.0', id: 1, method },
        token: await app.token(uriOf(profile, 'sessions')),
        headers,
      });
    const session = { 'mcp-session-id': 'session-1' };
    expect((await send('acme', 'initialize')).headers['mcp-session-id']).toBe('session-1');
    expect((await send('acme', 'ping', session)).status).toBe(200);
    const foreign = await send('globex', 'ping', session);
    expect(foreign.status).toBe(404);
    expect(foreign.text).toContain('Session not found');
  });

  it('leaves open handlers alone, and has no guarded ones outside of its paths', async () => {
    app = await start();
    expect((await app.ask({ path: '/health', host: 'probe' })).status).toBe(200);
    const token = await app.token(uriOf('acme'));
    const { status, challenge } = await app.ask({ path: '/things', token });
    expect({ status, challenge }).toEqual({ status: 404, challenge: undefined });
    expect(asked).toEqual([]);
  });

  it('row 14: a nonce of one is not good for the other', async () => {
    app = await start({
      inboundDPoP: { required: true, nonce: { secret: 'a secret that has 32 bytes or more' } },
    });
    const key = await generateDPoPKey();
    const first = await boundCall(key, uriOf('acme'));
    expect(first).toMatchObject({ status: 401, error: 'use_dpop_nonce' });
    expect(await boundCall(key, uriOf('acme'), first.nonce)).toMatchObject({ status: 200 });
    expect(await boundCall(key, uriOf('globex'), first.nonce)).toMatchObject({
      status: 401,
      error: 'use_dpop_nonce',
    });
  });

  async function boundCall(key: DPoPKey, uri: string, nonce?: string) {
    const url = `${uri}/about`;
    const token = await app.token(uri, { cnf: { jkt: key.thumbprint } });
    const proof = dpopProof(key, {
      method: 'GET',
      url,
      accessToken: token,
      ...(nonce === undefined ? {} : { nonce }),
    });
    const { status, challenge, headers } = await app.ask({
      path: new URL(url).pathname,
      headers: { authorization: `DPoP ${token}`, dpop: proof },
    });
    const error = /error="([^"]+)"/.exec(challenge ?? '')?.[1];
    return { status, error, nonce: String(headers['dpop-nonce']) };
  }
});

describe.each(platforms)('a resource for each name on %s', (platform) => {
  let asked: string[];

  const two: OptionsAt = (port) => ({
    baseUrl: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
  });
  const byFunction =
    (answer: (host: string, port: number) => unknown): OptionsAt =>
    (port) => ({
      baseUrl: (host) => {
        asked.push(host);
        return answer(host, port) as string;
      },
    });
  const start = (options: OptionsAt, trusted?: string) =>
    startTenantsApp(options, startTrusting(platform, trusted));

  beforeEach(() => {
    asked = [];
  });
  afterEach(() => app.close());

  const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

  it('has its own challenge, metadata and audience, whatever the port and the case', async () => {
    app = await start(two);
    const hosts = [`LocalHost:${app.port}`, 'localhost', 'localhost:1'];
    for (const host of hosts) {
      const { challenge } = await app.ask({ path: '/mcp', host });
      expect(challenge).toContain(`realm="http://localhost:${app.port}/mcp"`);
      for (const path of [METADATA, `${METADATA}/mcp`]) {
        const document = await app.ask({ path, host });
        expect(document.json()).toMatchObject({ resource: `http://localhost:${app.port}/mcp` });
      }
    }
    const token = await app.token(`http://localhost:${app.port}/mcp`);
    const statusAt = async (host: string) =>
      (await app.ask({ path: '/things', host, token })).status;
    expect([await statusAt('localhost'), await statusAt('127.0.0.1')]).toEqual([200, 401]);
    const { json } = await app.ask({ path: '/things', host: 'localhost', token });
    expect(json()).toEqual({ uri: `http://localhost:${app.port}/mcp`, params: {} });
  });

  it('is unknown for any other name, and then has neither challenge nor metadata', async () => {
    app = await start(two);
    const token = await app.token(`http://localhost:${app.port}/mcp`);
    for (const host of ['evil.example', 'localhost.', 'localhost.evil.example', '[::1]', 'a b']) {
      for (const path of ['/mcp', METADATA, `${METADATA}/mcp`, '/things']) {
        const { status, challenge } = await app.ask({ path, host, token });
        expect({ host, path, status, challenge }).toEqual({
          ...{ host, path, challenge: undefined },
          status: 404,
        });
      }
    }
    expect((await app.ask({ path: '/health', host: 'evil.example' })).status).toBe(200);
  });

  it('is not chosen by X-Forwarded-Host, unless the platform trusts the sender', async () => {
    app = await start(two);
    const forged = { 'x-forwarded-host': 'localhost' };
    const untrusted = await app.ask({ path: '/mcp', headers: forged });
    expect(untrusted.challenge).toContain('realm="http://127.0.0.1');
    await app.close();
    app = await start(two, 'loopback');
    const trusted = await app.ask({ path: '/mcp', headers: forged });
    expect(trusted.challenge).toContain('realm="http://localhost');
    const document = await app.ask({ path: `${METADATA}/mcp`, headers: forged });
    expect(document.json()['resource']).toBe(`http://localhost:${app.port}/mcp`);
  });

  it('lets pages of its own origin call, and of no other name', async () => {
    app = await start((port) => ({ ...two(port), devMode: true, mcp: {} }));
    const statusOf = async (host: string, origin: string) => {
      const token = await app.token(`http://${host}:${app.port}/mcp`);
      const headers = { origin };
      return (await app.ask({ path: '/mcp', host, token, headers, body: list })).status;
    };
    expect(await statusOf('localhost', `http://localhost:${app.port}`)).not.toBe(403);
    expect(await statusOf('localhost', 'https://evil.example')).toBe(403);
  });

  it('may come from a function, which is asked once a name', async () => {
    app = await start(
      byFunction((host, port) => (host === 'localhost' ? `http://localhost:${port}` : undefined)),
    );
    for (let turn = 0; turn < 3; turn++) {
      expect((await app.ask({ path: '/mcp', host: 'LOCALHOST:99' })).challenge).toContain(
        `realm="http://localhost:${app.port}/mcp"`,
      );
      expect((await app.ask({ path: '/mcp', host: 'evil.example' })).status).toBe(404);
      expect((await app.ask({ path: `${METADATA}/mcp`, host: 'evil.example' })).status).toBe(404);
    }
    expect(asked).toEqual(['localhost', 'evil.example']);
  });

  test.each<[string, (host: string) => unknown]>([
    ['gives no URL', () => 'localhost'],
    ['gives null', () => null],
    ['gives true', () => true],
    [
      'throws',
      () => {
        throw new Error('down');
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
  ])('row 13: a function that %s is 503, for metadata too', async (_name, answer) => {
    app = await start(byFunction(answer));
    for (const path of ['/mcp', `${METADATA}/mcp`, METADATA]) {
      const { status, challenge } = await app.ask({ path, host: 'localhost' });
      expect({ path, status, challenge }).toEqual({ path, status: 503, challenge: undefined });
    }
    expect(asked).toHaveLength(3);
  });

  it('row 11: an unknown name is answered before anybody is asked for the path', async () => {
    let wasAsked = false;
    app = await start((port) => ({
      ...two(port),
      mcpPath: '/mcp/:profile',
      isResource: () => (wasAsked = true),
    }));
    expect((await app.ask({ path: '/mcp/acme', host: 'evil.example' })).status).toBe(404);
    expect(wasAsked).toBe(false);
  });
});

describe('the resources that are kept', () => {
  const isResource = () => true;
  const names = withNames(
    { baseUrl: 'https://a.example', mcpPath: '/mcp/:id', isResource },
    false,
  ) as ResolvedNames;
  const request = (path: string, params = {}) => ({ originalUrl: path, headers: {}, params });

  const make = () => {
    const made: string[] = [];
    const many = new ManyResources({
      names,
      clock: new ManualClock(),
      make: (uri) => {
        made.push(uri);
        return { resource: { resource: uri } as AuthplaneResource };
      },
    });
    return { many, made };
  };

  it('are 1000, those that were used last', async () => {
    const { many, made } = make();
    for (let id = 0; id < 1000; id++) await many.of(request(`/mcp/${id}`));
    await many.of(request('/mcp/0'));
    await many.of(request('/mcp/1000'));
    expect([many.size, made.length]).toEqual([1000, 1001]);
    await many.of(request('/mcp/0'));
    expect(made).toHaveLength(1001);
    await many.of(request('/mcp/1'));
    expect(made).toHaveLength(1002);
  });

  it('are one object for all guards of a request, whatever goes meanwhile', async () => {
    const { many } = make();
    const one = request('/mcp/one');
    const first = await many.of(one);
    for (let id = 0; id < 1000; id++) await many.of(request(`/mcp/${id}`));
    expect(await many.of(one)).toBe(first);
  });

  it('are read off the path that was sent, and off what the router makes of it', async () => {
    const { many } = make();
    const routed = request('/mcp/acme', { id: 'acme', other: 'x' });
    expect((await many.of(routed)).resource.resource).toBe('https://a.example/mcp/acme');
    const otherwise = request('/mcp/acme', { id: 'globex' });
    await expect(many.of(otherwise)).rejects.toThrow(UnknownResourceError);
  });
});
