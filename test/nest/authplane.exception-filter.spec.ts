import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServerResponse } from 'node:http';
import { Controller, Get, Param, Res } from '@nestjs/common';
import {
  AuthplaneModule,
  ConsentRequiredError,
  InvalidGrantError,
  MetadataFetchError,
  Public,
} from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { platforms, type RunningApp, startApp } from '../support/nest/start-app.js';

const refusal = { statusCode: 400, error: 'consent_required' };
let issuer = '';

const failures: Readonly<Record<string, () => Error>> = {
  'of-the-issuer': () =>
    new ConsentRequiredError('x', { ...refusal, consentUrl: `${issuer}/connect/google` }),
  'of-an-allowed-origin': () =>
    new ConsentRequiredError('x', { ...refusal, consentUrl: 'https://connect.example.com/google' }),
  'of-another-origin': () =>
    new ConsentRequiredError('x', { ...refusal, consentUrl: 'https://evil.example.com/google' }),
  'not-a-page': () =>
    new ConsentRequiredError('x', { ...refusal, consentUrl: 'javascript:alert(1)' }),
  'without-page': () => new ConsentRequiredError('x', refusal),
  'other-refusal': () => new InvalidGrantError('x', { statusCode: 400, error: 'invalid_grant' }),
  unavailable: () => new MetadataFetchError('x', { retryAfterSeconds: 7 }),
};

@Controller()
@Public()
class FailingController {
  @Get('fail/:name')
  fail(@Param('name') name: string) {
    throw failures[name]?.() ?? new Error('no such failure');
  }

  @Get('stream')
  stream(@Res() reply: ServerResponse & { raw?: ServerResponse; hijack?(): void }) {
    reply.hijack?.();
    (reply.raw ?? reply).writeHead(200, { 'Content-Type': 'text/plain' }).write('begun');
    throw new MetadataFetchError('x');
  }
}

describe.each(platforms)('AuthplaneExceptionFilter on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;

  beforeEach(async () => {
    authorizationServer = await startAuthorizationServer();
    issuer = authorizationServer.issuer;
    app = await startApp(
      {
        imports: [
          AuthplaneModule.forRoot({
            issuer,
            resource: 'http://127.0.0.1:3000/mcp',
            devMode: true,
            guard: 'global',
            consent: { pageOrigins: ['https://connect.example.com'] },
          }),
        ],
        controllers: [FailingController],
      },
      { platform },
    );
  });

  afterEach(async () => {
    await app.close();
    await authorizationServer.close();
  });

  const consentRequired = {
    error: 'consent_required',
    error_description: 'The user has to give consent for the service behind this operation',
  };

  it.each([
    ['of-the-issuer', () => `${issuer}/connect/google`],
    ['of-an-allowed-origin', () => 'https://connect.example.com/google'],
  ])('T50: a missing consent is a 403 that names the page %s', async (name, page) => {
    const response = await fetch(`${app.url}/fail/${name}`);
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toBeNull();
    expect(await response.json()).toEqual({ ...consentRequired, consent_url: page() });
  });

  it.each(['of-another-origin', 'not-a-page', 'without-page'])(
    'T50: a missing consent whose page is %s is a 403 that names none',
    async (name) => {
      const response = await fetch(`${app.url}/fail/${name}`);
      expect(response.status).toBe(403);
      expect(await response.json()).toEqual(consentRequired);
    },
  );

  it('9.16: another refusal of the authorization server is a 500 without details', async () => {
    const response = await fetch(`${app.url}/fail/other-refusal`);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ error: 'internal_error' });
  });

  it('an authorization server that is away is a 503 with Retry-After, also for a call of ours', async () => {
    const response = await fetch(`${app.url}/fail/unavailable`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('7');
    expect(await response.json()).toEqual({ error: 'temporarily_unavailable' });
  });

  it('ends a stream that has begun, because its status cannot be changed any more', async () => {
    const response = await fetch(`${app.url}/stream`);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('begun');
  });
});
