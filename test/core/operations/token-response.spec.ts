import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as oauth from 'oauth4webapi';
import { InvalidGrantError, type OAuthError } from '../../../src/core/errors/oauth-errors.js';
import { ProtocolError } from '../../../src/core/errors/server-errors.js';
import type { HttpAnswer } from '../../../src/core/http/answer.js';
import { refusalError } from '../../../src/core/calls/refusal.js';
import {
  readTokenResponse,
  type TokenResponse,
} from '../../../src/core/operations/token-response.js';
import {
  ACCESS_TOKEN_TYPE,
  setUp,
  type Setup,
  thrownBy,
  tokenBody,
} from '../../support/servers/client-setup.js';
import { replyProblem } from '../../support/servers/scripted-server.js';

let setup: Setup;

beforeEach(async () => {
  setup = await setUp();
});

afterEach(() => setup.close());

function answer(json: unknown, status = 200): HttpAnswer {
  return { status, headers: {}, json };
}

const exchanged = { operation: 'exchange', isExchange: true };
const granted = { operation: 'clientCredentials' };

function read(json: unknown, asked = granted): TokenResponse {
  return readTokenResponse(answer(json), asked);
}

describe('a token answer', () => {
  it('RFC 9449 §6.1: cnfJkt is that of the answer, else that of the token', () => {
    const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const bound = `${text({ alg: 'none' })}.${text({ cnf: { jkt: 'token' } })}.c2ln`;
    const answered = { access_token: bound, token_type: 'DPoP' };
    expect(read({ ...answered, cnf: { jkt: 'answer' } }).cnfJkt).toBe('answer');
    expect(read(answered).cnfJkt).toBe('token');
    expect(read({ ...answered, cnf: 'answer' }).cnfJkt).toBe('token');
    expect(read({ access_token: 'opaque', token_type: 'Bearer' }).cnfJkt).toBeUndefined();
  });

  it('rfc6749-client-credentials-success-response: carries the values as sent', () => {
    const body = {
      access_token: 'new_token',
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read',
    };
    const token = read(body);
    expect(token.accessToken).toBe('new_token');
    expect(token.tokenType).toBe('Bearer');
    expect(token.expiresIn).toBe(3600);
    expect(token.scope).toBe('read');
    expect(token.raw).toEqual(body);
  });

  it('rfc8693-success-response-must-use-access-token-issued-token-type-when-present: unchanged', () => {
    expect(read(tokenBody(), exchanged).issuedTokenType).toBe(ACCESS_TOKEN_TYPE);
    const saml = 'urn:ietf:params:oauth:token-type:saml2';
    expect(read(tokenBody({ issued_token_type: saml }), exchanged).issuedTokenType).toBe(saml);
  });

  it('10.14a: reads the digits of an expires_in that is a text', () => {
    const body = { access_token: 'a', token_type: 'Bearer', expires_in: '600' };
    expect(read(body).expiresIn).toBe(600);
  });

  it.each([null, ''])('10.14: an optional member that is %p is not there', (empty) => {
    const members = { expires_in: empty, scope: empty, refresh_token: empty };
    expect(read(tokenBody(members))).toMatchObject({
      expiresIn: undefined,
      scope: undefined,
      refreshToken: undefined,
    });
  });

  it.each(['600', 600])('10.14: expires_in is %p', (seconds) => {
    expect(read(tokenBody({ expires_in: seconds })).expiresIn).toBe(600);
  });

  it.each([
    { access_token: null },
    { access_token: '' },
    { token_type: null },
    { token_type: '' },
    { issued_token_type: null },
    { issued_token_type: '' },
    { expires_in: '-1' },
    { expires_in: '6e2' },
    { expires_in: 'soon' },
    { expires_in: '9'.repeat(30) },
    { scope: 'read write' },
  ])('10.14: that lets nothing pass that decides: %j', (members) => {
    const asked = { ...exchanged, scope: 'read' };
    expect(() => read(tokenBody(members), asked)).toThrow(ProtocolError);
  });

  it('RFC 6749 §5.1: tells an absent expires_in from zero', () => {
    expect(read({ access_token: 'a', token_type: 'Bearer' }).expiresIn).toBeUndefined();
    expect(read({ access_token: 'a', token_type: 'Bearer', expires_in: 0 }).expiresIn).toBe(0);
  });

  it('hands out the refresh token when there is one', () => {
    expect(read(tokenBody({ refresh_token: 'r' })).refreshToken).toBe('r');
    expect(read(tokenBody()).refreshToken).toBeUndefined();
  });

  it('is frozen, all the way down', () => {
    const token = read(tokenBody({ extra: { list: [1] } }));
    expect(Object.isFrozen(token)).toBe(true);
    expect(Object.isFrozen(token.raw)).toBe(true);
    expect(Object.isFrozen((token.raw['extra'] as { list: unknown }).list)).toBe(true);
  });

  it('T56: shows no token however it is printed', () => {
    const token = read(
      tokenBody({ access_token: 'canary-access', refresh_token: 'canary-refresh' }),
    );
    const printed = [
      JSON.stringify({ token }),
      inspect(token),
      inspect({ token }, { showHidden: true, getters: true, depth: 9 }),
      inspect(token, { customInspect: false, depth: 9 }),
      String(token),
      JSON.stringify({ ...token }),
      JSON.stringify(Object.entries(token)),
    ];
    for (const text of printed) expect(text).not.toContain('canary');
    expect(printed[1]).toBe(
      `TokenResponse { tokenType: 'Bearer', expiresIn: 3600, scope: undefined, issuedTokenType: '${ACCESS_TOKEN_TYPE}' }`,
    );
  });
});

