import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeJwt } from 'jose';
import { DPoPSigner } from '../../../src/core/dpop/signer.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { ConsentRequiredError, InvalidGrantError } from '../../../src/core/errors/oauth-errors.js';
import { TokenExpiredError } from '../../../src/core/errors/token-errors.js';
import {
  fetchAs,
  type FetchAsDependencies,
  type FetchAsRequest,
} from '../../../src/core/operations/fetch-as.js';
import {
  countingTokens,
  jwt,
  setUp,
  type Setup,
  thrownBy,
  tokenBody,
} from '../../support/servers/client-setup.js';
import {
  replyJson,
  replyProblem,
  replyRaw,
  ScriptedServer,
} from '../../support/servers/scripted-server.js';
import { NOW } from '../../support/tokens/keys-and-tokens.js';

let setup: Setup;
let service: ScriptedServer;

beforeEach(async () => {
  setup = await setUp();
  service = await ScriptedServer.start();
  setup.server.on('/token_endpoint', countingTokens());
  service.on('/api', replyJson({ hello: 'world' }));
});

afterEach(async () => {
  await service.close();
  await setup.close();
});

type Call = Partial<FetchAsRequest> & { readonly dependencies?: Partial<FetchAsDependencies> };

function call({ dependencies, ...request }: Call = {}): Promise<Response> {
  return fetchAs(
    {
      subjectToken: 'canary-inbound',
      url: `${service.origin}/api`,
      exchange: { resources: ['https://service.example.com'], scope: 'read' },
      ...request,
    },
    { tokens: setup.operations, devMode: true, ...dependencies },
  );
}

function tokenBytes() {
  return new TextEncoder().encode('"canary-inbound"     ');
}

function formWith(value: string): FormData {
  const form = new FormData();
  form.append('file', new Blob(['x']), 'file.txt');
  form.append('t', value);
  return form;
}

function exchanges(): number {
  return setup.server.requests.length;
}

function received(name = 'authorization') {
  return service.requests.map(({ headers }) => headers[name]);
}

