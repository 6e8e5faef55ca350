import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClientName, walk } from '../../support/hosts/hosts-clients.js';
import { platforms } from '../../support/nest/start-app.js';
import { bearer, callTool, type Retrofitted, send } from '../../support/retrofits/attempts.js';
import { startProfiles } from '../../support/retrofits/profiles.js';

describe.each(platforms)('12: as local-mcp-gateway, a URL for each profile, on %s', (platform) => {
  let app: Retrofitted;
  const at = (profile: string) => `${app.origin}/api/mcp/${profile}`;
  beforeAll(async () => {
    app = await startProfiles(platform);
  });
  afterAll(() => app.close());

  const session = (sub: string) => ({
    cookie: `theme=dark; better-auth.session_token=${sub}`,
    'sec-fetch-site': 'same-origin',
  });

  test('no credential, a bad one: 401, and the metadata of the profile', async () => {
    const metadataUrl = `${app.origin}/.well-known/oauth-protected-resource/api/mcp/acme/dev`;
    const bad = [
      {},
      { authorization: 'Bearer x.y.z' },
      { authorization: 'Bearer lmg_mallory' },
      session('ended'),
    ];
    for (const headers of bad) {
      const { status, challenge } = await callTool(at('acme/dev'), headers, 'run');
      expect([status, challenge]).toEqual([401, expect.stringContaining(metadataUrl)]);
      const stream = await send(`${at('acme/dev')}/events`, 'GET', headers);
      expect(stream.status).toBe(401);
    }
    const document = await send(metadataUrl, 'GET', {});
    expect(JSON.parse(document.text)).toMatchObject({ resource: at('acme/dev') });
  });

  test('a token, an own token, a session: each works, and the handlers find the user', async () => {
    const good = [
      [await bearer(app, at('globex/dev'), 'tools:use', 'bob'), 2],
      [{ authorization: 'Bearer lmg_bob' }, 2],
      [session('alice'), 1],
    ] as const;
    for (const [headers, id] of good) {
      const { status, text } = await callTool(at('globex/dev'), headers, 'run');
      expect([status, text]).toEqual([
        200,
        expect.stringContaining(`run for ${id} (${id}) at /api/mcp/globex/dev`),
      ]);
    }
  });

  test('a session of another page, or beside a token: the page is refused, the token counts', async () => {
    const foreign = { ...session('alice'), 'sec-fetch-site': 'cross-site' };
    expect((await callTool(at('acme/dev'), foreign, 'run')).status).toBe(403);
    const token = await bearer(app, at('globex/dev'), 'tools:use', 'bob');
    const { text } = await callTool(at('globex/dev'), { ...session('alice'), ...token }, 'run');
    expect(text).toContain('run for 2 (2)');
  });

  test('a scope that is missing: 403 with the scope, whichever credential it is', async () => {
    const token = await bearer(app, at('acme/dev'), 'tools:use');
    for (const headers of [token, { authorization: 'Bearer lmg_alice' }]) {
      const { status, challenge } = await callTool(at('acme/dev'), headers, 'reset');
      expect([status, challenge]).toEqual([403, expect.stringContaining('scope="tools:admin"')]);
    }
    expect((await callTool(at('acme/dev'), session('alice'), 'reset')).status).toBe(200);
  });

  test('another tenant: a token is for one profile, and its guard asks for the membership', async () => {
    const token = await bearer(app, at('acme/dev'), 'tools:use');
    expect((await callTool(at('acme/dev'), token, 'run')).status).toBe(200);
    for (const other of ['acme/ops', 'globex/dev'])
      expect((await callTool(at(other), token, 'run')).status).toBe(401);
    const foreign = [
      await bearer(app, at('acme/dev'), 'tools:use', 'bob'),
      { authorization: 'Bearer lmg_bob' },
      session('bob'),
    ];
    for (const headers of foreign) {
      const { status, text } = await callTool(at('acme/dev'), headers, 'run');
      expect([status, text]).toEqual([403, expect.stringContaining('no member')]);
    }
    for (const unknown of ['acme/none', 'none/dev', 'acme/%64ev'])
      expect((await callTool(at(unknown), token, 'run')).status).toBe(404);
  });

  test('whoever is gone: 403 without a challenge, before any guard of the application', async () => {
    for (const headers of [
      await bearer(app, at('acme/dev'), 'tools:use', 'gone'),
      { authorization: 'Bearer lmg_gone' },
      session('gone'),
    ]) {
      const { status, challenge, text } = await callTool(at('acme/dev'), headers, 'run');
      expect([status, challenge]).toEqual([403, '']);
      expect(text).toContain('access_denied');
    }
  });

  test('what else is mounted at /.well-known stays there', async () => {
    const { text } = await send(`${app.origin}/.well-known/openid-configuration`, 'GET', {});
    expect(text).toContain('of the sessions');
  });

  test.each(['SDK v1', 'SDK v2 (2025 era)'] satisfies ClientName[])(
    '%s completes the flow at two profiles',
    async (client) => {
      for (const profile of ['acme/dev', 'globex/dev']) {
        const server = { ...app, mcpUrl: at(profile) };
        const { asked, result } = await walk(client, server, 'reset', {});
        expect(asked).toEqual(['tools:use', expect.stringContaining('tools:admin')]);
        expect(JSON.stringify(result)).toContain(`reset for 1 (1) at /api/mcp/${profile}`);
      }
    },
  );
});
