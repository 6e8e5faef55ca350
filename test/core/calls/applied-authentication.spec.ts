import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { httpStatus } from '../../../src/core/challenge.js';
import { applyAuthentication } from '../../../src/core/calls/applied-authentication.js';
import {
  type AsCredentials,
  type AuthProvider,
  type ClientAuthentication,
  clientAuthentication,
} from '../../../src/core/calls/client-authentication.js';
import { AuthorizationServerUnavailableError } from '../../../src/core/errors/server-errors.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { InvalidClientError } from '../../../src/core/errors/oauth-errors.js';
import {
  countingTokens,
  ISSUER,
  setUp,
  type Setup,
  thrownBy,
} from '../../support/servers/client-setup.js';
import {
  type ReceivedRequest,
  replyJson,
  replyProblem,
} from '../../support/servers/scripted-server.js';
import { NOW } from '../../support/tokens/keys-and-tokens.js';

let setup: Setup;

beforeEach(async () => {
  setup = await setUp();
  setup.server.on('/token_endpoint', countingTokens());
  setup.server.on('/introspection_endpoint', replyJson({ active: true }));
  setup.server.on('/revocation_endpoint', replyJson({}));
});

afterEach(() => setup.close());

/** The request that goes out with these credentials. */
async function sentWith(credentials: AsCredentials): Promise<ReceivedRequest> {
  await setup.with({ authentication: clientAuthentication(credentials) }).clientCredentials();
  return setup.server.last;
}

async function thrownWith(credentials: AsCredentials): Promise<unknown> {
  const operations = setup.with({ authentication: clientAuthentication(credentials) });
  return thrownBy(operations.clientCredentials());
}

function basicOf({ headers }: ReceivedRequest): string {
  const [scheme, credentials = ''] = headers.authorization?.split(' ') ?? [];
  expect(scheme).toBe('Basic');
  return Buffer.from(credentials, 'base64').toString();
}

describe('10.23: RFC 6749 §2.3: two authentications at once are refused, and nothing is sent', () => {
  const authorization = 'Basic bWU6Y2FuYXJ5';

  it.each<[string, ClientAuthentication]>([
    ['header and secret', { headers: { authorization }, form: { client_secret: 'canary' } }],
    [
      'Header and secret',
      { headers: { Authorization: authorization }, form: { client_secret: 'x' } },
    ],
    ['header and assertion', { headers: { authorization }, form: { client_assertion: 'a.b.c' } }],
    ['secret and assertion', { form: { client_secret: 'canary', client_assertion: 'a.b.c' } }],
  ])('%s', async (_name, answer) => {
    const thrown = await thrownWith({ authenticate: () => answer });
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(String(thrown)).toMatch(/two ways at once/);
    expect(String(thrown)).not.toContain('canary');
    expect(setup.server.requests).toHaveLength(0);
  });

  it('client_id beside a header is none', async () => {
    const form = { client_id: 'me' };
    await sentWith({ authenticate: () => ({ headers: { authorization }, form }) });
  });
});

describe('13.7: what never changes', () => {
  const request = { url: 'https://auth.example.com/token', issuer: ISSUER, parameters: [] };
  const applied = async (credentials: AsCredentials) =>
    applyAuthentication(clientAuthentication(credentials), request);

  it.each(['client_secret_basic', 'client_secret_post'] as const)(
    'is checked once: %s',
    async (method) => {
      const provider = clientAuthentication({ clientId: 'me', clientSecret: 'one', method });
      const [first, second] = [await applied(provider), await applied(provider)];
      expect(second.headers).toBe(first.headers);
      expect(second.added).toBe(first.added);
    },
  );

  it('what somebody else answers is not, even if it is frozen', async () => {
    let key = 'one';
    const headers = Object.freeze({
      get 'x-key'() {
        return key;
      },
    });
    const answer = Object.freeze({ headers });
    expect((await applied({ authenticate: () => answer })).headers).toEqual({ 'x-key': 'one' });
    key = 'two';
    expect((await applied({ authenticate: () => answer })).headers).toEqual({ 'x-key': 'two' });
  });
});

