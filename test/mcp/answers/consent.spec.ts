import { describe, expect, it } from 'vitest';
import { ConsentRequiredError } from 'authplane-nestjs';
import {
  consentKey,
  type ConsentPolicy,
  consentResponses,
  consentUrlProblem,
  type ElicitationOptions,
  isConsentRequired,
  protocolEra,
  requestsUrlElicitation,
  stableElicitationId,
  toElicitation,
} from 'authplane-nestjs/mcp';

const issuer = 'https://auth.example.com/tenant';
const PAGE = 'https://auth.example.com/tenant/connect/google?resource=google-cal';
const MESSAGE = 'Access to google-cal needs your consent.';

function consentError(options: { consentUrl?: string; serviceId?: string; causeDetail?: string }) {
  return new ConsentRequiredError('exchange: 400 consent_required', {
    statusCode: 400,
    error: 'consent_required',
    serviceId: 'google-cal',
    ...options,
  });
}

const legacy = { issuer, era: '2025-11-25', urlElicitation: true } satisfies ElicitationOptions;
const modern = { issuer, era: '2026-07-28', urlElicitation: true } satisfies ElicitationOptions;

describe('consentUrlProblem (T50)', () => {
  const production: ConsentPolicy = { issuer };
  const withConnect = { issuer, pageOrigins: ['https://connect.example.com'] };
  const development = { issuer: 'http://localhost:9000', devMode: true };

  it.each<[string, string, ConsentPolicy]>([
    ['of the issuer', PAGE, production],
    ['of the issuer with its default port', 'https://auth.example.com:443/connect', production],
    ['in capitals', 'HTTPS://AUTH.EXAMPLE.COM/connect', production],
    ['of an allowed origin', 'https://connect.example.com/google', withConnect],
    ['of the issuer, where others are allowed, too', PAGE, withConnect],
    ['http in dev mode', 'http://localhost:9000/connect/google?a=b%20c', development],
    ['with an @ in the path', 'https://auth.example.com/@google', production],
    ['of 2048 characters', PAGE.padEnd(2048, 'x'), production],
  ])('passes a page %s', (_, url, policy) => {
    expect(consentUrlProblem(url, policy)).toBeUndefined();
  });

  it.each<[string, string, RegExp, ConsentPolicy?]>([
    ['javascript:', 'javascript:alert(1)', /not https/],
    ['javascript: with the origin in it', 'javascript://auth.example.com/%0aalert(1)', /not https/],
    ['data:', 'data:text/html,hello', /not https/],
    ['file:', 'file:///etc/passwd', /not https/],
    ['a custom scheme', 'vscode://auth.example.com/x', /not https/],
    ['blob: of the origin', 'blob:https://auth.example.com/1', /not https/],
    ['http: in production', 'http://auth.example.com/connect', /not https/],
    ['javascript: in dev mode', 'javascript:alert(1)', /not https/, development],
    ['another origin', 'https://evil.example/connect', /origin/],
    ['a subdomain', 'https://x.auth.example.com/connect', /origin/],
    ['a parent domain', 'https://example.com/connect', /origin/],
    ['the origin as a prefix', 'https://auth.example.com.evil.example/', /origin/],
    ['another port', 'https://auth.example.com:8443/connect', /origin/],
    [
      'http of the origin in dev mode',
      'http://auth.example.com/',
      /origin/,
      { issuer, devMode: true },
    ],
    ['user information', 'https://user:secret@auth.example.com/connect', /user information/],
    ['a user name', 'https://user@auth.example.com/connect', /user information/],
    [
      'the origin as user information',
      'https://auth.example.com@evil.example/',
      /user information/,
    ],
    ['user information without slashes', 'https:user@auth.example.com/', /user information/],
    ['a backslash', 'https://auth.example.com\\@evil.example/', /characters/],
    ['a line break', 'https://auth.example.com/\n', /characters/],
    ['a tab in the scheme', 'java\tscript:alert(1)', /characters/],
    ['a blank in front', ' https://auth.example.com/', /characters/],
    ['a quote', 'https://auth.example.com/"onclick=', /characters/],
    ['a letter that looks like another', 'https://аuth.example.com/', /characters/],
    ['a text direction mark', 'https://auth.example.com/\u202e', /characters/],
    ['a relative URL', '/connect/google', /absolute/],
    ['nothing', '', /characters/],
    ['2049 characters', PAGE.padEnd(2049, 'x'), /longer/],
    ['1 MB', PAGE.padEnd(1024 * 1024, 'x'), /longer/],
  ])('refuses %s', (_, url, problem, policy = production) => {
    expect(consentUrlProblem(url, policy)).toMatch(problem);
    const answer = toElicitation(consentError({ consentUrl: url }), { ...modern, ...policy });
    expect(JSON.stringify(answer)).not.toMatch(/evil|javascript|http:\/\/auth|secret|xxx/);
    expect(answer).toMatchObject({ kind: 'result', result: { isError: true } });
  });
});