/** `same`: oauth4webapi decides alike. Otherwise why it does not. */
interface Row {
  readonly name: string;
  readonly body: unknown;
  readonly tokenType?: string;
  readonly refused?: RegExp;
  readonly elsewhere: 'same' | { readonly accepts: boolean; readonly because: string };
}

const ok = { access_token: 'tok', token_type: 'Bearer' };

const LENIENT = { accepts: false, because: 'an empty member is not an absent one there' };

const ROWS: readonly Row[] = [
  { name: 'the least there is', body: ok, tokenType: 'Bearer', elsewhere: 'same' },
  {
    name: 'bearer in lower case',
    body: { ...ok, token_type: 'bearer' },
    tokenType: 'Bearer',
    elsewhere: 'same',
  },
  {
    name: 'BEARER in upper case',
    body: { ...ok, token_type: 'BEARER' },
    tokenType: 'Bearer',
    elsewhere: 'same',
  },
  {
    name: 'rfc9449-token-response-token-type-dpop-must-be-accepted: DPoP',
    body: { ...ok, token_type: 'DPoP' },
    tokenType: 'DPoP',
    elsewhere: 'same',
  },
  {
    name: 'rfc6749-token-response-must-contain-access-token: no access_token',
    body: { token_type: 'Bearer' },
    refused: /access_token/,
    elsewhere: 'same',
  },
  {
    name: 'an empty access_token',
    body: { ...ok, access_token: '' },
    refused: /access_token/,
    elsewhere: 'same',
  },
  {
    name: 'a blank access_token',
    body: { ...ok, access_token: '  ' },
    refused: /access_token/,
    elsewhere: { accepts: true, because: 'it looks at the length only' },
  },
  {
    name: 'an access_token with a line break',
    body: { ...ok, access_token: 'a\r\nb: c' },
    refused: /access_token/,
    elsewhere: { accepts: true, because: 'it leaves the header to whoever builds it' },
  },
  {
    name: 'an access_token that is a number',
    body: { ...ok, access_token: 1 },
    refused: /access_token/,
    elsewhere: 'same',
  },
  {
    name: 'rfc6749-token-response-token-type-must-be-supported: N_A',
    body: { ...ok, token_type: 'N_A' },
    refused: /unsupported token_type/,
    elsewhere: 'same',
  },
  {
    name: 'mac',
    body: { ...ok, token_type: 'mac' },
    refused: /unsupported token_type/,
    elsewhere: 'same',
  },
  {
    name: 'no token_type',
    body: { access_token: 'tok' },
    refused: /unsupported token_type/,
    elsewhere: 'same',
  },
  {
    name: 'an inherited token_type',
    body: { ...ok, token_type: {} },
    refused: /unsupported token_type/,
    elsewhere: 'same',
  },
  {
    name: 'expires_in 3599',
    body: { ...ok, expires_in: 3599 },
    tokenType: 'Bearer',
    elsewhere: 'same',
  },
  { name: 'expires_in 0', body: { ...ok, expires_in: 0 }, tokenType: 'Bearer', elsewhere: 'same' },
  {
    name: '10.14a: expires_in as digits',
    body: { ...ok, expires_in: '3600' },
    tokenType: 'Bearer',
    elsewhere: 'same',
  },
  {
    name: '10.14a: expires_in as other text',
    body: { ...ok, expires_in: '1e9' },
    refused: /expires_in/,
    elsewhere: { accepts: true, because: 'it turns a string into a number for old servers' },
  },
  {
    name: 'a negative expires_in',
    body: { ...ok, expires_in: -1 },
    refused: /expires_in/,
    elsewhere: 'same',
  },
  {
    name: 'an expires_in with a fraction',
    body: { ...ok, expires_in: 1.5 },
    tokenType: 'Bearer',
    elsewhere: { accepts: true, because: 'it asks for a finite number only' },
  },
  {
    name: 'an expires_in beyond exact integers',
    body: { ...ok, expires_in: 1e300 },
    refused: /expires_in/,
    elsewhere: { accepts: true, because: 'it asks for a finite number only' },
  },
  {
    name: 'expires_in null',
    body: { ...ok, expires_in: null },
    tokenType: 'Bearer',
    elsewhere: LENIENT,
  },
  {
    name: 'expires_in true',
    body: { ...ok, expires_in: true },
    refused: /expires_in/,
    elsewhere: 'same',
  },
  { name: 'scope as a list', body: { ...ok, scope: ['a'] }, refused: /scope/, elsewhere: 'same' },
  { name: 'an empty scope', body: { ...ok, scope: '' }, tokenType: 'Bearer', elsewhere: 'same' },
  {
    name: 'a refresh_token that is a number',
    body: { ...ok, refresh_token: 5 },
    refused: /refresh_token/,
    elsewhere: 'same',
  },
  {
    name: 'an unknown member',
    body: { ...ok, whatever: { a: 1 } },
    tokenType: 'Bearer',
    elsewhere: 'same',
  },
  { name: 'a list', body: [], refused: /no JSON object/, elsewhere: 'same' },
  { name: 'null', body: null, refused: /no JSON object/, elsewhere: 'same' },
  { name: 'a string', body: 'token', refused: /no JSON object/, elsewhere: 'same' },
  {
    name: 'an error with status 200',
    body: { error: 'invalid_grant' },
    refused: /access_token/,
    elsewhere: 'same',
  },
];

