import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientAuthentication } from '../../../src/core/calls/client-authentication.js';
import { ProtocolError } from '../../../src/core/errors/server-errors.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import type { HttpAnswer } from '../../../src/core/http/answer.js';
import { readIntrospectionResponse } from '../../../src/core/operations/introspection.js';
import { setUpAnswering, type Setup, thrownBy } from '../../support/servers/client-setup.js';
import { replyJson, replyRaw } from '../../support/servers/scripted-server.js';

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

function answer(json: unknown, status = 200): HttpAnswer {
  return { status, headers: {}, json };
}

describe('introspection', () => {
  it('rfc7662-introspection-request-must-post-token-and-access-token-hint, rfc7662-introspection-without-credentials-must-not-send-authorization-header', async () => {
    await operations.introspect('my.raw.token');
    expect(setup.server.last.method).toBe('POST');
    expect(sent()).toEqual([
      ['token', 'my.raw.token'],
      ['token_type_hint', 'access_token'],
    ]);
    expect(setup.server.last.headers.authorization).toBeUndefined();
  });

  it('rfc7662-introspection-basic-auth-must-be-supported', async () => {
    const authentication = clientAuthentication({ clientId: 'me', clientSecret: 'secret' });
    await setup.with({ authentication }).introspect('t');
    expect(setup.server.last.headers.authorization).toMatch(/^Basic /);
  });

  it('rfc7662-introspection-standard-fields-must-round-trip', async () => {
    const body = {
      active: true,
      scope: 'read:data write:data',
      client_id: 'client456',
      sub: 'user123',
      token_type: 'access_token',
      iss: 'https://auth.example.com',
      aud: 'https://api.example.com',
      exp: 1234567890,
      iat: 1234567800,
      jti: 'token-id-123',
      cnf: { jkt: 'thumb' },
    };
    setup.server.on('/introspection_endpoint', replyJson(body));
    expect(await operations.introspect('t')).toEqual({
      active: true,
      scope: body.scope,
      clientId: body.client_id,
      sub: body.sub,
      tokenType: body.token_type,
      iss: body.iss,
      aud: body.aud,
      exp: body.exp,
      iat: body.iat,
      jti: body.jti,
      cnfJkt: 'thumb',
      agentId: '',
      agentChain: [],
      raw: body,
    });
  });

  it('RFC 7662 §2.2: aud may be a list', async () => {
    setup.server.on('/introspection_endpoint', replyJson({ active: true, aud: ['a', 'b'] }));
    expect((await operations.introspect('t')).aud).toEqual(['a', 'b']);
  });

  it.each<[unknown, boolean]>([
    [true, true],
    [false, false],
    [undefined, false],
    ['true', false],
    ['false', false],
    [1, false],
    [[true], false],
    [{}, false],
    [null, false],
  ])(
    'rfc7662-introspection-active-false-must-parse-as-inactive, T46: active %j is %s',
    async (active, expected) => {
      setup.server.on('/introspection_endpoint', replyJson({ active, sub: 'x' }));
      expect((await operations.introspect('t')).active).toBe(expected);
    },
  );

  it('members of the wrong type are left to raw', async () => {
    const body = { active: true, sub: 5, aud: [1], exp: 'x', cnf: 'y' };
    setup.server.on('/introspection_endpoint', replyJson(body));
    const answer = await operations.introspect('t');
    expect([answer.sub, answer.aud, answer.exp, answer.cnfJkt]).toEqual(Array(4).fill(undefined));
    expect(answer.raw).toEqual(body);
  });

  it.each([
    replyRaw('', 200),
    replyRaw('<html>', 200, { 'content-type': 'text/html' }),
    replyJson([]),
  ])('an answer that is no JSON object is an error and no verdict', async (reply) => {
    setup.server.on('/introspection_endpoint', reply);
    expect(await thrownBy(operations.introspect('t'))).toBeInstanceOf(ProtocolError);
  });

  it('is asked every time', async () => {
    await operations.introspect('t');
    await operations.introspect('t');
    expect(count('/introspection_endpoint')).toBe(2);
  });

  it('refuses a blank token before anything is sent', async () => {
    expect(await thrownBy(operations.introspect(' '))).toBeInstanceOf(ConfigurationError);
    expect(await thrownBy(operations.revoke(''))).toBeInstanceOf(ConfigurationError);
    expect(setup.server.requests).toHaveLength(0);
  });
});

describe('9.25: an introspection answer', () => {
  const asked = { operation: 'introspect' };
  const verdict = (json: unknown) => readIntrospectionResponse(answer(json), asked);

  it.each([
    [true, true],
    [false, false],
    [undefined, false],
    [null, false],
    ['true', false],
    [1, false],
    [{}, false],
  ])('RFC 7662 §2.2: active %j is %p', (active, expected) => {
    expect(verdict({ active }).active).toBe(expected);
  });

  it('has each member under its own name, and only in its type', () => {
    const members = { scope: 'a b', sub: 's', iss: 'i', jti: 'j', exp: 3, iat: 2 };
    const agent = { agent_id: 'g', agent_chain: ['r', 'g'] };
    const names = { client_id: 'c', token_type: 'Bearer', cnf: { jkt: 't' }, ...agent };
    const raw = { active: true, aud: ['x', 'y'], ...members, ...names };
    const agents = { agentId: 'g', agentChain: ['r', 'g'] };
    const values = { clientId: 'c', tokenType: 'Bearer', cnfJkt: 't', ...agents };
    expect(verdict(raw)).toEqual({ active: true, aud: ['x', 'y'], ...members, ...values, raw });
    const wrong = Object.fromEntries(Object.keys(raw).map((name) => [name, [1]]));
    const { agentId, agentChain, ...others } = verdict(wrong);
    expect([agentId, agentChain]).toEqual(['', []]);
    expect(new Set(Object.values({ ...others, raw: undefined }))).toEqual(
      new Set([false, undefined]),
    );
    expect(verdict({ aud: 'x' }).aud).toBe('x');
    expect(verdict({ aud: ['x', 1] }).aud).toBeUndefined();
    expect(verdict(JSON.parse('{"__proto__":{"active":true,"sub":"a"}}'))).toMatchObject({
      active: false,
      sub: undefined,
    });
    expect(Object.isFrozen(verdict(raw))).toBe(true);
    expect(Object.isFrozen(verdict(raw).raw['cnf'])).toBe(true);
  });

  it.each([[[]], [null], ['text'], [undefined]])('is an error when it is %j', (json) => {
    expect(() => verdict(json)).toThrow(ProtocolError);
    expect(() => verdict(json)).toThrow(/^introspect: .*status 200: no JSON object/);
  });
});
