import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
import { errorCodeOf, refusalError } from '../../../src/core/calls/refusal.js';
import { isSuccess } from '../../../src/core/calls/oauth-answer.js';
import { setUp, type Setup, thrownBy } from '../../support/servers/client-setup.js';
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

const granted = { operation: 'clientCredentials' };

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
