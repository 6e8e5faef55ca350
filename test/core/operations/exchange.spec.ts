import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { httpStatus } from '../../../src/core/challenge.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { InvalidGrantError } from '../../../src/core/errors/oauth-errors.js';
import { TokenExpiredError } from '../../../src/core/errors/token-errors.js';
import type { ExchangeRequest } from '../../../src/core/operations/exchange.js';
import type { TokenOperations } from '../../../src/core/operations/token-operations.js';
import {
  ACCESS_TOKEN_TYPE,
  jwt,
  setUpAnswering,
  type Setup,
  thrownBy,
} from '../../support/servers/client-setup.js';
import { replyProblem } from '../../support/servers/scripted-server.js';
import { NOW } from '../../support/tokens/keys-and-tokens.js';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

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

describe('the parameters of an exchange', () => {
  it('rfc8693-grant-type-must-be-token-exchange, rfc8693-default-subject-token-type-is-access-token', async () => {
    await operations.exchange({ subjectToken: 'eyJ' });
    expect(sent()).toEqual([
      ['grant_type', EXCHANGE],
      ['subject_token', 'eyJ'],
      ['subject_token_type', ACCESS_TOKEN_TYPE],
    ]);
    expect(setup.server.last.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(setup.server.last.headers.accept).toContain('application/json');
  });

  it.each(['', ' ', undefined])(
    'rfc8693-default-subject-token-type-is-access-token: also for %j',
    async (type) => {
      const given = type === undefined ? {} : { subjectTokenType: type, actorTokenType: type };
      await operations.exchange({ subjectToken: 's', actorToken: 'a', ...given });
      expect(setup.server.last.form.get('subject_token_type')).toBe(ACCESS_TOKEN_TYPE);
      expect(setup.server.last.form.get('actor_token_type')).toBe(ACCESS_TOKEN_TYPE);
    },
  );

  it.each(['', '  ', undefined])(
    'rfc8693-subject-token-is-required: %j is refused before anything is sent',
    async (subjectToken) => {
      const asked = { subjectToken } as ExchangeRequest;
      for (let i = 0; i < 10; i++) {
        const thrown = await thrownBy(operations.exchange(asked));
        expect(thrown).toBeInstanceOf(ConfigurationError);
        expect((thrown as Error).message).toContain('subject_token is required');
      }
      expect(setup.server.requests).toHaveLength(0);
    },
  );

  it('RFC 8693 §2.1: everything there is', async () => {
    const jwtType = 'urn:ietf:params:oauth:token-type:jwt';
    await operations.exchange({
      subjectToken: 's',
      subjectTokenType: jwtType,
      actorToken: 'a',
      actorTokenType: jwtType,
      scope: 'read write',
      resources: ['https://a.example.com/', 'https://b.example.com'],
      audiences: ['api://inventory', 'api://billing'],
    });
    expect(sent()).toEqual([
      ['grant_type', EXCHANGE],
      ['subject_token', 's'],
      ['subject_token_type', jwtType],
      ['actor_token', 'a'],
      ['actor_token_type', jwtType],
      ['scope', 'read write'],
      ['resource', 'https://a.example.com/'],
      ['resource', 'https://b.example.com'],
      ['audience', 'api://inventory'],
      ['audience', 'api://billing'],
    ]);
  });

  it('rfc8693-resource-parameter-must-be-sent-when-configured: with its trailing slash', async () => {
    await operations.exchange({ subjectToken: 's', resources: ['https://mcp.example.com/'] });
    expect(setup.server.last.form.get('resource')).toBe('https://mcp.example.com/');
  });

  it('rfc8693-multiple-resource-parameters-must-be-emitted', async () => {
    const resources = ['https://api-one.example.com', 'https://api-two.example.com'];
    await operations.exchange({ subjectToken: 's', resources });
    expect(setup.server.last.form.getAll('resource')).toEqual(resources);
  });

  it('rfc8693-audience-parameter-must-be-sent-when-configured, rfc8693-multiple-audience-parameters-must-be-emitted', async () => {
    await operations.exchange({
      subjectToken: 's',
      audiences: ['api://inventory', 'api://billing'],
    });
    expect(setup.server.last.raw).toContain('audience=api%3A%2F%2Finventory');
    expect(setup.server.last.raw).toContain('audience=api%3A%2F%2Fbilling');
  });

  it('RFC 8693 §2.1: no actor_token_type without actor_token, and no blanks', async () => {
    await operations.exchange({
      subjectToken: 's',
      actorToken: ' ',
      actorTokenType: 'x',
      resources: ['', ' ', 'r'],
      audiences: [''],
      scope: ' ',
    });
    expect(sent().map(([name]) => name)).toEqual([
      'grant_type',
      'subject_token',
      'subject_token_type',
      'resource',
    ]);
  });
});

describe('13.7: what requests have in common', () => {
  const good: ExchangeRequest = { subjectToken: 's', resources: ['https://once.example.com'] };

  it('is checked and written once', async () => {
    const trim = vi.spyOn(String.prototype, 'trim');
    try {
      await operations.exchange(good);
      expect(trim.mock.contexts).toContain('https://once.example.com');
      trim.mockClear();
      await operations.exchange({ ...good, subjectToken: 't u&v' });
      expect(trim.mock.contexts).not.toContain('https://once.example.com');
    } finally {
      trim.mockRestore();
    }
    expect(sent()).toEqual([
      ['grant_type', EXCHANGE],
      ['subject_token', 't u&v'],
      ['subject_token_type', ACCESS_TOKEN_TYPE],
      ['resource', 'https://once.example.com'],
    ]);
  });

  it.each<[string, object]>([
    ['a member that nobody knows', { scopes: ['a'] }],
    ['one whose name is two of them', { 'resources scope': 'a' }],
    ['a scope that is none', { scope: 'a"b' }],
    ['a resource that is no text', { resources: [new String('https://once.example.com')] }],
    ['resources that are no list', { resources: { 0: 'https://once.example.com', length: 1 } }],
    ['a signal that is none', { signal: {} }],
    ['an actor token that is no text', { actorToken: 5 }],
  ])('%s is refused after a good request all the same', async (_name, bad) => {
    await operations.exchange(good);
    const sentBefore = setup.server.requests.length;
    const thrown = await thrownBy(operations.exchange({ ...good, ...bad }));
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(setup.server.requests).toHaveLength(sentBefore);
  });

  it('changes nothing when the list of an earlier request is changed', async () => {
    const resources = ['https://a.example.com'];
    await operations.exchange({ subjectToken: 's', resources });
    resources[0] = 'https://b.example.com';
    await operations.exchange({ subjectToken: 's', resources });
    expect(setup.server.last.form.getAll('resource')).toEqual(['https://b.example.com']);
  });
});

describe('10.14c: RFC 8693: a token that has ended', () => {
  it.each([-1, 0, -59.5])('by exp %d s from now: 401, and nothing is sent', async (seconds) => {
    const subjectToken = jwt({ exp: NOW + seconds });
    const thrown = await thrownBy(operations.exchange({ subjectToken }));
    expect(thrown).toBeInstanceOf(TokenExpiredError);
    expect(httpStatus(thrown)).toBe(401);
    expect(setup.server.requests).toHaveLength(0);
  });

  it('and that ends on the way: invalid_grant becomes 401', async () => {
    const subjectToken = jwt({ exp: NOW + 5 });
    setup.server.on('/token_endpoint', (response, request) => {
      setup.clock.advance(5);
      void replyProblem('invalid_grant')(response, request);
    });
    const thrown = await thrownBy(operations.exchange({ subjectToken }));
    expect(thrown).toBeInstanceOf(TokenExpiredError);
    expect((thrown as Error).cause).toBeInstanceOf(InvalidGrantError);
  });

  it('13.7: its claims are read once, and its header once for all tokens of a key', async () => {
    const parse = vi.spyOn(JSON, 'parse');
    try {
      for (const sub of ['one', 'two']) {
        await operations.exchange({ subjectToken: jwt({ exp: NOW + 5, sub }) });
      }
      const read = parse.mock.calls.map(([text]) => text);
      expect(read.filter((text) => text.includes('"sub"'))).toHaveLength(2);
      expect(read.filter((text) => text.includes('"alg"')).length).toBeLessThan(2);
    } finally {
      parse.mockRestore();
    }
  });

  it('any other invalid_grant stays what it is', async () => {
    setup.server.on('/token_endpoint', replyProblem('invalid_grant'));
    for (const subjectToken of [jwt({ exp: NOW + 5 }), jwt({ exp: 'x' }), 'opaque']) {
      const thrown = await thrownBy(operations.exchange({ subjectToken }));
      expect(thrown).toBeInstanceOf(InvalidGrantError);
    }
  });
});
