import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { jwtVerify } from 'jose';
import { httpStatus } from '../../../src/core/challenge.js';
import {
  type AsCredentials,
  type AuthProvider,
  type ClientAuthentication,
  clientAuthentication,
  credentialsProblem,
  privateKeyJwt,
} from '../../../src/core/operations/client-authentication.js';
import { AuthorizationServerUnavailableError } from '../../../src/core/errors/server-errors.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { InvalidClientError } from '../../../src/core/errors/oauth-errors.js';
import {
  countingTokens,
  ISSUER,
  SECRET,
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

describe('9.20: a value from a file that ends with a line feed', () => {
  it.each([
    [{ clientId: 'me\n', clientSecret: SECRET }, /^clientId contains a line feed/],
    [{ clientId: 'me', clientSecret: `${SECRET}\n` }, /^clientSecret contains a line feed/],
    [{ clientId: 'me', clientSecret: `${SECRET}\r\n` }, /^clientSecret contains/],
    [{ clientId: 'm\u0000e', clientSecret: SECRET }, /^clientId contains/],
  ])('is refused at boot and not repeated (%#)', (credentials, problem) => {
    expect(credentialsProblem(credentials)).toMatch(problem);
    expect(credentialsProblem(credentials)).not.toContain(SECRET);
  });

  it('is not sent when a function gives it', async () => {
    const thrown = await thrownWith({ clientId: 'me', clientSecret: () => `${SECRET}\n` });
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(String(thrown)).toContain('line feed');
    expect(String(thrown)).not.toContain(SECRET);
    expect(setup.server.requests).toHaveLength(0);
  });
});

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

describe('client_secret_basic', () => {
  it('RFC 6749 §2.3.1: is the default, and stays out of the body', async () => {
    const request = await sentWith({ clientId: 'me', clientSecret: 'secret' });
    expect(basicOf(request)).toBe('me:secret');
    expect([...request.form.keys()]).toEqual(['grant_type']);
  });

  it('RFC 6749 appendix B: form-encodes both halves', async () => {
    const request = await sentWith({ clientId: 'a:b c', clientSecret: "p%q+r&s=tü~!*'()" });
    expect(basicOf(request)).toBe('a%3Ab+c:p%25q%2Br%26s%3Dt%C3%BC%7E%21*%27%28%29');
  });

  it('RFC 6749 appendix B: what a server decodes is what was configured', async () => {
    const provider = (clientId: string, clientSecret: string): AuthProvider =>
      clientAuthentication({ clientId, clientSecret });
    const text = fc.string({ minLength: 1, unit: 'grapheme' });
    const decode = (half: string): string => decodeURIComponent(half.replaceAll('+', ' '));
    await fc.assert(
      fc.asyncProperty(text, text, async (id, secret) => {
        const form = new URLSearchParams();
        const { headers } = await provider(id, secret).authenticate({
          url: 'x',
          issuer: 'x',
          form,
        });
        const encoded = headers?.['authorization']?.slice('Basic '.length) ?? '';
        const halves = Buffer.from(encoded, 'base64').toString().split(':');
        expect(halves.map(decode)).toEqual([id, secret]);
      }),
    );
  });
});

describe('client_secret_post', () => {
  it('RFC 6749 §2.3.1: puts both into the body and sends no header', async () => {
    const request = await sentWith({
      clientId: 'me',
      clientSecret: 's&=+',
      method: 'client_secret_post',
    });
    expect(request.headers.authorization).toBeUndefined();
    expect(request.form.get('client_id')).toBe('me');
    expect(request.form.get('client_secret')).toBe('s&=+');
  });
});

describe('a secret that is a function', () => {
  it.each([
    ['at once', () => 'now'],
    ['later', async () => 'now'],
  ])('is asked %s, for each request', async (_name, clientSecret) => {
    expect(basicOf(await sentWith({ clientId: 'me', clientSecret }))).toBe('me:now');
  });

  it('follows a rotation', async () => {
    let secret = 'first';
    const authentication = clientAuthentication({ clientId: 'me', clientSecret: () => secret });
    const operations = setup.with({ authentication });
    await operations.clientCredentials({ scopes: ['a'] });
    secret = 'second';
    await operations.clientCredentials({ scopes: ['b'] });
    expect(setup.server.requests.map(basicOf)).toEqual(['me:first', 'me:second']);
  });

  it('that fails is an outage, and none of the server', async () => {
    const cause = new Error('vault sealed');
    const clientSecret = (): Promise<string> => Promise.reject(cause);
    for (let i = 0; i < 10; i++) {
      const thrown = await thrownWith({ clientId: 'me', clientSecret });
      expect(thrown).toBeInstanceOf(AuthorizationServerUnavailableError);
      expect(thrown).toMatchObject({ cause, code: 'authorization_server_unavailable' });
    }
    expect(setup.server.requests).toHaveLength(0);
  });

  it('that gives nothing is a mistake', async () => {
    const thrown = await thrownWith({ clientId: 'me', clientSecret: () => '' });
    expect(thrown).toBeInstanceOf(ConfigurationError);
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

describe('private_key_jwt', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ed = generateKeyPairSync('ed25519');

  async function assertionOf(request: ReceivedRequest, key: KeyObject) {
    const assertion = request.form.get('client_assertion') ?? '';
    return jwtVerify(assertion, createPublicKey(key), { currentDate: new Date(NOW * 1000) });
  }

  it('RFC 7523 §2.2, §3: sends an assertion for the issuer, good for a minute, once', async () => {
    const provider = privateKeyJwt({
      clientId: 'me',
      privateKey: { ...ec.privateKey.export({ format: 'jwk' }), kid: 'k1' },
      clock: setup.clock,
    });
    const operations = setup.with({ authentication: clientAuthentication(provider) });
    await operations.clientCredentials();
    await operations.introspect('t');
    const [first, second] = setup.server.requests as [ReceivedRequest, ReceivedRequest];
    expect(first.headers.authorization).toBeUndefined();
    expect(first.form.get('client_id')).toBe('me');
    expect(first.form.get('client_assertion_type')).toBe(
      'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    );
    const { payload, protectedHeader } = await assertionOf(first, ec.privateKey);
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'k1' });
    expect(payload).toEqual({
      iss: 'me',
      sub: 'me',
      aud: ISSUER,
      iat: NOW,
      exp: NOW + 60,
      jti: expect.any(String),
    });
    const other = await assertionOf(second, ec.privateKey);
    expect(other.payload.jti).not.toBe(payload.jti);
  });

  it.each([
    ['ES256', ec.privateKey, {}],
    ['RS256', rsa.privateKey, {}],
    ['PS256', rsa.privateKey, { algorithm: 'PS256' }],
    ['EdDSA', ed.privateKey, {}],
    ['ES256', ec.privateKey, { audience: 'https://as.example.com/token', keyId: 'mine' }],
  ])('signs with %s', async (alg, privateKey, options) => {
    const request = await sentWith(
      privateKeyJwt({ clientId: 'me', privateKey, clock: setup.clock, ...options }),
    );
    const { payload, protectedHeader } = await assertionOf(request, privateKey);
    expect(protectedHeader.alg).toBe(alg);
    expect(protectedHeader.kid).toBe((options as { keyId?: string }).keyId);
    expect(payload.aud).toBe((options as { audience?: string }).audience ?? ISSUER);
  });

  it.each([
    ['a public key', { clientId: 'me', privateKey: ec.publicKey }],
    ['a public JWK', { clientId: 'me', privateKey: ec.publicKey.export({ format: 'jwk' }) }],
    ['a JWK that is none', { clientId: 'me', privateKey: { kty: 'EC', d: 'canary' } }],
    [
      'an algorithm of another kind',
      { clientId: 'me', privateKey: ec.privateKey, algorithm: 'RS256' },
    ],
    ['a symmetric algorithm', { clientId: 'me', privateKey: ec.privateKey, algorithm: 'HS256' }],
    ['no algorithm', { clientId: 'me', privateKey: ec.privateKey, algorithm: 'none' }],
    ['no client id', { clientId: '', privateKey: ec.privateKey }],
  ])('is refused at start with %s', (_name, options) => {
    let thrown: unknown;
    try {
      privateKeyJwt(options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
  });

  it('T56, P39: shows no key', () => {
    const jwk = ec.privateKey.export({ format: 'jwk' });
    const provider = privateKeyJwt({ clientId: 'me', privateKey: jwk });
    const printed =
      inspect({ provider }, { showHidden: true, depth: 9 }) + JSON.stringify(provider);
    expect(printed).not.toContain(jwk.d);
    expect(inspect(provider)).toBe("PrivateKeyJwt { clientId: 'me', alg: 'ES256' }");
  });
});

describe('credentials in the options', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'me:secret'],
    ['no client id', { clientSecret: 's' }],
    ['an empty client id', { clientId: '', clientSecret: 's' }],
    ['no secret', { clientId: 'me' }],
    ['an empty secret', { clientId: 'me', clientSecret: '' }],
    ['a secret that is a number', { clientId: 'me', clientSecret: 5 }],
    ['a method that needs a key', { clientId: 'me', clientSecret: 's', method: 'private_key_jwt' }],
    ['an unknown method', { clientId: 'me', clientSecret: SECRET, method: 'basic' }],
    ['a provider without function', { authenticate: 'yes' }],
  ])('%s is refused at start', (_name, value) => {
    const problem = credentialsProblem(value);
    expect(problem).toEqual(expect.any(String));
    expect(problem).not.toContain(SECRET);
  });
});

describe('T56: the secret', () => {
  it.each(['client_secret_basic', 'client_secret_post'] as const)('%s', async (method) => {
    const secret = `${SECRET} +&ü`;
    const authentication = clientAuthentication({ clientId: 'me', clientSecret: secret, method });
    expect(inspect({ authentication }, { showHidden: true, depth: 9 })).not.toContain('canary');
    expect(JSON.stringify(authentication)).toBe('{"clientId":"me"}');
    const operations = setup.with({ authentication });
    expect(inspect(operations, { showHidden: true, depth: 9 })).not.toContain('canary');
    const basic = Buffer.from(`me:${encodeURIComponent(secret)}`).toString('base64');
    setup.server.on('/token_endpoint', (response, request) => {
      const echo = `bad: ${request.raw} ${request.headers.authorization} ${secret} ${basic}`;
      return replyProblem('invalid_client', 401, { error_description: echo })(response, request);
    });
    const thrown = await thrownBy(operations.clientCredentials());
    expect(thrown).toBeInstanceOf(InvalidClientError);
    const printed = inspect(thrown, { depth: 9 }) + JSON.stringify(thrown);
    const header = setup.server.last.headers.authorization?.split(' ')[1] ?? 'none sent';
    expect(printed).not.toContain('canary');
    expect(printed).not.toContain(header);
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
    jest.useFakeTimers({ now: NOW * 1000, doNotFake: ['nextTick', 'performance'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it.each<[string, AsCredentials]>([
    ['a function', { clientId: 'me', clientSecret: never }],
    ['a provider', { authenticate: never }],
  ])('%s: all who share the request get 503 after 5 seconds', async (_name, credentials) => {
    const operations = setup.with({ authentication: clientAuthentication(credentials) });
    const waiting = Array.from({ length: 3 }, () => thrownBy(operations.clientCredentials()));
    await jest.advanceTimersByTimeAsync(5001);
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
    await jest.advanceTimersByTimeAsync(5001);
    await first;
    jest.useRealTimers();
    await operations.clientCredentials();
    expect(basicOf(setup.server.last)).toBe('me:now');
  });
});
