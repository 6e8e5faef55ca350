import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import {
  AccessDeniedError,
  ConsentRequiredError,
  InvalidClientError,
  InvalidGrantError,
  InvalidScopeError,
  InvalidTargetError,
  OAuthError,
  ServerError,
  UnauthorizedClientError,
  UnsupportedGrantTypeError,
} from '../../../src/core/errors/oauth-errors.js';
import { ProtocolError } from '../../../src/core/errors/server-errors.js';
import type { HttpAnswer } from '../../../src/core/http/answer.js';
import {
  errorCodeOf,
  isSuccess,
  readIntrospectionResponse,
  readTokenResponse,
  refusalError,
  type TokenResponse,
} from '../../../src/core/operations/oauth-response.js';
import {
  ACCESS_TOKEN_TYPE,
  setUp,
  type Setup,
  thrownBy,
  tokenBody,
} from '../../support/servers/client-setup.js';
import {
  replyJson,
  replyProblem,
  replyRaw,
  replyTruncated,
} from '../../support/servers/scripted-server.js';

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

describe('a refusal', () => {
  const asked = { subjectToken: 'canary-subject-token', resources: ['google-cal'] };

  async function refusedWith(...reply: Parameters<typeof replyProblem>): Promise<unknown> {
    setup.server.on('/token_endpoint', replyProblem(...reply));
    return thrownBy(setup.operations.exchange(asked));
  }

  it.each([
    ['invalid_client', 401, InvalidClientError],
    ['invalid_grant', 400, InvalidGrantError],
    ['unauthorized_client', 400, UnauthorizedClientError],
    ['unsupported_grant_type', 400, UnsupportedGrantTypeError],
    ['invalid_scope', 400, InvalidScopeError],
    ['invalid_target', 400, InvalidTargetError],
    ['access_denied', 403, AccessDeniedError],
    ['access_denied', 400, AccessDeniedError],
    ['consent_required', 400, ConsentRequiredError],
    ['interaction_required', 400, ConsentRequiredError],
    ['server_error', 500, ServerError],
    ['server_error', 400, ServerError],
    ['temporarily_unavailable', 503, ServerError],
    ['not_found', 400, OAuthError],
    ['invalid_request', 400, OAuthError],
    ['invalid_dpop_proof', 400, OAuthError],
    ['use_dpop_nonce', 400, OAuthError],
    ['slow_down', 429, OAuthError],
    ['something_new', 418, OAuthError, 'oauth_error'],
  ])('rfc8693-error-mapping: %s with status %d', async (error, status, kind, code = error) => {
    for (const reply of [replyProblem(error, status), replyJson({ error }, status)]) {
      setup.server.on('/token_endpoint', reply);
      const thrown = await thrownBy(setup.with({}).exchange(asked));
      expect(thrown).toBeInstanceOf(kind);
      expect((thrown as object).constructor).toBe(kind);
      expect(thrown).toMatchObject({ error, code, statusCode: status });
      expect((thrown as Error).message).toContain(error);
      expect((thrown as Error).message).toContain(String(status));
    }
  });

  it('rfc8693-error-mapping-invalid-grant: with the description', async () => {
    const thrown = await refusedWith('invalid_grant', 400, { error_description: 'it has expired' });
    expect(thrown).toBeInstanceOf(InvalidGrantError);
    expect(thrown).toMatchObject({
      description: 'it has expired',
      message:
        'exchange: the authorization server answered with status 400 and invalid_grant: it has expired',
    });
  });

  it('RFC 9457 §3.1.4: detail serves where error_description is missing', async () => {
    const thrown = await refusedWith('not_found', 400, { detail: 'resource not found' });
    expect(thrown).toMatchObject({ code: 'not_found', description: 'resource not found' });
  });

  it('keeps Retry-After', async () => {
    const thrown = await refusedWith('slow_down', 429, {}, { 'retry-after': '7' });
    expect(thrown).toMatchObject({ code: 'slow_down', statusCode: 429, retryAfterSeconds: 7 });
  });

  it.each([
    [
      'an HTML page with 502',
      replyRaw('<html>canary</html>', 502, { 'content-type': 'text/html' }),
      ServerError,
      502,
    ],
    ['an empty 503', replyRaw('', 503), ServerError, 503],
    [
      'half a 500',
      replyRaw('{"error":"inv', 500, { 'content-type': 'application/json' }),
      ServerError,
      500,
    ],
    [
      'an HTML page with 404',
      replyRaw('<html>canary</html>', 404, { 'content-type': 'text/html' }),
      ProtocolError,
      404,
    ],
    [
      'an HTML page with 200',
      replyRaw('<html>canary</html>', 200, { 'content-type': 'text/html' }),
      ProtocolError,
      200,
    ],
    [
      'half a 200',
      replyRaw('{"access_token":"canary', 200, { 'content-type': 'application/json' }),
      ProtocolError,
      200,
    ],
    [
      'a 200 named twice',
      replyRaw('{"access_token":"canary","access_token":"b"}', 200, {
        'content-type': 'application/json',
      }),
      ProtocolError,
      200,
    ],
    ['a 204', replyRaw('', 204), ProtocolError, 204],
    ['a 400 list', replyJson([], 400), ProtocolError, 400],
    ['a 400 without error', replyJson({ message: 'canary' }, 400), ProtocolError, 400],
    ['a 400 with an odd error', replyJson({ error: 'a b"c' }, 400), ProtocolError, 400],
    [
      'a 400 with an error that is no text',
      replyJson({ error: { a: 1 } }, 400),
      ProtocolError,
      400,
    ],
    ['a plain 429', replyRaw('slow', 429, { 'content-type': 'text/plain' }), OAuthError, 429],
  ])('%s is an error with its status', async (_name, reply, kind, status) => {
    setup.server.on('/token_endpoint', reply);
    const thrown = await thrownBy(setup.operations.exchange(asked));
    expect(thrown).toBeInstanceOf(kind);
    expect((thrown as Error).message).toContain(`status ${status}`);
    expect(thrown).toHaveProperty('statusCode', status);
    expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
  });

  it('a body cut off on the wire is a transport failure', async () => {
    setup.server.on('/token_endpoint', replyTruncated('{"access_token":"canary'));
    const thrown = await thrownBy(setup.operations.exchange(asked));
    expect(thrown).toMatchObject({ code: 'authorization_server_unavailable' });
    expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
  });

  it('T56: repeats neither what was sent nor a JWT nor the query of a URL', async () => {
    const header = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary';
    const thrown = await refusedWith('invalid_grant', 400, {
      error_description:
        `token canary-subject-token and ${header} are bad, see ` +
        `https://as.example.com/connect?state=canary#canary, ` +
        `\r\nInjected: line \u2028 ünï`,
    });
    const printed = inspect(thrown, { depth: 9, showHidden: true }) + JSON.stringify(thrown);
    expect(printed).not.toContain('canary');
    const { message } = thrown as Error;
    expect(message).toMatch(/^[\x20-\x7e]+$/);
    expect(message).toContain(
      'token [redacted] and [redacted] are bad, see https://as.example.com/connect',
    );
  });

  it('T56: shows no word that may be a secret in another encoding, and every other word', async () => {
    const encoded = Buffer.from('me:canary subject token %1').toString('base64');
    const plain =
      'token_exchange_not_allowed for 0b3f6c1e-7d1f-4c52-9a53-1f0e9c0a7d11 (PascalCaseOnlyWord)';
    const thrown = await refusedWith('invalid_grant', 400, {
      error_description: `${encoded} (${encoded}): ${plain}`,
    });
    const { message } = thrown as Error;
    expect(message).not.toContain(encoded.slice(0, 12));
    expect(message).toContain(`[redacted] ([redacted]): ${plain}`);
  });

  it('T56: an error that repeats the subject token is none', async () => {
    const thrown = await refusedWith('bad:canary-subject-token');
    expect(thrown).toBeInstanceOf(ProtocolError);
    expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
  });

  it('is bounded, and quick about a megabyte', async () => {
    const thrown = await refusedWith('invalid_grant', 400, {
      error_description: 'http://'.repeat(30_000),
    });
    expect((thrown as Error).message.length).toBeLessThan(400);
  });
});

