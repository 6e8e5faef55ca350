import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Controller, Get, Logger } from '@nestjs/common';
import { AuthplaneModule, ProtocolError, Public } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { PackageLogger } from '../../../src/nest/log/package-logger.js';
import { platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';
const LEVELS = ['debug', 'log', 'warn', 'error'] as const;
type Failure = () => unknown;

const FAILURES: readonly (readonly [string, Failure])[] = [
  [
    'throws',
    () => {
      throw new Error('the log is full');
    },
  ],
  ['rejects', () => Promise.reject(new Error('the log is full'))],
];

@Controller('things')
class Things {
  @Get()
  list() {
    return [];
  }

  @Get('broken')
  @Public()
  broken() {
    throw new ProtocolError('x');
  }
}

describe('PackageLogger', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each(LEVELS)('hands %s on, under its context', (level) => {
    const lines: unknown[] = [];
    vi.spyOn(Logger.prototype, level).mockImplementation(function (this: unknown, ...line) {
      lines.push([Reflect.get(Object(this), 'context'), ...line]);
    });
    new PackageLogger('Here')[level]('a line');
    expect(lines).toEqual([['Here', 'a line']]);
  });

  it('hands the stack of a fault on', () => {
    const error = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const fault = new Error('x');
    new PackageLogger('Here').error('a line', fault);
    new PackageLogger('Here').error('a line', 'a text');
    expect(error.mock.calls).toEqual([
      ['a line', fault.stack],
      ['a line', 'a text'],
    ]);
  });
});

describe.each(platforms)('10.11c: a logger that fails, on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp | undefined;

  beforeEach(async () => {
    authorizationServer = await startAuthorizationServer();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await app?.close();
    app = undefined;
    await authorizationServer.close();
  });

  const start = async (fail: Failure) => {
    const { issuer } = authorizationServer;
    for (const level of LEVELS) {
      vi.spyOn(Logger.prototype, level).mockImplementation(function (this: unknown) {
        const context: unknown = Reflect.get(Object(this), 'context');
        if (String(context).startsWith('Authplane')) return fail() as never; // Nest's lines are its own
      });
    }
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({ issuer, resource: RESOURCE, devMode: true, guard: 'global' }),
        ],
        controllers: [Things],
      },
      { platform },
    );
    return app.url;
  };

  it.each(FAILURES)('and %s changes no answer and ends no process', async (_how, fail) => {
    authorizationServer.fail('metadata', 503); // noted at the start, in the background
    const url = await start(fail);
    expect(Logger.prototype.warn).toHaveBeenCalled();
    authorizationServer.fail('metadata', null);
    expect((await fetch(`${url}/things`)).status).toBe(401);
    const foreign = await authorizationServer.issueToken({ aud: ['https://other.example.com'] });
    const authorization = `Bearer ${foreign}`;
    const refused = () => fetch(`${url}/things`, { headers: { authorization } });
    while ((await refused()).status === 503) await new Promise(setImmediate);
    expect((await refused()).status).toBe(401);
    expect((await fetch(`${url}/things/broken`)).status).toBe(500);
    const good = await authorizationServer.issueToken({ aud: [RESOURCE] });
    const passes = await fetch(`${url}/things`, { headers: { authorization: `Bearer ${good}` } });
    expect(passes.status).toBe(200);
  });
});
