import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClientName, walk } from '../../support/hosts/hosts-clients.js';
import { platforms } from '../../support/nest/start-app.js';
import { bearer, callTool, type Retrofitted, send } from '../../support/retrofits/attempts.js';
import { ownToken } from '../../support/retrofits/own-tokens.js';
import { apiKey, startWorkspaces } from '../../support/retrofits/workspaces.js';

describe.each(platforms)('12: as Twenty, a host name for each workspace, on %s', (platform) => {
  let app: Retrofitted;
  let acme: string;
  let globex: string;
  beforeAll(async () => {
    app = await startWorkspaces(platform);
    acme = `${app.origin}/mcp`;
    globex = acme.replace('127.0.0.1', 'localhost');
  });
  afterAll(() => app.close());

  const signed = (token: string) => ({ authorization: `Bearer ${token}` });

  test('no credential, a bad one: 401 with the challenge of that name, past the filter that catches all', async () => {
    for (const url of [acme, globex]) {
      const { origin } = new URL(url);
      const named = `resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`;
      for (const headers of [{}, signed('x.y.z'), signed(`${apiKey('acme')}x`)]) {
        const { status, challenge, text } = await callTool(url, headers, 'find');
        expect([status, challenge]).toEqual([401, expect.stringContaining(named)]);
        expect(text).not.toMatch(/aud|signature|kid/); // the reason is for the log
      }
      const document = await send(`${origin}/.well-known/oauth-protected-resource/mcp`, 'GET', {});
      expect(JSON.parse(document.text)).toMatchObject({ resource: url });
    }
  });

  test('a token, a key, a session: each works, for a member of that workspace', async () => {
    const session = ownToken({ type: 'ACCESS', sub: 'alice', workspace: 'acme' });
    const good = [
      [acme, await bearer(app, acme, 'records:read'), 'alice in acme'],
      [globex, await bearer(app, globex, 'records:read'), 'alice in globex'],
      [acme, signed(apiKey('acme')), 'key-1 in acme'],
      [acme, signed(session), 'alice in acme'],
    ] as const;
    for (const [url, headers, who] of good) {
      const { status, text } = await callTool(url, headers, 'find');
      expect([status, text]).toEqual([200, expect.stringContaining(`find: ${who}`)]);
    }
  });

  test('a scope that is missing: 403 with the scope, whichever credential it is', async () => {
    for (const headers of [await bearer(app, acme, 'records:read'), signed(apiKey('acme'))]) {
      const { status, challenge } = await callTool(acme, headers, 'create');
      expect([status, challenge]).toEqual([
        403,
        expect.stringContaining('error="insufficient_scope", scope="records:write"'),
      ]);
    }
  });

  test('another workspace: neither a token nor a key is good there, whatever Host says', async () => {
    const all = [await bearer(app, acme, 'records:read records:write'), signed(apiKey('acme'))];
    for (const headers of all) {
      expect((await callTool(globex, headers, 'find')).status).toBe(401);
      const { host } = new URL(globex);
      expect((await callTool(acme, { ...headers, host }, 'find')).status).toBe(401);
      const forwarded = { ...headers, 'x-forwarded-host': host };
      expect((await callTool(acme, forwarded, 'find')).text).toContain('in acme');
      const unknown = await callTool(acme, { ...headers, host: 'evil.example' }, 'find');
      expect([unknown.status, unknown.challenge]).toEqual([404, '']);
    }
  });

  test('whoever is no member any more: 403 without a challenge', async () => {
    const gone = [
      [acme, await bearer(app, acme, 'records:read', 'bob')],
      [acme, signed(apiKey('acme', 'key-0'))],
      [globex, signed(apiKey('globex', 'key-1'))],
      [acme, signed(ownToken({ type: 'ACCESS', sub: 'bob', workspace: 'acme' }))],
    ] as const;
    for (const [url, headers] of gone) {
      const { status, challenge } = await callTool(url, headers, 'find');
      expect([status, challenge]).toEqual([403, '']);
    }
  });

  test.each(['SDK v1', 'SDK v2 (2025 era)'] satisfies ClientName[])(
    '%s completes the flow at both names',
    async (client) => {
      for (const [mcpUrl, workspace] of [
        [acme, 'acme'],
        [globex, 'globex'],
      ] as const) {
        const { asked, result } = await walk(client, { ...app, mcpUrl }, 'create', {});
        expect(asked).toEqual(['records:read', expect.stringContaining('records:write')]);
        expect(JSON.stringify(result)).toContain(`create: alice in ${workspace}`);
      }
    },
  );
});
