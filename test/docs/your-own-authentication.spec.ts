/** The recipes of docs/your-own-authentication.md are the files that run here. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ModuleRef } from '@nestjs/core';
import { codeBlocks } from '../support/docs/markdown.js';
import { call, type McpApp, startMcpApp } from '../support/nest/mcp-app.js';
import { platforms } from '../support/nest/start-app.js';
import { ApiKeys } from '../support/callers/recipes/api-keys.js';
import { SignedIn } from '../support/callers/recipes/auth-service.js';
import {
  CredentialsModule,
  keys,
  SECRET,
  sessions,
  signedIn,
} from '../support/callers/recipes/credentials.module.js';
import { Users } from '../support/callers/recipes/users.js';
import { Sessions } from '../support/callers/recipes/sessions.js';

const PAGE = 'docs/your-own-authentication.md';
const RECIPES = 'test/support/callers/recipes';
/** What stands in for the rest of the application. */
const STAND_INS = ['credentials.module.ts'];

test('12.1: every recipe stands on the page as it runs here', () => {
  const blocks = codeBlocks(PAGE).map(({ code }) => code);
  const recipes = readdirSync(RECIPES).filter((name) => !STAND_INS.includes(name));
  expect(recipes.length).toBeGreaterThan(2);
  for (const name of recipes) expect(blocks).toContain(readFileSync(join(RECIPES, name), 'utf8'));
});

describe.each(platforms)('12.1: the recipes on %s', (platform) => {
  let running: McpApp;
  let modules: ModuleRef;

  beforeAll(async () => {
    keys.set('rf_abc', { id: 'k1', userId: 'bob', scopes: ['notes:read'] });
    keys.set('rf_old', { id: 'k2', userId: 'bob', scopes: [], expiresAt: 1 });
    sessions.set('one', { passport: { user: 'carol' }, cookie: { expires: '2099-01-01' } });
    sessions.set('ended', { passport: { user: 'carol' }, cookie: { expires: '2001-01-01' } });
    sessions.set('nobody', {});
    signedIn.set('two', { user: 'dave', expiresAt: new Date('2099-01-01') });
    const of = <T>(type: abstract new (...args: never[]) => T): T =>
      modules.get(type as never, { strict: false });
    running = await startMcpApp({
      platform,
      mcp: { tools: { read: ['notes:read'], write: ['notes:write'] } },
      options: {
        guard: 'global',
        user: { load: (claims) => of(Users).of(claims), cacheSeconds: 30 },
        otherCredentials: async (request) => {
          return (
            (await of(ApiKeys).ofHeader(request)) ??
            (await of(ApiKeys).ofAuthorization(request)) ??
            (await of(Sessions).ofCookie(request)) ??
            of(SignedIn).ofCookie(request)
          );
        },
      },
      metadata: { imports: [CredentialsModule] },
    });
    modules = running.app.app.get(ModuleRef);
  });
  afterAll(() => running.close());

  const status = async (tool: string, headers: Record<string, string>) =>
    (await running.post(call(tool), { scope: null, headers })).status;

  test.each([{ 'x-api-key': 'rf_abc' }, { authorization: 'Bearer rf_abc' }])(
    'an API key: %j',
    async (headers) => {
      expect(await status('read', headers)).toBe(200);
      expect(await status('write', headers)).toBe(403);
    },
  );

  test('an API key that nobody knows, or that has ended', async () => {
    expect(await status('read', { 'x-api-key': 'rf_no' })).toBe(401);
    expect(await status('open', { authorization: 'Bearer rf_no' })).toBe(401);
    expect(await status('open', { 'x-api-key': 'rf_old' })).toBe(401);
  });

  test('a session of express-session, with Passport', async () => {
    const page = { 'sec-fetch-site': 'same-origin' };
    const signed = (id: string, secret = SECRET) => {
      const signature = createHmac('sha256', secret).update(id).digest('base64').replace(/=+$/, '');
      return { cookie: `a=b; connect.sid=${encodeURIComponent(`s:${id}.${signature}`)}` };
    };
    expect(await status('write', { ...signed('one'), ...page })).toBe(200);
    expect(await status('write', signed('one'))).toBe(403); // no page of ours
    expect(await status('write', { ...signed('one', 'forged'), ...page })).toBe(401);
    expect(await status('write', { ...signed('ended'), ...page })).toBe(401);
    expect(await status('write', { ...signed('nobody'), ...page })).toBe(401);
    expect(await status('write', { cookie: 'connect.sid=s%3Aone', ...page })).toBe(401);
  });

  test('a session of an authentication library', async () => {
    const cookie = { cookie: 'better-auth.session_token=two' };
    expect(await status('write', { ...cookie, 'sec-fetch-site': 'none' })).toBe(200);
    expect(await status('write', { ...cookie, origin: 'https://evil.example.com' })).toBe(403);
    const stale = { cookie: 'better-auth.session_token=old' };
    expect(await status('write', { ...stale, 'sec-fetch-site': 'none' })).toBe(401);
    const token = { ...stale, authorization: await running.bearer('notes:write') };
    expect(await status('write', token)).toBe(200);
  });

  test('a row of a table', async () => {
    const me = (headers: Record<string, string>) =>
      fetch(running.mcpUrl.replace('/mcp', '/me'), { headers });
    const answer = await me({ 'x-api-key': 'rf_abc' });
    expect(await answer.json()).toEqual({ roles: ['editor'], greeting: 'you are number 7' });
    expect((await me({ authorization: await running.bearer('', { sub: 'gone' }) })).status).toBe(
      403,
    );
  });
});
