import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import {
  type AsCredentials,
  type AuthProvider,
  clientAuthentication,
  credentialsProblem,
} from '../../../src/core/calls/client-authentication.js';
import { AuthorizationServerUnavailableError } from '../../../src/core/errors/server-errors.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { InvalidClientError } from '../../../src/core/errors/oauth-errors.js';
import {
  countingTokens,
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