describe('consent_required', () => {
  const url = 'https://auth.example.com/connect/google?resource=google-cal&return_url=x';

  async function consent(
    members: Readonly<Record<string, unknown>>,
    target: { resources?: string[]; audiences?: string[] } = { resources: ['google-cal'] },
  ): Promise<ConsentRequiredError> {
    setup.server.on('/token_endpoint', replyProblem('consent_required', 400, members));
    const thrown = await thrownBy(
      setup.operations.exchange({ subjectToken: 'subject', ...target }),
    );
    if (!(thrown instanceof ConsentRequiredError)) throw thrown;
    return thrown;
  }

  it('10.17b: the message, which is all that some hosts show, ends with a page that may be shown', () => {
    const messageFor = (consent_url: string) => {
      const json = { error: 'consent_required', consent_url };
      const headers = {};
      const consentPolicy = { issuer: 'https://auth.example.com' };
      return refusalError(
        { status: 400, headers, json },
        {
          operation: 'exchange',
          consentPolicy,
        },
      ).message;
    };
    expect(messageFor(url)).toMatch(
      /; open https:\/\/auth\.example\.com\/connect\/google\?\S+ in a/,
    );
    expect(messageFor('https://evil.example.com/connect')).not.toContain('evil');
    expect(messageFor('javascript:alert(1)')).not.toContain('javascript');
  });

  it.each([
    [{ service_id: 'calendar', service: 'x' }, 'calendar'],
    [{ service: 'mail' }, 'mail'],
    [{ service_id: '', service: 5 }, 'google-cal'],
    [{ service_id: 'a\nb' }, 'a b'],
  ])('10.17b: %j is about the service %s', async (members, service) => {
    expect((await consent(members)).serviceId).toBe(service);
  });

  it('carries the link, the cause and the service that was asked for', async () => {
    const error = await consent({
      error_description: 'Authorize access to google-cal',
      consent_url: url,
      cause: 'scope_insufficient',
    });
    expect(error).toMatchObject({
      consentUrl: url,
      causeDetail: 'scope_insufficient',
      serviceId: 'google-cal',
      statusCode: 400,
      error: 'consent_required',
      description: 'Authorize access to google-cal',
    });
    expect(error.message).not.toContain('return_url');
  });

  it('has defaults for old servers', async () => {
    const error = await consent({}, {});
    expect(error.consentUrl).toBeUndefined();
    expect(error.causeDetail).toBe('consent_missing');
    expect(error.serviceId).toBe('unknown_service');
    expect((await consent({ cause: '', consent_url: '' })).causeDetail).toBe('consent_missing');
    const described = (
      await consent({ cause: 'scope_insufficient', service_id: 'files' })
    ).describe();
    expect(described).toMatch(/consent_required.* \(files: scope_insufficient\)$/);
  });

  it.each([
    [{ resources: ['https://www.googleapis.com/calendar/v3'] }, 'www.googleapis.com/calendar/v3'],
    [{ resources: ['https://user:canary@api.example.com/?key=canary'] }, 'api.example.com'],
    [{ audiences: ['api://inventory'] }, 'inventory'],
    [{ audiences: ['urn:example:calendar'] }, 'urn:example:calendar'],
    [{ resources: [' '], audiences: ['slack'] }, 'slack'],
    [{ resources: ['a\nb'] }, 'a b'],
  ])('names the service of %j', async (target, name) => {
    expect((await consent({}, target)).serviceId).toBe(name);
  });

  it.each([
    ['javascript:alert(1)'],
    ['data:text/html,x'],
    ['/connect/google'],
    [`https://auth.example.com/${'x'.repeat(5_000)}`],
    [5],
    [{ href: url }],
  ])('T50: takes no link that is no web page: %j', async (consent_url) => {
    expect((await consent({ consent_url })).consentUrl).toBeUndefined();
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

describe('9.25: the code of a refusal', () => {
  const challenged = (text: string) => ({ 'www-authenticate': text });

  it.each<[json: unknown, headers: Record<string, string>, code: string | undefined]>([
    [{ error: 'invalid_grant' }, {}, 'invalid_grant'],
    [{ error: 'a' }, challenged('DPoP error="b"'), 'a'],
    [{}, challenged('DPoP error="use_dpop_nonce", x="y"'), 'use_dpop_nonce'],
    [undefined, challenged('DPoP error="b"'), 'b'],
    [undefined, challenged('DPoP my_error="b"'), undefined],
    [{ error: 'a b' }, {}, undefined],
    [{ error: '' }, challenged('DPoP error="b"'), undefined],
    [{ error: 'a'.repeat(100) }, {}, 'a'.repeat(100)],
    [{ error: 'a'.repeat(101) }, {}, undefined],
    [{ error: 5 }, {}, undefined],
    [[], {}, undefined],
  ])('%j, %j: %s', (json, headers, code) => {
    expect(errorCodeOf({ status: 400, headers, json })).toBe(code);
  });

  it.each([
    [199, false],
    [200, true],
    [299, true],
    [300, false],
  ])('status %d is a success: %p', (status, expected) => {
    expect(isSuccess(answer({}, status))).toBe(expected);
  });

  it.each([
    ['7', 7],
    ['999999', 999_999],
    ['10000000000', undefined],
    ['-1', undefined],
    ['1.5', undefined],
  ])('Retry-After %s is %p seconds', (header, seconds) => {
    const headers = { 'retry-after': header };
    const error = refusalError({ status: 429, headers, json: undefined }, granted);
    expect((error as OAuthError).retryAfterSeconds).toBe(seconds);
  });

  it('names no secret, neither as it is nor as a form spells it', () => {
    const secrets = ['top secret/1', 'abc'];
    const error_description = 'top secret/1 top+secret%2F1 abc';
    const error = refusalError(answer({ error: 'x', error_description }, 400), {
      ...granted,
      secrets,
    });
    expect(error.message).toContain('and x: [redacted] [redacted] abc'); // too short to be searched for
    const repeated = refusalError(answer({ error: 'abc' }, 400), { ...granted, secrets });
    expect(repeated).toBeInstanceOf(ProtocolError);
  });
});
