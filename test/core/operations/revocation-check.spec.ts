import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { httpStatus } from '../../../src/core/challenge.js';
import {
  AuthorizationServerUnavailableError,
  CircuitOpenError,
} from '../../../src/core/errors/server-errors.js';
import { ConfigurationError } from '../../../src/core/errors/configuration-error.js';
import { TokenRevokedError } from '../../../src/core/errors/token-errors.js';
import {
  revocationCheck,
  type RevocationCheckOptions,
} from '../../../src/core/operations/revocation-check.js';
import type { RevocationChecker } from '../../../src/core/operations/settings.js';
import type { IntrospectionResponse } from '../../../src/core/operations/introspection.js';
import { exactScopes } from '../../../src/core/lib/scopes.js';
import { VerifiedClaims } from '../../../src/core/token/verified-claims.js';
import { setUp, type Setup, thrownBy } from '../../support/servers/client-setup.js';
import { replyJson, replyProblem, replyRaw } from '../../support/servers/scripted-server.js';
import { ISSUER, NOW, RESOURCE } from '../../support/tokens/keys-and-tokens.js';
import { until } from '../../support/time/until.js';

let setup: Setup;

beforeEach(async () => {
  setup = await setUp();
  says({ active: true });
});

afterEach(() => setup.close());

function says(answer: unknown): void {
  setup.server.on('/introspection_endpoint', replyJson(answer));
}

function claims(expiresAt = NOW + 3600): VerifiedClaims {
  return new VerifiedClaims(
    {
      issuer: ISSUER,
      sub: 'user-1',
      clientId: 'client-1',
      audience: [RESOURCE, 'https://other.example.com'],
      expiresAt,
      issuedAt: NOW,
      notBefore: NOW,
      jti: 'jti-1',
      kid: 'k',
      scopes: [],
      agentId: '',
      agentChain: [],
      act: undefined,
      raw: {},
    },
    exactScopes,
  );
}

function checkBy(
  checker: RevocationChecker,
  options: Partial<RevocationCheckOptions> = {},
  operations = setup.operations,
) {
  const introspect = (token: string) => operations.introspect(token);
  return revocationCheck(checker, { clock: setup.clock, introspect, ...options });
}

function asked(): number {
  return setup.server.requests.length;
}

describe('introspection', () => {
  it('passes an active token', async () => {
    await checkBy('introspection')(claims(), 't');
    expect(setup.server.last.form.get('token')).toBe('t');
  });

  it.each([{ active: false }, {}, { active: 'true' }, { active: 1 }, { active: [true] }])(
    'T46, P28: refuses after %j',
    async (answer) => {
      says(answer);
      const thrown = await thrownBy(checkBy('introspection')(claims(), 't'));
      expect(thrown).toBeInstanceOf(TokenRevokedError);
      expect(httpStatus(thrown)).toBe(401);
    },
  );

  it('T46: passes an answer that agrees with the token', async () => {
    const agreeing = { iss: ISSUER, sub: 'user-1', client_id: 'client-1', jti: 'jti-1' };
    for (const aud of [RESOURCE, [RESOURCE], [RESOURCE, 'https://other.example.com']]) {
      says({ active: true, aud, ...agreeing });
      await checkBy('introspection')(claims(), 't');
    }
  });

  it.each<[string, unknown]>([
    ['iss', 'https://evil.example.com'],
    ['iss', `${ISSUER}/`],
    ['iss', null],
    ['sub', 'user-2'],
    ['sub', ['user-1']],
    ['client_id', 'client-2'],
    ['jti', 'jti-2'],
    ['jti', 5],
    ['aud', 'https://evil.example.com'],
    ['aud', [RESOURCE, 'https://evil.example.com']],
    ['aud', []],
    ['aud', {}],
    ['aud', null],
  ])('T46: refuses an active answer about another token: %s %j', async (name, value) => {
    says({ active: true, [name]: value });
    for (const failClosed of [true, false]) {
      const thrown = await thrownBy(checkBy('introspection', { failClosed })(claims(), 't'));
      expect(thrown).toBeInstanceOf(TokenRevokedError);
      expect((thrown as Error).message).toContain(`claim ${name} `);
    }
  });

  it('needs somebody to ask', () => {
    const { clock } = setup;
    expect(() => revocationCheck('introspection', { clock })).toThrow(ConfigurationError);
  });
});