describe('token answers, compared with oauth4webapi', () => {
  const as: oauth.AuthorizationServer = { issuer: 'https://auth.example.com' };
  const client: oauth.Client = { client_id: 'me' };

  async function isAcceptedElsewhere(body: unknown): Promise<boolean> {
    return oauth.processClientCredentialsResponse(as, client, Response.json(body)).then(
      () => true,
      () => false,
    );
  }

  it.each(ROWS)('$name', async ({ body, tokenType, refused, elsewhere }) => {
    if (refused === undefined) {
      expect(read(body).tokenType).toBe(tokenType);
    } else {
      expect(() => read(body)).toThrow(ProtocolError);
      expect(() => read(body)).toThrow(refused);
    }
    const expected = elsewhere === 'same' ? refused === undefined : elsewhere.accepts;
    expect(await isAcceptedElsewhere(body)).toBe(expected);
  });

  it.each([
    { name: 'no issued_token_type', issued_token_type: undefined },
    { name: 'a blank issued_token_type', issued_token_type: ' ' },
    { name: 'an issued_token_type that is no string', issued_token_type: 7 },
  ])('RFC 8693 §2.2.1: $name is refused for an exchange', ({ issued_token_type }) => {
    expect(() => read(tokenBody({ issued_token_type }), exchanged)).toThrow(/issued_token_type/);
  });

  it.each([
    ['invalid_grant', 400],
    ['invalid_client', 401],
    ['access_denied', 403],
    ['consent_required', 400],
    ['slow_down', 429],
  ])('reads the refusal %s alike once the media type is renamed', async (error, status) => {
    const body = { error, error_description: 'why', status, title: 'x', type: 'https://x/y' };
    const ours = refusalError(answer(body, status), granted);
    const renamed = Response.json(body, { status });
    const theirs = await thrownBy(oauth.processClientCredentialsResponse(as, client, renamed));
    expect(theirs).toBeInstanceOf(oauth.ResponseBodyError);
    expect((theirs as oauth.ResponseBodyError).error).toBe(ours.code);
    expect((theirs as oauth.ResponseBodyError).status).toBe((ours as OAuthError).statusCode);
  });

  it('reads refusals as AuthPlane sends them, which oauth4webapi does not', async () => {
    const problem = new Response('{"error":"invalid_grant"}', {
      status: 400,
      headers: { 'content-type': 'application/problem+json' },
    });
    const theirs = await thrownBy(oauth.processClientCredentialsResponse(as, client, problem));
    expect(theirs).not.toBeInstanceOf(oauth.ResponseBodyError);
    setup.server.on('/token_endpoint', replyProblem('invalid_grant'));
    expect(await thrownBy(setup.operations.clientCredentials())).toBeInstanceOf(InvalidGrantError);
  });
});
