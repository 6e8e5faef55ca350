import {
  type AuthplaneError,
  AuthorizationServerUnavailableError,
  ConsentRequiredError,
  InsufficientScopeError,
  InvalidClientError,
  NoAccessTokenError,
  OAuthError,
  ProtocolError,
  ServerError,
  TokenMissingError,
} from 'authplane-nestjs';
import { consentKey } from 'authplane-nestjs/mcp';
import { describe, expect, it } from 'vitest';
import { legacyCall, type McpCall } from '../../../src/mcp/answers/call.js';
import { ConsentRefusedError } from '../../../src/mcp/answers/consent-flow.js';
import { failureAnswer, isOurs, jsonRpcError } from '../../../src/mcp/answers/failure-answer.js';

const issuer = 'https://auth.example.com';
const url = `${issuer}/connect/google`;

const legacy: McpCall = {
  ...legacyCall({
    method: 'tools/call',
    headers: {},
    authInfo: undefined,
    sessionCapabilities: {},
  }),
  urlElicitation: true,
};
const modern: McpCall = { ...legacy, era: '2026-07-28' };
const answer = (error: AuthplaneError, call = legacy) => failureAnswer(error, call, { issuer });
const inWords = (text: unknown) => ({
  kind: 'result',
  result: { isError: true, content: [{ type: 'text', text }] },
});
const consentRequired = (consentUrl = url) =>
  new ConsentRequiredError('inner detail', {
    ...{ statusCode: 400, error: 'consent_required', serviceId: 'calendar', consentUrl },
  });

describe('consent that is missing', () => {
  it('is a question in the shape of the era', () => {
    expect(answer(consentRequired())).toMatchObject({
      ...{ kind: 'error', code: -32042, data: { elicitations: [{ mode: 'url', url }] } },
    });
    expect(answer(consentRequired(), modern)).toMatchObject({
      kind: 'result',
      result: { inputRequests: { [consentKey('calendar')]: expect.anything() } },
    });
  });

  it.each(['prompts/get', 'resources/read'])('in the 2026 era %s may ask as well', (method) => {
    expect(answer(consentRequired(), { ...modern, method })).toMatchObject({ kind: 'result' });
  });

  it('in methods that cannot ask it is an error', () => {
    const call = { ...modern, method: 'completion/complete' };
    expect(answer(consentRequired(), call)).toEqual({
      ...{ kind: 'error', code: -32603, message: 'This operation needs consent first.' },
    });
  });

  it('is asked for with the same id by the same caller only', () => {
    const idOf = (subject: string) => {
      const given = answer(consentRequired(), { ...legacy, caller: { subject, clientId: 'app' } });
      return 'data' in given ? given.data?.elicitations[0]?.elicitationId : undefined;
    };
    expect(idOf('alice')).toBeTypeOf('string');
    expect(idOf('alice')).toBe(idOf('alice'));
    expect(idOf('alice')).not.toBe(idOf('bob'));
  });

  it('is not asked for again where the user has just refused', () => {
    for (const [refusal, text] of [
      ['decline', 'You declined the consent that this operation needs. Nothing was done.'],
      ['cancel', 'You did not give the consent that this operation needs. Nothing was done.'],
    ] as const) {
      const responses = { accepted: new Set<string>(), refusal };
      expect(answer(consentRequired(), { ...modern, responses })).toEqual(inWords(text));
    }
  });

  it('names no page that may not be shown', () => {
    expect(JSON.stringify(answer(consentRequired('https://evil.example/')))).not.toContain('evil');
  });
});

describe('10.17b: every other error says what a user can know, not what its message says', () => {
  const status = (statusCode: number, retryAfterSeconds?: number) => ({
    ...{ statusCode, error: 'server_error', retryAfterSeconds },
  });

  it.each<[AuthplaneError, RegExp]>([
    [new AuthorizationServerUnavailableError('inner detail'), /cannot be reached right now/],
    [
      new InvalidClientError('inner detail', { statusCode: 401, error: 'invalid_client' }),
      /refused access to the service behind this operation\.$/,
    ],
    [
      new ServerError('inner detail', status(500)),
      /cannot answer right now\. Try again in a moment\.$/,
    ],
    [
      new ServerError('inner detail', status(503, 9)),
      /cannot answer right now\. Try again in a moment \(9 seconds\)\.$/,
    ],
    [new OAuthError('inner detail', status(429, 30)), /\(30 seconds\)/],
    [new OAuthError('inner detail', status(499)), /refused access/],
    [new TokenMissingError('inner detail'), /needs an authenticated caller\.$/],
    [new NoAccessTokenError('inner detail'), /the caller has shown another credential\.$/],
    [new ProtocolError('inner detail'), /^This operation failed\.$/],
    [new ConsentRefusedError('decline'), /^You declined/],
  ])('%s', (error, text) => {
    const given = answer(error);
    expect(given).toEqual(inWords(expect.stringMatching(text)));
    expect(JSON.stringify(given)).not.toContain('inner detail');
  });

  it('names the scopes that are missing, within a bound and printable', () => {
    const text = 'This operation needs an access token with these scopes: a b';
    expect(answer(new InsufficientScopeError(['a', 'b'], { grantedScopes: ['granted'] }))).toEqual(
      inWords(text),
    );
    const long = answer(new InsufficientScopeError(['x'.repeat(5000)]));
    expect(JSON.stringify(long).length).toBeLessThan(1200);
  });

  it('only tools have results that are errors', () => {
    const prompt = { ...legacy, method: 'prompts/get' };
    expect(answer(new TokenMissingError(), prompt)).toEqual({
      ...{ kind: 'error', code: -32603, message: 'This operation needs an authenticated caller.' },
    });
  });
});

it('isOurs: errors of this package, of whichever copy', () => {
  const { name, message } = consentRequired();
  const foreign = Object.assign(new Error(message), { name, serviceId: 's' });
  expect([new TokenMissingError(), foreign].map(isOurs)).toEqual([true, true]);
  expect([new Error('x'), { name }, null, 'x'].some(isOurs)).toBe(false);
});

describe('jsonRpcError', () => {
  const cause = new Error('x');

  it('has the code, the message and the cause', () => {
    const error = jsonRpcError({ kind: 'error', code: -32603, message: 'No' }, cause);
    expect(error).toMatchObject({ code: -32603, message: 'No', data: undefined, cause });
  });

  it('of a question shows the elicitations as the class of SDK v2 does', async () => {
    const { UrlElicitationRequiredError } = await import('@modelcontextprotocol/server');
    const given = answer(consentRequired());
    if (given.kind !== 'error') throw new Error('no error');
    const error = jsonRpcError(given, cause);
    expect(error).toMatchObject({ elicitations: [{ url }], data: { elicitations: [{ url }] } });
    expect(error).toBeInstanceOf(UrlElicitationRequiredError);
    const other = jsonRpcError({ kind: 'error', code: -32603, message: 'No' }, cause);
    expect(other).not.toBeInstanceOf(UrlElicitationRequiredError);
  });
});