describe('an AuthProvider', () => {
  it('adds headers and parameters, at all three endpoints', async () => {
    const seen: string[] = [];
    const provider: AuthProvider = {
      clientId: 'me',
      authenticate: ({ url, issuer, form }) => {
        seen.push(
          `${new URL(url).pathname} ${issuer} ${form.get('token') ?? form.get('grant_type')}`,
        );
        form.set('token', 'changed'); // a copy: nobody sees it
        return { headers: { 'X-Client': 'cert' }, form: { client_id: 'me' } };
      },
    };
    const operations = setup.with({ authentication: clientAuthentication(provider) });
    await operations.clientCredentials();
    await operations.introspect('t1');
    await operations.revoke('t2');
    for (const { headers, form } of setup.server.requests) {
      expect(headers['x-client']).toBe('cert');
      expect(form.get('client_id')).toBe('me');
    }
    expect(setup.server.requests.map(({ form }) => form.get('token'))).toEqual([null, 't1', 't2']);
    expect(seen).toEqual([
      `/token_endpoint ${ISSUER} client_credentials`,
      `/introspection_endpoint ${ISSUER} t1`,
      `/revocation_endpoint ${ISSUER} t2`,
    ]);
  });

  it.each([
    ['a parameter of the operation', { form: { grant_type: 'password' } }],
    ['a parameter that is no text', { form: { client_id: 5 as unknown as string } }],
    ['a header with a line break', { headers: { authorization: 'Basic a\r\nX: b' } }],
    ['a header with an impossible name', { headers: { 'a b': 'c' } }],
  ])('must not answer with %s', async (_name, answer) => {
    expect(await thrownWith({ authenticate: () => answer })).toBeInstanceOf(ConfigurationError);
    expect(setup.server.requests).toHaveLength(0);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'Basic canary'],
    ['a list', [{ authorization: 'Basic canary' }]],
    ['no headers', { headers: null }],
    ['no form', { form: null }],
    ['headers as text', { headers: 'authorization: Basic canary' }],
    ['headers as fetch has them', { headers: new Headers({ authorization: 'Basic canary' }) }],
    ['headers as a map', { headers: new Map([['authorization', 'Basic canary']]) }],
    ['a form as fetch has it', { form: new URLSearchParams({ client_secret: 'canary' }) }],
    ['a form as text', { form: 'client_secret=canary' }],
    ['a list of parameters', { form: [['client_secret', 'canary']] }],
    ['a header of several values', { headers: { 'x-key': ['canary'] } }],
    ['a parameter of several values', { form: { client_secret: ['canary'] } }],
  ])('hardening: an answer that is %s is a mistake with a name', async (_name, answer) => {
    for (const given of [answer, Promise.resolve(answer)]) {
      const thrown = await thrownWith({ authenticate: () => given as object });
      expect(thrown).toBeInstanceOf(ConfigurationError);
      expect((thrown as Error).message).toContain('authenticate() gave an answer of no use: ');
      expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
    }
    expect(setup.server.requests).toHaveLength(0);
  });

  it('may add nothing, and answer with an object of its own class', async () => {
    class Added {
      readonly headers = { 'x-key': 'one' };
    }
    await setup.with({ authentication: { authenticate: () => new Added() } }).introspect('t');
    expect(setup.server.last.headers['x-key']).toBe('one');
    await setup.with({ authentication: { authenticate: () => ({}) } }).introspect('t');
    expect([...setup.server.last.form.keys()]).toEqual(['token', 'token_type_hint']);
  });

  it('rfc7662-introspection-basic-auth-must-be-supported: one source for introspection too', async () => {
    const authentication = clientAuthentication({
      clientId: 'my-client-id',
      clientSecret: 'my-client-secret',
    });
    await setup.with({ authentication }).introspect('t');
    expect(basicOf(setup.server.last)).toBe('my-client-id:my-client-secret');
  });
});