describe('toElicitation', () => {
  it('is error -32042 with one elicitation in the 2025 era', () => {
    const error = consentError({ consentUrl: PAGE });
    expect(toElicitation(error, { ...legacy, elicitationId: 'e-1' })).toEqual({
      kind: 'error',
      code: -32042,
      message: MESSAGE,
      data: {
        elicitations: [{ mode: 'url', elicitationId: 'e-1', url: PAGE, message: MESSAGE }],
      },
    });
  });

  it('makes an elicitation id when it gets none', () => {
    const idOf = () => {
      const answer = toElicitation(consentError({ consentUrl: PAGE }), legacy);
      return answer.kind === 'error' ? answer.data.elicitations[0]?.elicitationId : undefined;
    };
    expect(idOf()).toMatch(/^[\da-f-]{36}$/);
    expect(idOf()).not.toBe(idOf());
  });

  it('is an input_required result in the 2026 era, and never -32042', () => {
    expect(toElicitation(consentError({ consentUrl: PAGE }), modern)).toEqual({
      kind: 'result',
      result: {
        resultType: 'input_required',
        inputRequests: {
          [consentKey('google-cal')]: {
            method: 'elicitation/create',
            params: { mode: 'url', url: PAGE, message: MESSAGE },
          },
        },
      },
    });
  });

  it.each<[string, ElicitationOptions]>([
    ['of the 2026 era that has not declared it', { ...modern, urlElicitation: false }],
    ['of the 2026 era of which nothing is known', { ...modern, urlElicitation: undefined }],
    ['of the 2025 era that has not declared it', { ...legacy, urlElicitation: false }],
  ])('gives a client %s the link in words', (_, options) => {
    expect(toElicitation(consentError({ consentUrl: PAGE }), options)).toEqual({
      kind: 'result',
      result: {
        isError: true,
        content: [
          {
            type: 'text',
            text: `${MESSAGE} Open ${PAGE} in a browser, give it there, then call this again.`,
          },
        ],
      },
    });
  });

  it('takes a client of the 2025 era of which nothing is known for able, and says it in words, too', () => {
    const options = { ...legacy, urlElicitation: undefined, elicitationId: 'e-1' };
    expect(toElicitation(consentError({ consentUrl: PAGE }), options)).toEqual({
      kind: 'error',
      code: -32042,
      message: `${MESSAGE} Open ${PAGE} in a browser, give it there, then call this again.`,
      data: {
        elicitations: [{ mode: 'url', elicitationId: 'e-1', url: PAGE, message: MESSAGE }],
      },
    });
  });

  it('names a page that may not be shown in no message, whatever is known of the client', () => {
    const consentUrl = 'https://evil.example/connect';
    const options = { ...legacy, urlElicitation: undefined };
    expect(textOf(toElicitation(consentError({ consentUrl }), options))).toBe(
      `${MESSAGE} Give it in your account at ${issuer}, then call this again.`,
    );
  });

  it.each([legacy, modern])('says what to do when there is no page ($era)', (options) => {
    expect(textOf(toElicitation(consentError({}), options))).toBe(
      `${MESSAGE} Give it in your account at ${issuer}, then call this again.`,
    );
  });

  it.each([
    `${issuer}/authorize?resource=google-cal&scope=calendar.read`,
    `${issuer}/oauth/authorize?resource=google-cal`,
  ])('does not take the request for a new authorization for a page: %s', (consentUrl) => {
    expect(textOf(toElicitation(consentError({ consentUrl }), modern))).toBe(
      `${MESSAGE} Sign in to this server again so that you are asked for it, then call this again.`,
    );
  });

  it('shows the URL in the form that all parsers read alike', () => {
    const consentUrl = 'HTTPS://AUTH.example.com:443/a/../connect';
    const answer = toElicitation(consentError({ consentUrl }), legacy);
    expect(answer).toMatchObject({
      data: { elicitations: [{ url: 'https://auth.example.com/connect' }] },
    });
  });

  it.each([
    [
      { causeDetail: 'scope_insufficient' },
      'Access to google-cal needs more consent than you have given.',
    ],
    [
      { serviceId: 'unknown_service' },
      'Access to the service behind this operation needs your consent.',
    ],
    [{ serviceId: 'a\nb\u202e' }, 'Access to a?b? needs your consent.'],
    [{ serviceId: 'x'.repeat(5000) }, `Access to ${'x'.repeat(200)} needs your consent.`],
  ])('names the service in one bounded line: %j', (options, message) => {
    const answer = toElicitation(consentError({ consentUrl: PAGE, ...options }), legacy);
    expect(answer).toMatchObject({ message });
  });
});

