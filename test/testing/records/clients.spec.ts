import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { OAuthProblem } from '../../../src/testing/http/oauth-problem.js';
import { agentIdOf, Clients } from '../../../src/testing/records/clients.js';

const clients = new Clients([
  { clientId: 'app', redirectUris: ['https://app.example/cb'] },
  { clientId: 'ma:chine', clientSecret: 's%cr t+', scope: 'b a b' },
  { clientId: 'web', clientSecret: 's', redirectUris: ['https://app.example/cb'], agent: true },
  { clientId: 'own', grantTypes: ['x'] },
]);

const message = (authorization?: string) =>
  ({ headers: authorization === undefined ? {} : { authorization } }) as IncomingMessage;
const form = (parameters: Record<string, string> = {}) => new URLSearchParams(parameters);
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const problem = (error: string) => expect.objectContaining({ error });
const authenticated = (authorization?: string, parameters?: Record<string, string>) =>
  clients.authenticate(message(authorization), form(parameters)).clientId;

describe('registered clients', () => {
  it('have the grants of their kind, unless told otherwise', () => {
    const grantsOf = (clientId: string) => clients.get(clientId)?.grantTypes;
    expect(grantsOf('app')).toEqual(['authorization_code', 'refresh_token']);
    expect(grantsOf('ma:chine')).toEqual(['client_credentials']);
    expect(grantsOf('web')).toEqual(['authorization_code', 'refresh_token']);
    expect(grantsOf('own')).toEqual(['x']);
  });

  it('have a ceiling only where it is given, each scope once', () => {
    expect(clients.get('ma:chine')?.scope).toEqual(['b', 'a']);
    expect(clients.get('app')?.scope).toBeUndefined();
    expect(clients.get('nobody')).toBeUndefined();
  });

  it('are agents or not', () => {
    const ids = ['app', 'web'].map((id) => clients.get(id)).map((one) => one && agentIdOf(one));
    expect(ids).toEqual([undefined, 'web']);
  });

  it('may register by themselves, with a secret or without', () => {
    const own = { name: 'new', grantTypes: [], scope: undefined, redirectUris: [], agent: false };
    const [open, secret] = [clients.register(own, false), clients.register(own, true)];
    expect(open.clientId).toMatch(/^[\w-]{22}$/);
    expect([open.clientSecret, secret.clientSecret]).toEqual([
      undefined,
      expect.stringMatching(/^[\w-]{43}$/),
    ]);
    expect(clients.get(secret.clientId)).toBe(secret);
  });
});

describe('RFC 6749 §2.3.1: authenticate', () => {
  it('by Basic, whose halves are form-encoded', () => {
    expect(authenticated(basic('ma%3Achine:s%25cr+t%2B'))).toBe('ma:chine');
  });

  it('by the form, and a public client by its name', () => {
    const secret = { client_id: 'ma:chine', client_secret: 's%cr t+' };
    expect(authenticated(undefined, secret)).toBe('ma:chine');
    expect(authenticated(undefined, { client_id: 'app' })).toBe('app');
    expect(authenticated(basic('app:'))).toBe('app');
  });

  it.each<[string, string | undefined, Record<string, string>?]>([
    ['nobody', undefined],
    ['an unknown client', undefined, { client_id: 'nobody' }],
    ['a wrong secret', undefined, { client_id: 'web', client_secret: 'x' }],
    ['no secret', undefined, { client_id: 'web' }],
    ['an empty one', undefined, { client_id: 'web', client_secret: '' }],
    ['a secret of a public client', undefined, { client_id: 'app', client_secret: 's' }],
    ['Basic without a colon', basic('web')],
    ['Basic that is not encoded', basic('web:%zz')],
    ['another scheme', 'Bearer x'],
  ])('refuses %s', (_, authorization, parameters) => {
    expect(() => authenticated(authorization, parameters)).toThrow(problem('invalid_client'));
  });

  it('refuses two methods at once', () => {
    const both = [{ client_secret: 's' }, { client_id: 'app' }];
    for (const parameters of both) {
      expect(() => authenticated(basic('web:s'), parameters)).toThrow(problem('invalid_request'));
    }
    expect(authenticated(basic('web:s'), { client_id: 'web' })).toBe('web');
  });

  it('some things are for confidential clients only', () => {
    const asked = (client_id: string, client_secret = '') =>
      clients.authenticateConfidential(message(), form({ client_id, client_secret })).clientId;
    expect(asked('web', 's')).toBe('web');
    expect(() => asked('app')).toThrow(OAuthProblem);
    expect(() => asked('app')).toThrow(problem('invalid_client'));
  });
});