describe('a call for the caller', () => {
  it('RFC 8693: carries the exchanged token and hands back the answer', async () => {
    const init = {
      method: 'post',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    };
    const response = await call({ init });
    expect(await response.json()).toEqual({ hello: 'world' });
    expect(service.last).toMatchObject({ method: 'POST', raw: '{"a":1}' });
    expect(service.last.headers['content-type']).toBe('application/json');
    expect(received()).toEqual(['Bearer token-1']);
    expect(setup.server.last.form.get('subject_token')).toBe('canary-inbound');
    expect(setup.server.last.form.get('resource')).toBe('https://service.example.com');
    expect(setup.server.last.form.get('scope')).toBe('read');
  });

  it('uses the cached token for the next one', async () => {
    await call();
    await call();
    expect(exchanges()).toBe(1);
  });

  it.each([204, 400, 403, 404, 500])('hands back status %d as it is', async (status) => {
    service.on('/api', replyRaw('', status));
    expect((await call()).status).toBe(status);
    expect(service.requests).toHaveLength(1);
  });

  it('throws what the exchange throws, and sends nothing', async () => {
    setup.server.on('/token_endpoint', replyProblem('consent_required'));
    expect(await thrownBy(call())).toBeInstanceOf(ConsentRequiredError);
    expect(service.requests).toHaveLength(0);
  });

  it('gives up with the signal of the caller', async () => {
    service.on('/api', async () => delay(2_000, undefined, { ref: false }));
    const signal = AbortSignal.timeout(30);
    expect(await thrownBy(call({ init: { signal } }))).toBe(signal.reason);
    expect(await thrownBy(call({ init: { signal: AbortSignal.abort() } }))).toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('a 401', () => {
  const refused = replyRaw('', 401, { 'www-authenticate': 'Bearer error="invalid_token"' });

  it('drops the token and is tried once more with a new one', async () => {
    service.on('/api', refused, replyJson({}));
    expect((await call({ init: { method: 'POST', body: 'x' } })).status).toBe(200);
    expect(received()).toEqual(['Bearer token-1', 'Bearer token-2']);
    expect(service.requests.map(({ raw }) => raw)).toEqual(['x', 'x']);
  });

  it('is handed back the second time', async () => {
    service.on('/api', refused);
    expect((await call()).status).toBe(401);
    expect(received()).toHaveLength(2);
  });

  it('throws when there is no new token', async () => {
    setup.server.on('/token_endpoint', countingTokens(), replyProblem('invalid_grant'));
    service.on('/api', refused);
    expect(await thrownBy(call())).toBeInstanceOf(InvalidGrantError);
  });

  it('10.14c: a service that always says so costs one new token, and none again for seconds', async () => {
    service.on('/api', refused);
    for (let i = 0; i < 20; i++) expect((await call()).status).toBe(401);
    expect(exchanges()).toBe(2);
    setup.clock.advance(5);
    for (let i = 0; i < 20; i++) expect((await call()).status).toBe(401);
    expect(exchanges()).toBe(3);
    setup.clock.advance(5);
    service.on('/api', (response, request) => {
      const old = request.headers.authorization === 'Bearer token-3';
      return (old ? refused : replyJson({}))(response, request);
    });
    expect((await call()).status).toBe(200);
  });

  it('10.14c: a token that has ended is not exchanged, and nothing is sent', async () => {
    const thrown = await thrownBy(call({ subjectToken: jwt({ exp: NOW - 5 }) }));
    expect(thrown).toBeInstanceOf(TokenExpiredError);
    expect([exchanges(), service.requests.length]).toEqual([0, 0]);
  });

  it('of 50 concurrent calls costs one new exchange', async () => {
    await call();
    service.on('/api', (response, request) => {
      const old = request.headers.authorization === 'Bearer token-1';
      return (old ? refused : replyJson({}))(response, request);
    });
    const all = await Promise.all(Array.from({ length: 50 }, () => call()));
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
    expect(exchanges()).toBe(2);
  });

  it('with a body that is a stream is handed back: it cannot be sent twice', async () => {
    service.on('/api', refused);
    const body = new Blob(['once']).stream();
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    expect((await call({ init })).status).toBe(401);
    expect(service.requests).toHaveLength(1);
  });

  it.each<[string, () => NonNullable<RequestInit['body']>]>([
    ['bytes', () => new TextEncoder().encode('a=1')],
    ['a buffer', () => new TextEncoder().encode('a=1').buffer],
    ['a Blob', () => new Blob(['a=1'])],
    ['parameters', () => new URLSearchParams({ a: '1' })],
  ])('is tried again with %s', async (_name, body) => {
    service.on('/api', refused, replyJson({}));
    expect((await call({ init: { method: 'PUT', body: body() } })).status).toBe(200);
    expect(service.requests.map(({ raw }) => raw)).toEqual(['a=1', 'a=1']);
  });
});

describe('DPoP', () => {
  let dpop: DPoPSigner;
  const challenge = (nonce: string) =>
    replyRaw('', 401, {
      'www-authenticate': 'DPoP error="use_dpop_nonce", error_description="x"',
      'dpop-nonce': nonce,
    });

  beforeEach(async () => {
    dpop = await DPoPSigner.generate();
    setup.server.on('/token_endpoint', countingTokens({ token_type: 'DPoP' }));
  });

  function boundCall(request: Call = {}) {
    return call({ ...request, dependencies: { tokens: setup.with({ dpop }), dpop } });
  }

  function proofs() {
    return received('dpop').map((proof) => decodeJwt(String(proof)));
  }

  it('RFC 9449 §7.1: sends the token under its scheme, with a proof for this request', async () => {
    await boundCall({ url: `${service.origin}/api?x=1`, init: { method: 'post' } });
    expect(received()).toEqual(['DPoP token-1']);
    expect(proofs()[0]).toMatchObject({
      htm: 'POST',
      htu: `${service.origin}/api`,
      ath: createHash('sha256').update('token-1').digest('base64url'),
    });
  });

  it('RFC 9449 §9: meets a demand for a nonce once, with the same token', async () => {
    service.on('/api', challenge('n1'), replyJson({}));
    expect((await boundCall()).status).toBe(200);
    expect(received()).toEqual(['DPoP token-1', 'DPoP token-1']);
    const [first, second] = proofs();
    expect(first).not.toHaveProperty('nonce');
    expect(second).toMatchObject({ nonce: 'n1' });
    expect(second?.jti).not.toBe(first?.jti);
  });

  it('ends although the service never has enough', async () => {
    service.on('/api', challenge('n'));
    expect((await boundCall()).status).toBe(401);
    expect(service.requests.length).toBeLessThanOrEqual(4);
  });

  it('notes a nonce of any answer', async () => {
    service.on('/api', replyJson({}, 200, { 'dpop-nonce': 'n1' }), replyJson({}));
    await boundCall();
    await boundCall();
    expect(proofs().map(({ nonce }) => nonce)).toEqual([undefined, 'n1']);
  });

  it('T49: a token of the vault stays Bearer and goes without proof', async () => {
    setup.server.on('/token_endpoint', countingTokens());
    await boundCall();
    expect(received()).toEqual(['Bearer token-1']);
    expect(received('dpop')).toEqual([undefined]);
  });

  it('needs a signer', async () => {
    expect(await thrownBy(call())).toBeInstanceOf(ConfigurationError);
    expect(service.requests).toHaveLength(0);
  });
});

describe('T48: the inbound token', () => {
  it('is refused when the exchange gives it back', async () => {
    const echo = tokenBody({ access_token: 'canary-inbound' });
    setup.server.on('/token_endpoint', replyJson(echo));
    const thrown = await thrownBy(call());
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(inspect(thrown)).not.toContain('canary');
    expect(service.requests).toHaveLength(0);
  });

  it.each<[string, Call]>([
    ['an Authorization header', { init: { headers: { Authorization: 'Bearer x' } } }],
    ['a DPoP header', { init: { headers: [['DPoP', 'x']] } }],
    ['the token in a header of its own', { init: { headers: { 'x-user': 'canary-inbound' } } }],
    ['the token in a passed header', { inboundHeaders: { 'x-user': 'canary-inbound' } }],
    ['the token in the URL', { url: 'https://a.example.com/?t=canary-inbound' }],
    ['the token in the body', { init: { method: 'POST', body: '{"t":"canary-inbound"}' } }],
    [
      'the token in a form',
      { init: { method: 'POST', body: new URLSearchParams({ t: 'canary-inbound' }) } },
    ],
    [
      'the token in bytes',
      { init: { method: 'POST', body: new TextEncoder().encode('t=canary-inbound&x') } },
    ],
    [
      'the token in a part of a buffer',
      { init: { method: 'POST', body: new DataView(tokenBytes().buffer, 1, 20) } },
    ],
    ['the token in a buffer', { init: { method: 'POST', body: tokenBytes().buffer } }],
    ['the token in a form field', { init: { method: 'POST', body: formWith('canary-inbound') } }],
    [
      'a token that a form spells otherwise',
      {
        subjectToken: 'canary+in/bound==',
        init: { method: 'POST', body: new URLSearchParams({ t: 'canary+in/bound==' }) },
      },
    ],
    [
      'a token that a URL spells otherwise',
      {
        subjectToken: 'canary+in/bound==',
        url: `https://a.example.com/?${new URLSearchParams({ t: 'canary+in/bound==' })}`,
      },
    ],
    ['redirects to be followed', { init: { redirect: 'follow' } }],
    ['no subject token', { subjectToken: ' ' }],
    ['a relative URL', { url: '/api' }],
    ['another scheme', { url: 'ftp://a.example.com/' }],
    ['http outside of devMode', { dependencies: { devMode: false } }],
  ])('is not sent: %s is refused before the exchange', async (_name, request) => {
    const thrown = await thrownBy(call(request));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(inspect(thrown)).not.toContain('canary');
    expect(exchanges() + service.requests.length).toBe(0);
  });

  it('what its TSDoc names as not looked through is sent as it is', async () => {
    const body = new Blob(['canary-inbound']);
    expect((await call({ init: { method: 'POST', body } })).status).toBe(200);
    const other = tokenBytes().subarray(4); // "ary-inbound" is not the token
    expect((await call({ init: { method: 'POST', body: other } })).status).toBe(200);
    expect((await call({ init: { method: 'POST', body: formWith('harmless') } })).status).toBe(200);
  });

  it('10.23: MCP: parameters of the tool go along, but for tokens', async () => {
    const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;
    const someJwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canary';
    const parameters = {
      'Mcp-Param-Region': 'eu',
      'Mcp-Param-Author': base64('Bücher'),
      'mcp-param-token-count': '5',
      'MCP-PARAM-SESSION': 's1',
    };
    const inboundHeaders = {
      ...parameters,
      'mcp-param-a': 'canary-inbound',
      'mcp-param-b': `x ${someJwt}`,
      'mcp-param-c': base64('Bearer canary-inbound'),
      'mcp-param-d': base64(someJwt),
      'x-mcp-param-token': 'canary',
      'mcp-session-id': 'canary',
    };
    await call({ inboundHeaders });
    const { headers } = service.last;
    for (const [name, value] of Object.entries(parameters)) {
      expect(headers[name.toLowerCase()]).toBe(value);
    }
    const sent = Object.keys(headers).filter((name) => /mcp/.test(name));
    expect(sent).toHaveLength(Object.keys(parameters).length);
    expect(JSON.stringify(headers)).not.toContain('canary');
  });

  it('stays behind with all that came with it', async () => {
    const inboundHeaders = {
      authorization: 'Bearer canary-inbound',
      'proxy-authorization': 'Basic canary',
      cookie: ['a=canary', 'b=canary'],
      dpop: 'canary',
      host: 'canary.example.com',
      forwarded: 'for=canary',
      'x-forwarded-for': 'canary',
      'x-forwarded-access-token': 'canary',
      'x-real-ip': 'canary',
      'x-api-key': 'canary',
      'x-amzn-oidc-data': 'canary',
      'x-user': 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.canary',
      'x-goog-iap-jwt-assertion': 'canary',
      'x-auth-request-user': 'canary',
      'mcp-session-id': 'canary',
      origin: 'https://canary.example.com',
      connection: 'keep-alive, X-Hop',
      'x-hop': 'canary',
      'keep-alive': 'timeout=5',
      te: 'trailers',
      'transfer-encoding': 'chunked',
      upgrade: 'websocket',
      'content-length': '999',
      'content-type': 'text/canary',
      'content-encoding': 'gzip',
      'sec-fetch-site': 'cross-site',
      undefined,
      traceparent: '00-trace',
      'accept-language': 'de',
      'x-request-id': 'r1',
      'x-own': 'inbound',
    };
    for (const given of [
      inboundHeaders,
      new Headers(Object.entries(inboundHeaders).map(([n, v]) => [n, String(v)])),
    ]) {
      await call({ inboundHeaders: given, init: { headers: { 'x-own': 'own' } } });
      const { headers } = service.last;
      expect(JSON.stringify(headers)).not.toContain('canary');
      expect(headers).toMatchObject({
        authorization: 'Bearer token-1',
        traceparent: '00-trace',
        'accept-language': 'de',
        'x-request-id': 'r1',
        'x-own': 'own',
      });
      for (const name of ['x-hop', 'te', 'content-encoding', 'upgrade']) {
        expect(headers).not.toHaveProperty(name);
      }
    }
  });

  it.each([301, 302, 303, 307, 308])('does not follow a %d with the token', async (status) => {
    service.on('/api', replyRaw('', status, { location: `${service.origin}/elsewhere` }));
    const response = await call();
    expect(response.status).toBe(status);
    expect(response.headers.get('location')).toBe(`${service.origin}/elsewhere`);
    expect(service.requests).toHaveLength(1);
  });

  it('a redirect is an error when the caller wants it so', async () => {
    service.on('/api', replyRaw('', 302, { location: '/elsewhere' }));
    expect(await thrownBy(call({ init: { redirect: 'error' } }))).toMatchObject({
      name: 'TypeError',
    });
  });
});

it('uses the fetch that it is given', async () => {
  const seen: unknown[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    seen.push(String(input), init?.redirect, new Headers(init?.headers).get('authorization'));
    return new Response('mine');
  };
  const response = await call({ url: 'https://service.example.com/x', dependencies: { fetch } });
  expect(await response.text()).toBe('mine');
  expect(seen).toEqual(['https://service.example.com/x', 'manual', 'Bearer token-1']);
});