describe('what a request says', () => {
  const declared = { elicitation: { url: {} } };
  const params = (capabilities?: unknown) => ({
    name: 'events',
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': capabilities,
    },
  });

  it.each<[unknown, string]>([
    [params(), '2026-07-28'],
    [{ name: 'events', _meta: { progressToken: 1 } }, '2025-11-25'],
    [{ name: 'events' }, '2025-11-25'],
    [undefined, '2025-11-25'],
    [null, '2025-11-25'],
    ['text', '2025-11-25'],
  ])('protocolEra(%j) is %s', (given, era) => {
    expect(protocolEra(given)).toBe(era);
  });

  it.each<[unknown, boolean]>([
    [params(declared), true],
    [params({ elicitation: { form: {}, url: {} } }), true],
    [params({ elicitation: {} }), false],
    [params({ elicitation: { form: {} } }), false],
    [params({ elicitation: { url: true } }), false],
    [params({}), false],
    [params(), false],
    [{}, false],
    [undefined, false],
  ])('requestsUrlElicitation(%j) is %s', (given, expected) => {
    expect(requestsUrlElicitation(given)).toBe(expected);
  });

  const key = consentKey('google-cal');
  it.each<[unknown, string[], string | undefined]>([
    [{ [key]: { action: 'accept' } }, [key], undefined],
    [{ [key]: { action: 'decline' } }, [], 'decline'],
    [{ [key]: { action: 'cancel' } }, [], 'cancel'],
    [
      { [key]: { action: 'accept' }, [consentKey('other')]: { action: 'decline' } },
      [key],
      'decline',
    ],
    [{ [key]: { action: 'ACCEPT' } }, [], undefined],
    [{ [key]: 'accept' }, [], undefined],
    [{ [key]: null }, [], undefined],
    [{ 'of-the-application': { action: 'decline' } }, [], undefined],
    [[], [], undefined],
    [undefined, [], undefined],
    [null, [], undefined],
  ])('consentResponses(%j)', (given, accepted, refusal) => {
    expect(consentResponses(given)).toEqual({ accepted: new Set(accepted), refusal });
  });
});

describe('identity', () => {
  const of = { issuer, subject: 'alice', clientId: 'client-1', serviceId: 'google-cal' };

  it('keeps the elicitation id of the same subject, client and service, and of no other', () => {
    const ids = [
      of,
      { ...of },
      { ...of, issuer: 'https://other.example' },
      { ...of, subject: 'bob' },
      { ...of, clientId: 'client-2' },
      { ...of, serviceId: 'github' },
      { ...of, subject: 'alice","client-1', clientId: '' },
    ].map(stableElicitationId);
    expect(ids[0]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(ids.length - 1);
    expect(ids[0]).not.toContain('alice');
  });

  it('knows the error of another copy of this package', () => {
    const foreign = Object.assign(new Error('x'), { name: 'ConsentRequiredError', serviceId: 's' });
    expect(isConsentRequired(foreign)).toBe(true);
    expect(isConsentRequired(consentError({}))).toBe(true);
    expect(isConsentRequired(new Error('x'))).toBe(false);
    expect(isConsentRequired({ name: 'ConsentRequiredError', serviceId: 's' })).toBe(false);
  });
});

function textOf(answer: ReturnType<typeof toElicitation>): string | undefined {
  return answer.kind === 'result' && 'content' in answer.result
    ? answer.result.content[0]?.text
    : undefined;
}
