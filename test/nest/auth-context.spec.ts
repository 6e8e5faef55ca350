import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { Controller, Get, Injectable, UseGuards } from '@nestjs/common';
import { AuthContext, AuthplaneGuard, AuthplaneModule, NoCallerError } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../e2e/apps/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';

/** Two layers below the handler, and some turns of the event loop later. */
@Injectable()
class DeepService {
  constructor(private readonly caller: AuthContext) {}

  async whoIsCalling() {
    await delay(Math.random() * 20);
    const { sub } = this.caller.claims;
    await new Promise((resolve) => setImmediate(resolve));
    return { sub, later: this.caller.claims.sub, token: this.caller.token };
  }
}

@Controller('who')
@UseGuards(AuthplaneGuard)
class WhoController {
  constructor(private readonly service: DeepService) {}

  @Get()
  who() {
    return this.service.whoIsCalling();
  }
}

describe.each(platforms)('AuthContext on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    const options = { issuer: authorizationServer.issuer, resource: RESOURCE, devMode: true };
    app = await startApp(
      {
        imports: [AuthplaneModule.forRoot(options)],
        controllers: [WhoController],
        providers: [DeepService],
      },
      { platform },
    );
  });

  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
  });

  it('shows each of 200 interleaved callers to themselves only', async () => {
    const users = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const sub = `user-${index % 50}`;
        return { sub, token: await authorizationServer.issueToken({ aud: [RESOURCE], sub }) };
      }),
    );
    const seen = await Promise.all(
      users.map(async ({ token }) => {
        const response = await fetch(`${app.url}/who`, {
          headers: { authorization: `Bearer ${token}` },
        });
        return response.json();
      }),
    );
    expect(seen).toEqual(users.map(({ sub, token }) => ({ sub, later: sub, token })));
  });

  it('has no caller outside a guarded handler', () => {
    const context = app.app.get(AuthContext);
    expect(() => context.claims).toThrow(NoCallerError);
    expect(() => context.token).toThrow(NoCallerError);
    expect(() => context.requireScope('a')).toThrow(NoCallerError);
  });
});
