import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Controller, Get, Logger, type LoggerService } from '@nestjs/common';
import { AnyScope, AuthplaneModule, type AuthplaneModuleOptions, Scopes } from 'authplane-nestjs';
import {
  type AuthorizationServerOptions,
  startAuthorizationServer,
  type StandInAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

const RESOURCE = 'https://mcp.example.com/mcp';
const asCredentials = { clientId: 'gateway', clientSecret: 'not to be found in a log' };

@Scopes('notes:read')
@Controller('notes')
class NotesController {
  @Scopes('notes:purge')
  @Get()
  purge(): string {
    return 'done';
  }

  @AnyScope('notes:read', 'notes:nobody')
  @Get('other')
  other(): string {
    return 'done';
  }
}

describe.each(platforms)('10.22: at boot on %s, against the metadata of the server', (platform) => {
  let server: StandInAuthorizationServer | undefined;
  let running: RunningApp | undefined;
  let warnings: string[];

  beforeEach(() => {
    warnings = [];
  });

  /** Between the making of an application and its start. */
  function listenToLog(): void {
    const silent = (): void => undefined;
    const warn = (message: unknown): void => void warnings.push(String(message));
    const logger: LoggerService = { log: silent, error: silent, warn, debug: silent };
    Logger.overrideLogger(logger);
  }

  afterEach(async () => {
    Logger.overrideLogger(true);
    await running?.close();
    await server?.close();
    running = server = undefined;
  });

  async function boot(
    offered: AuthorizationServerOptions,
    options: Omit<AuthplaneModuleOptions, 'issuer'>,
  ): Promise<string[]> {
    server = await startAuthorizationServer(offered);
    await start(server.issuer, options);
    return warnings.filter(
      (one) => /authorization server/.test(one) && !/in the option scopes|replayStore/.test(one),
    );
  }

  async function start(issuer: string, options: Omit<AuthplaneModuleOptions, 'issuer'>) {
    const authplane = AuthplaneModule.forRoot({
      issuer,
      devMode: true,
      guard: 'global',
      ...options,
    });
    running = await startApp(
      { imports: [authplane], controllers: [NotesController] },
      { platform, configure: listenToLog },
    );
  }

  const all = { scopesSupported: ['notes:read', 'notes:purge'] };

  test('nothing is said where everything is offered', async () => {
    const options = { resource: RESOURCE, scopes: ['notes:read', 'notes:purge'], asCredentials };
    expect(await boot(all, { ...options, inboundDPoP: { required: true } })).toEqual([]);
  });

  test('each switch of AuthPlane that is off and wanted on is named', async () => {
    const features = { tokenExchange: false, clientCredentials: false, dpop: false };
    const options = { resource: RESOURCE, asCredentials, inboundDPoP: { required: true } };
    const said = await boot({ ...all, features }, options);
    for (const name of ['DPOP', 'TOKEN_EXCHANGE', 'CLIENT_CREDENTIALS']) {
      expect(said.filter((one) => one.includes(`AUTHPLANE_${name}_ENABLED=true`))).toHaveLength(1);
    }
    expect(said.join()).not.toContain(asCredentials.clientSecret);
  });

  test('scopes of options and decorators that the server does not know', async () => {
    const said = await boot(
      { scopesSupported: ['notes:read'] },
      { resource: RESOURCE, scopes: ['notes:read', 'notes:typo', 'offline_access'] },
    );
    // Of the alternatives at `other` the server knows one, and offline_access is said apart.
    expect(said).toEqual([expect.stringContaining('know the scopes notes:typo notes:purge (')]);
    expect(warnings.join()).toContain('offline_access is for clients to ask for');
  });

  test('no algorithm in common', async () => {
    const said = await boot(all, { resource: RESOURCE, allowedAlgorithms: ['PS256'] });
    expect(said).toEqual([expect.stringContaining('allowedAlgorithms (PS256)')]);
  });

  test('a server that comes later is compared then', async () => {
    server = await startAuthorizationServer({ ...all, features: { dpop: false } });
    const { issuer } = server;
    await server.close();
    await start(issuer, { resource: RESOURCE, inboundDPoP: { required: true } });
    const isSaid = () => warnings.some((one) => one.includes('AUTHPLANE_DPOP_ENABLED'));
    expect(isSaid()).toBe(false);
    const port = Number(new URL(issuer).port);
    server = await startAuthorizationServer({ ...all, port, features: { dpop: false } });
    const deadline = performance.now() + 60_000;
    while (!isSaid() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(isSaid()).toBe(true);
  });
});