describe('hardening: what a provider adds is secret', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

  /** What is left of a text of the server that repeats what it was sent. */
  async function redacted(answer: ClientAuthentication, echo: string): Promise<string> {
    setup.server.on(
      '/token_endpoint',
      replyProblem('invalid_client', 401, { error_description: echo }),
    );
    const thrown = await thrownWith({ authenticate: () => answer });
    expect(thrown).toBeInstanceOf(InvalidClientError);
    return (thrown as InvalidClientError).description ?? '';
  }

  it.each<[string, ClientAuthentication, string]>([
    ['an API key', { headers: { 'X-Api-Key': 'canary-key' } }, 'canary-key'],
    ['a bearer token', { headers: { Authorization: 'Bearer canary-token' } }, 'canary-token'],
    [
      'a scheme with parameters',
      { headers: { Authorization: 'Mac id="a", mac="canary"' } },
      'id="a", mac="canary"',
    ],
    ['a second header', { headers: { authorization: 'Bearer a', 'x-key': 'canary' } }, 'canary'],
    [
      'a password with colons',
      { headers: { authorization: basic('id:canary:one:two') } },
      'canary:one:two',
    ],
    [
      'the end of such a password',
      { headers: { authorization: basic('id:pass:canary') } },
      'pass:canary',
    ],
    [
      'Basic in other headers',
      { headers: { 'Proxy-Authorization': basic('id:canary') } },
      'canary',
    ],
    [
      'an encoded password',
      { headers: { authorization: basic('id:canary%26more') } },
      'canary&more',
    ],
    ['Basic credentials without colon', { headers: { authorization: basic('canary') } }, 'canary'],
    ['a parameter of its own', { form: { client_token: 'canary-value' } }, 'canary-value'],
    ['a secret', { form: { client_id: 'me', client_secret: 'canary-secret' } }, 'canary-secret'],
  ])('%s', async (_name, answer, secret) => {
    expect(await redacted(answer, `bad <${secret}>`)).toBe('bad <[redacted]>');
  });

  it('but for who asks, and how', async () => {
    const form = { client_id: 'my-client', client_assertion_type: 'urn:x:jwt' };
    expect(await redacted({ form }, 'my-client must not use urn:x:jwt')).toBe(
      'my-client must not use urn:x:jwt',
    );
  });
});

describe('hardening: credentials that never come', () => {
  const never = (): Promise<never> => new Promise(() => undefined);
  beforeEach(() => {
    vi.useFakeTimers({ now: NOW * 1000, toFake: ['Date', 'setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each<[string, AsCredentials]>([
    ['a function', { clientId: 'me', clientSecret: never }],
    ['a provider', { authenticate: never }],
  ])('%s: all who share the request get 503 after 5 seconds', async (_name, credentials) => {
    const operations = setup.with({ authentication: clientAuthentication(credentials) });
    const waiting = Array.from({ length: 3 }, () => thrownBy(operations.clientCredentials()));
    await vi.advanceTimersByTimeAsync(5001);
    for (const thrown of await Promise.all(waiting)) {
      expect(thrown).toBeInstanceOf(AuthorizationServerUnavailableError);
      expect(httpStatus(thrown)).toBe(503);
    }
    expect(setup.server.requests).toHaveLength(0);
  });

  it('the next request asks anew', async () => {
    let calls = 0;
    const clientSecret = (): Promise<string> => (++calls === 1 ? never() : Promise.resolve('now'));
    const authentication = clientAuthentication({ clientId: 'me', clientSecret });
    const operations = setup.with({ authentication });
    const first = thrownBy(operations.clientCredentials());
    await vi.advanceTimersByTimeAsync(5001);
    await first;
    vi.useRealTimers();
    await operations.clientCredentials();
    expect(basicOf(setup.server.last)).toBe('me:now');
  });
});