describe('a verdict in memory', () => {
  it('T43: is used for 30 seconds at most', async () => {
    const check = checkBy('introspection');
    await check(claims(), 't');
    says({ active: false });
    setup.clock.advance(14.9);
    await check(claims(), 't');
    expect(asked()).toBe(1);
    setup.clock.advance(15.1);
    expect(await thrownBy(check(claims(), 't'))).toBeInstanceOf(TokenRevokedError);
    setup.clock.advance(1.4);
    expect(await thrownBy(check(claims(), 't'))).toBeInstanceOf(TokenRevokedError);
    expect(asked()).toBe(2);
  });

  it('10.14c: a no is kept for a moment only, since a replica may lag behind the issue', async () => {
    const check = checkBy('introspection');
    says({ active: false });
    await thrownBy(check(claims(), 't'));
    says({ active: true });
    setup.clock.advance(0.9);
    await thrownBy(check(claims(), 't'));
    expect(asked()).toBe(1);
    setup.clock.advance(1.1);
    await check(claims(), 't');
    setup.clock.advance(14);
    await check(claims(), 't');
    expect(asked()).toBe(2);
  });

  it('10.11a: is asked for again ahead of its end, while the old one serves', async () => {
    const check = checkBy('introspection');
    await check(claims(), 't');
    setup.clock.advance(24.1);
    await Promise.all(Array.from({ length: 20 }, () => check(claims(), 't')));
    await until(() => asked() === 2);
    await check(claims(), 't'); // waits for the answer, were the old verdict over
    setup.clock.advance(14);
    await check(claims(), 't'); // 38 seconds after the first question
    expect(asked()).toBe(2);
  });

  it('10.11a: a renewal that says no counts as soon as it is there', async () => {
    const check = checkBy('introspection');
    await check(claims(), 't');
    says({ active: false });
    setup.clock.advance(24.1);
    await check(claims(), 't');
    await until(() =>
      check(claims(), 't').then(
        () => false,
        (error: unknown) => error instanceof TokenRevokedError,
      ),
    );
    expect(asked()).toBe(2);
  });

  it('10.11a: a renewal that fails takes nothing away, is not repeated at once, and lengthens nothing', async () => {
    const check = checkBy('introspection');
    await check(claims(), 't');
    setup.server.on('/introspection_endpoint', replyRaw('', 500));
    setup.clock.advance(24.1);
    await check(claims(), 't');
    await until(() => asked() === 2);
    setup.clock.advance(1.9);
    for (let i = 0; i < 5; i++) await check(claims(), 't');
    expect(asked()).toBe(2);
    setup.clock.advance(4); // 30 seconds are over
    const thrown = await thrownBy(check(claims(), 't'));
    expect(thrown).toBeInstanceOf(AuthorizationServerUnavailableError);
  });

  it('10.11a: verdicts asked for together do not end together', async () => {
    const check = checkBy('introspection');
    const herd = Array.from({ length: 40 }, (_, i) => `t${i}`);
    await Promise.all(herd.map((token) => check(claims(), token)));
    setup.clock.advance(19.5);
    await Promise.all(herd.map((token) => check(claims(), token)));
    await until(() => asked() > 40);
    await new Promise((resolve) => setTimeout(resolve, 200)); // none are missing that were sent
    expect(asked()).toBeGreaterThan(40);
    expect(asked()).toBeLessThan(80);
  });

  it.each([NOW + 5, NOW + 4.5, String(NOW + 5)])(
    '10.23: RFC 7662 §4: ends with exp of the answer: %p',
    async (exp) => {
      const check = checkBy('introspection');
      says({ active: true, exp });
      await check(claims(), 't');
      setup.clock.advance(4);
      await check(claims(), 't');
      expect(asked()).toBe(1);
      setup.clock.advance(1);
      await check(claims(), 't');
      expect(asked()).toBe(2);
    },
  );

  it.each<[string, object]>([
    ['exp has passed', { exp: NOW - 60 }],
    ['exp as text has passed', { exp: String(NOW - 3600) }],
    ['exp is 0', { exp: 0 }],
    ['nbf is ahead', { nbf: NOW + 61 }],
  ])('10.23: RFC 7662 §2.2: an active answer whose %s is a no', async (_name, times) => {
    says({ active: true, ...times });
    for (const failClosed of [true, false]) {
      const check = checkBy('introspection', { failClosed });
      const thrown = await thrownBy(check(claims(), 't'));
      expect(thrown).toBeInstanceOf(TokenRevokedError);
      expect((thrown as Error).message).toContain('by the times');
    }
  });

  it('10.23: within the skew, empty, or of no kind of date, times say nothing', async () => {
    for (const exp of [NOW - 59, null, '', 'tomorrow', {}]) {
      says({ active: true, exp, nbf: null });
      await checkBy('introspection')(claims(), 't');
    }
  });

  it('never past exp', async () => {
    const check = checkBy('introspection');
    await check(claims(NOW + 10), 't');
    setup.clock.advance(10);
    await check(claims(NOW + 10), 't');
    expect(asked()).toBe(2);
  });

  it('hardening: T08: is one for all spellings of a signature, and goes for all', async () => {
    const check = checkBy('introspection');
    const jws = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.claims`;
    await check(claims(), `${jws}.signature`);
    await check(claims(), `${jws}.twin`);
    expect(asked()).toBe(1);
    says({ active: false });
    check.forget(`${jws}.signature`);
    const thrown = await thrownBy(check(claims(), `${jws}.twin`));
    expect(thrown).toBeInstanceOf(TokenRevokedError);
  });

  it('belongs to one token', async () => {
    const check = checkBy('introspection');
    await check(claims(), 't');
    says({ active: false });
    await thrownBy(check(claims(), 'T'));
    expect(asked()).toBe(2);
  });

  it('is asked for once by 100 concurrent requests', async () => {
    setup.server.on('/introspection_endpoint', async (response, request) => {
      await delay(20);
      await replyJson({ active: true })(response, request);
    });
    const check = checkBy('introspection');
    await Promise.all(Array.from({ length: 100 }, () => check(claims(), 't')));
    expect(asked()).toBe(1);
  });

  it('T43: is dropped by revoke()', async () => {
    const check = checkBy('introspection');
    const { forget } = check;
    setup.operations.onRevoked(forget);
    await check(claims(), 't');
    says({ active: false });
    setup.server.on('/revocation_endpoint', replyRaw('', 200));
    await setup.operations.revoke('t');
    expect(await thrownBy(check(claims(), 't'))).toBeInstanceOf(TokenRevokedError);
  });

  it('is dropped by revoke() also while it is on its way', async () => {
    let answer: () => void = () => undefined;
    setup.server.on('/introspection_endpoint', (response, request) => {
      answer = () => void replyJson({ active: true })(response, request);
    });
    const check = checkBy('introspection');
    const early = check(claims(), 't');
    while (asked() === 0) await delay(2);
    check.forget('t');
    answer();
    await early;
    says({ active: false });
    expect(await thrownBy(check(claims(), 't'))).toBeInstanceOf(TokenRevokedError);
  });

  it('F11: an outage is not remembered, and what is remembered survives it', async () => {
    const check = checkBy('introspection');
    await check(claims(), 'known');
    setup.server.on('/introspection_endpoint', replyRaw('', 503));
    await check(claims(), 'known');
    await thrownBy(check(claims(), 'new'));
    says({ active: true });
    await check(claims(), 'new');
  });

  it('are bounded', async () => {
    const tokens: string[] = [];
    const introspect = async (token: string) => {
      tokens.push(token);
      return { active: true, raw: {} } as IntrospectionResponse;
    };
    const check = checkBy('introspection', { introspect });
    for (let i = 0; i <= 10_000; i++) await check(claims(), `t${i}`);
    await check(claims(), 't10000');
    expect(tokens).toHaveLength(10_001);
    await check(claims(), 't0');
    expect(tokens).toHaveLength(10_002);
  });
});

describe('when the state cannot be found out', () => {
  const troubles: [string, () => void][] = [
    [
      'status 500',
      () => setup.server.on('/introspection_endpoint', replyProblem('server_error', 500)),
    ],
    [
      'wrong credentials',
      () => setup.server.on('/introspection_endpoint', replyProblem('invalid_client', 401)),
    ],
    ['no JSON', () => setup.server.on('/introspection_endpoint', replyRaw('ok', 200))],
    [
      'a broken connection',
      () => setup.server.on('/introspection_endpoint', (r) => void r.destroy()),
    ],
  ];

  it.each(troubles)('T44, P25: refuses with 503 by default: %s', async (_name, breakIt) => {
    breakIt();
    for (let i = 0; i < 7; i++) {
      const thrown = await thrownBy(checkBy('introspection')(claims(), `canary-${i}`));
      expect(thrown).toBeInstanceOf(AuthorizationServerUnavailableError);
      expect(httpStatus(thrown)).toBe(503);
      expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
    }
  });

  it.each(troubles)(
    'rfc7662-introspection-fail-open-policy-must-be-explicitly-tested: passes and reports with failClosed false: %s',
    async (_name, breakIt) => {
      breakIt();
      const reports: AuthorizationServerUnavailableError[] = [];
      const onUnchecked = (error: AuthorizationServerUnavailableError) => void reports.push(error);
      await checkBy('introspection', { failClosed: false, onUnchecked })(claims(), 't');
      await checkBy('introspection', { failClosed: false })(claims(), 't');
      expect(reports).toHaveLength(1);
      expect(reports[0]).toBeInstanceOf(AuthorizationServerUnavailableError);
    },
  );

  it('failClosed false still refuses what is known to be revoked', async () => {
    says({ active: false });
    const check = checkBy('introspection', { failClosed: false });
    expect(await thrownBy(check(claims(), 't'))).toBeInstanceOf(TokenRevokedError);
  });

  it('an open breaker says when to come again', async () => {
    setup.server.on('/introspection_endpoint', replyRaw('', 500));
    const check = checkBy('introspection');
    for (let i = 0; i < 5; i++) await thrownBy(check(claims(), 't'));
    const thrown = await thrownBy(check(claims(), 't'));
    expect(thrown).toBeInstanceOf(CircuitOpenError);
    expect(thrown).toMatchObject({ retryAfterSeconds: 30 });
  });
});

describe('a client that may not ask', () => {
  const hint = 'policy.runtime.client_ids';

  async function refusals(check: ReturnType<typeof checkBy>, tokens: readonly string[]) {
    const errors: TokenRevokedError[] = [];
    for (const token of tokens) {
      errors.push((await thrownBy(check(claims(), token))) as TokenRevokedError);
    }
    // A log that warns once for each code has to be able to tell the two apart.
    for (const error of errors) expect(error.hint !== undefined).toBe(error.message.includes(hint));
    return errors.map(({ message }) => message.includes(hint));
  }

  it('is suspected once three different tokens were inactive and none active', async () => {
    says({ active: false });
    const seen = await refusals(checkBy('introspection'), ['a', 'b', 'c', 'd']);
    expect(seen).toEqual([false, false, true, true]);
  });

  it('is not suspected because of one token that comes again', async () => {
    says({ active: false });
    const check = checkBy('introspection');
    for (let i = 0; i < 4; i++) {
      expect(await refusals(check, ['a'])).toEqual([false]);
      setup.clock.advance(30);
    }
    expect(asked()).toBe(4);
  });

  it('is not suspected once a token was active', async () => {
    const check = checkBy('introspection');
    says({ active: false });
    await refusals(check, ['a', 'b']);
    says({ active: true });
    await check(claims(), 'good');
    says({ active: false });
    expect(await refusals(check, ['c', 'd', 'e', 'f'])).toEqual([false, false, false, false]);
  });
});

describe('a function', () => {
  it.each([
    [false, async () => false],
    [true, async () => true],
    [false, () => false],
    [true, () => true],
  ])('says %s', async (revoked, checker) => {
    const check = checkBy(checker)(claims(), 't');
    if (revoked) expect(await thrownBy(check)).toBeInstanceOf(TokenRevokedError);
    else await check;
  });

  it('is asked every time, with claims and token', async () => {
    const seen: unknown[] = [];
    const check = checkBy((given, token) => {
      seen.push(given.jti, token);
      return false;
    });
    await check(claims(), 't');
    await check(claims(), 't');
    expect(seen).toEqual(['jti-1', 't', 'jti-1', 't']);
    expect(asked()).toBe(0);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('db');
      },
    ],
    ['rejects', () => Promise.reject(new Error('db'))],
    ['answers nothing', () => undefined],
    ['answers a number', () => 0],
    ['answers a text', () => 'false'],
  ])('T44: that %s fails closed, and open by choice', async (_name, own) => {
    const checker = own as () => boolean;
    const thrown = await thrownBy(checkBy(checker)(claims(), 't'));
    expect(thrown).toBeInstanceOf(AuthorizationServerUnavailableError);
    await checkBy(checker, { failClosed: false })(claims(), 't');
  });

  describe('hardening: that never answers', () => {
    const never = (): Promise<boolean> => new Promise(() => undefined);
    beforeEach(() => {
      vi.useFakeTimers({ now: NOW * 1000 });
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    it('T44: refuses with 503 after 5 seconds', async () => {
      const check = thrownBy(checkBy(never)(claims(), 'canary'));
      await vi.advanceTimersByTimeAsync(5001);
      const thrown = await check;
      expect(thrown).toBeInstanceOf(AuthorizationServerUnavailableError);
      expect(httpStatus(thrown)).toBe(503);
      expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
    });

    it('passes and reports with failClosed false', async () => {
      const reports: string[] = [];
      const onUnchecked = ({ message }: Error) => void reports.push(message);
      const check = checkBy(never, { failClosed: false, onUnchecked })(claims(), 't');
      await vi.advanceTimersByTimeAsync(4999);
      expect(reports).toEqual([]);
      await vi.advanceTimersByTimeAsync(2);
      await check;
      expect(reports).toEqual([expect.stringContaining('no answer within 5000 ms')]);
    });

    it('one that takes its time has still answered', async () => {
      const slow = (): Promise<boolean> =>
        new Promise((resolve) => setTimeout(() => resolve(true), 4900));
      const check = thrownBy(checkBy(slow)(claims(), 't'));
      await vi.advanceTimersByTimeAsync(4901);
      expect(await check).toBeInstanceOf(TokenRevokedError);
      expect(vi.getTimerCount()).toBe(0);
    });
  });
});
