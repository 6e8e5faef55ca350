import { describe, expect, test } from 'vitest';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Req,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import {
  AuthplaneGuard,
  AuthplaneModule,
  type Authentication,
  Claims,
  Public,
} from 'authplane-nestjs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { publishUser } from '../../../src/nest/http/request.js';
import { platforms, startApp } from '../../support/nest/start-app.js';

const RESOURCE = 'http://127.0.0.1:3000/api';

/** The user of the application, as its own guard finds it. */
@Injectable()
class AccountGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ url: string; user?: unknown }>();
    if (request.url.startsWith('/user/own')) request.user = { id: 7 };
    return true;
  }
}

@Controller('user')
class UserController {
  @Get()
  get(@Req() request: { readonly user?: unknown; readonly auth?: { readonly clientId: string } }) {
    return { user: request.user ?? null, client: request.auth?.clientId };
  }

  @Get('own')
  own(@Req() request: { readonly user?: unknown; readonly auth?: { readonly clientId: string } }) {
    return this.get(request);
  }

  @Get('member')
  member(
    @Claims('sub') sub: string,
    @Claims('scopes') scopes: readonly string[],
    @Claims('agentId', { transform: (value: unknown) => `piped ${String(value)}` }) agentId: string,
  ) {
    return { sub, scopes, agentId };
  }

  @Get('open')
  @Public()
  open(@Claims('sub') sub: string | undefined) {
    return { sub: sub ?? null };
  }
}

describe.each(platforms)('request.user on %s', (platform) => {
  test('9.17a, 10.14d: never overwritten, and claims by their name', async () => {
    const authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    const app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ issuer, resource: RESOURCE, devMode: true })],
        controllers: [UserController],
        providers: [
          { provide: APP_GUARD, useClass: AccountGuard },
          { provide: APP_GUARD, useExisting: AuthplaneGuard },
        ],
      },
      { platform },
    );
    const claims = { aud: [RESOURCE], sub: 'alice', client_id: 'client-1', scope: 'a b' };
    const token = await authorizationServer.issueToken(claims);
    const get = async (path: string) => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`${app.url}/${path}`, { headers })).json();
    };
    expect(await get('user')).toEqual({ user: null, client: 'client-1' });
    expect(await get('user/own')).toEqual({ user: { id: 7 }, client: 'client-1' });
    expect(await get('user/member')).toEqual({
      sub: 'alice',
      scopes: ['a', 'b'],
      agentId: 'piped ',
    });
    expect(await get('user/open')).toEqual({ sub: null });
    await app.close();
    await authorizationServer.close();
  });
});

test('9.17a: for MCP-Nest it is on both requests, unless one has a value', () => {
  const claims = { sub: 'alice' };
  const caller = { claims } as unknown as Authentication;
  const raw: IncomingMessage & { user?: unknown } = new IncomingMessage(new Socket());
  const request: { raw: IncomingMessage; user?: unknown } = { raw };
  publishUser(request, caller);
  expect([request.user, raw.user]).toEqual([claims, claims]);
  const own: { user?: unknown } = { user: 'own' };
  publishUser({ raw: own as never }, caller);
  expect(own.user).toBe('own');
});
