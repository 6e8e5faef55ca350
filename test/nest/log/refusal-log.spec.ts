import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Controller, Get, Logger, UseGuards } from '@nestjs/common';
import {
  AuthContext,
  AuthplaneGuard,
  AuthplaneModule,
  type AuthplaneModuleOptions,
  JWKSFetchError,
  type InboundDPoPOptions,
} from 'authplane-nestjs';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import {
  InsufficientScopeError,
  InvalidClaimsError,
  TokenMissingError,
} from '../../../src/core/errors/token-errors.js';
import { RefusalLog } from '../../../src/nest/log/refusal-log.js';
import { type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';

@Controller('things')
@UseGuards(AuthplaneGuard)
class Things {
  constructor(private readonly caller: AuthContext) {}

  @Get()
  list() {
    return [];
  }

  @Get('late')
  late() {
    this.caller.requireScope('things:late');
  }

  @Get('down')
  down() {
    throw new JWKSFetchError('the keys are away');
  }
}

describe('RefusalLog', () => {
  let lines: string[];
  let logger: Logger;
  beforeEach(() => {
    lines = [];
    const write = (level: string) => (message: unknown) =>
      lines.push(`${level} ${String(message)}`);
    logger = { debug: write('debug'), warn: write('warn') } as unknown as Logger;
  });

  it('says what the token has, in one bounded line, which the message does not', () => {
    const log = new RefusalLog(logger);
    const error = new InsufficientScopeError(['a'], {
      grantedScopes: ['b', 'c\nd', 'x'.repeat(1000)],
    });
    log.write(error);
    log.write(new InsufficientScopeError(['a'], { grantedScopes: [] }));
    log.write(new InsufficientScopeError(['a']));
    expect(error.message).toBe('the operation needs the scopes: a');
    const needs = 'debug refused: insufficient_scope: the operation needs the scopes: a';
    expect(lines).toEqual([
      `${needs}; the token has: b c?d ${'x'.repeat(494)}`,
      `${needs}; the token has: none`,
      needs,
    ]);
  });

  it('warns once a minute of each kind', () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1_000_000);
    const log = new RefusalLog(logger);
    log.write(new InvalidClaimsError('another audience'));
    log.write(new InvalidClaimsError('another audience'));
    log.write(new JWKSFetchError('no keys'));
    log.write(new TokenMissingError('none'));
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([
      'warn refused a request: invalid_claims: another audience',
      expect.stringContaining('no keys'),
    ]);
    expect(lines.filter((line) => line.startsWith('debug'))).toHaveLength(4);
    now.mockReturnValue(1_060_001);
    log.write(new InvalidClaimsError('another audience'));
    expect(lines.filter((line) => line.startsWith('warn'))).toHaveLength(3);
    now.mockRestore();
  });

  it('names the kind of a foreign cause, never its text', () => {
    const cause = Object.assign(new Error('redis://user:password@host'), { code: 'ECONNREFUSED' });
    new RefusalLog(logger).write(new JWKSFetchError('no keys', { cause }));
    expect(lines.join()).toContain('no keys (Error ECONNREFUSED)');
    expect(lines.join()).not.toContain('password');
  });
});

describe('what an operator sees of refusals', () => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp | undefined;
  let lines: Record<'debug' | 'warn', string[]>;

  beforeEach(async () => {
    authorizationServer = await startAuthorizationServer();
    lines = { debug: [], warn: [] };
    for (const level of ['debug', 'warn'] as const) {
      vi.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
        lines[level].push(String(message));
      });
    }
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await app?.close();
    app = undefined;
    await authorizationServer.close();
  });

  const start = async (options: Partial<AuthplaneModuleOptions> = {}) => {
    const { issuer } = authorizationServer;
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({ issuer, resource: RESOURCE, devMode: true, ...options }),
        ],
        controllers: [Things],
      },
      { platform: 'fastify' },
    );
    lines.warn.length = 0;
    return app.url;
  };
  const get = async (url: string, headers: Record<string, string>) =>
    (await fetch(url, { headers })).status;
  const bearer = async () => ({
    authorization: `Bearer ${await authorizationServer.issueToken({ aud: [RESOURCE], scope: '' })}`,
  });

  it('F22: a replay store that fails is worth a warning', async () => {
    const replayStore: InboundDPoPOptions['replayStore'] = {
      checkAndStore: () => Promise.reject(Object.assign(new Error('away'), { code: 'ECONNRESET' })),
    };
    const url = await start({ inboundDPoP: { replayStore } });
    const key = await generateDPoPKey();
    const accessToken = await authorizationServer.issueToken({
      aud: [RESOURCE],
      cnf: { jkt: key.thumbprint },
    });
    for (let i = 0; i < 3; i++) {
      const htu = { method: 'GET', url: 'http://127.0.0.1:3000/things', accessToken };
      const headers = { authorization: `DPoP ${accessToken}`, dpop: dpopProof(key, htu) };
      expect(await get(`${url}/things`, headers)).toBe(503);
    }
    expect(lines.warn).toEqual([
      'refused a request: replay_store_unavailable: the replay store failed (Error ECONNRESET)',
    ]);
  });

  it('F12: introspection that fails is worth a warning', async () => {
    const url = await start({
      revocationChecker: 'introspection',
      asCredentials: { clientId: 'nobody', clientSecret: 'a wrong secret' },
    });
    expect(await get(`${url}/things`, await bearer())).toBe(503);
    expect(lines.warn).toHaveLength(1);
    expect(lines.warn.join()).not.toContain('a wrong secret');
  });

  it('10.13: a token of many groups passes; one that is too long is worth a warning', async () => {
    const groups = Array.from({ length: 260 }, () => '0d8c7a0e-6a54-4a5b-9f0e-2b8d4e0c1a11');
    const token = await authorizationServer.issueToken({ aud: [RESOURCE], groups });
    expect(token.length).toBeGreaterThan(12_000);
    const authorization = `Bearer ${token}`;
    expect(await get(`${await start()}/things`, { authorization })).toBe(200);
    await app?.close();
    const url = await start({ maxTokenLength: 12_000 });
    const refused = await fetch(`${url}/things`, { headers: { authorization } });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(lines.warn).toEqual([
      'refused a request: token_too_long: the token is longer than 12000 characters; see maxTokenLength',
    ]);
  });

  it('what a handler throws is logged once, too', async () => {
    const url = await start();
    expect(await get(`${url}/things/late`, await bearer())).toBe(403);
    expect(await get(`${url}/things/down`, await bearer())).toBe(503);
    expect(await get(`${url}/things`, {})).toBe(401);
    const refused = lines.debug.filter((line) => line.startsWith('refused:'));
    expect(refused).toHaveLength(3);
    expect(lines.warn).toEqual([expect.stringContaining('the keys are away')]);
  });
});
