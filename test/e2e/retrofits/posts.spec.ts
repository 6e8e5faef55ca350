import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClientName, clients, walk } from '../../support/hosts/hosts-clients.js';
import { platforms } from '../../support/nest/start-app.js';
import {
  bearer,
  callTool,
  listTools,
  type Retrofitted,
  send,
} from '../../support/retrofits/attempts.js';
import { startPosts } from '../../support/retrofits/posts.js';

describe.each(platforms)('12: as Postiz mounts it, with app.use, on %s', (platform) => {
  let app: Retrofitted;
  let oauth: string;
  let directory: string;
  let withKeys: string;
  beforeAll(async () => {
    app = await startPosts(platform);
    oauth = `${app.origin}/mcp-oauth`;
    directory = `${app.origin}/mcp-oauth-directory`;
    withKeys = `${app.origin}/mcp`;
  });
  afterAll(() => app.close());

  const all = 'posts:read posts:write';

  test('no credential, a bad one: 401 that names the metadata of that endpoint', async () => {
    for (const url of [oauth, directory]) {
      const { pathname } = new URL(url);
      const metadata = `resource_metadata="${app.origin}/.well-known/oauth-protected-resource${pathname}"`;
      const none = await callTool(url, {}, 'list_posts');
      expect([none.status, none.challenge]).toEqual([401, expect.stringContaining(metadata)]);
      for (const token of ['x.y.z', 'pos_mallory', 'key-acme']) {
        const bad = await callTool(url, { authorization: `Bearer ${token}` }, 'list_posts');
        expect([bad.status, bad.challenge]).toEqual([401, expect.stringContaining(metadata)]);
      }
    }
  });

  test('a token, and the token of an own app: each works, for its own organisation', async () => {
    const token = await bearer(app, oauth, all);
    expect((await callTool(oauth, token, 'list_posts')).text).toContain('acme opens');
    const posted = await callTool(oauth, token, 'schedule_post', { text: 'hello' });
    expect(posted.text).toContain('acme will post hello');
    const own = { authorization: 'Bearer pos_bob' };
    const { status, text } = await callTool(oauth, own, 'list_posts');
    expect([status, text]).toEqual([200, expect.stringContaining('globex closes')]);
    expect(text).not.toContain('acme');
  });

  test('a scope that is missing: 403, whichever credential it is', async () => {
    const read = await bearer(app, oauth, 'posts:read');
    for (const headers of [read, { authorization: 'Bearer pos_bob' }]) {
      const refused = await callTool(oauth, headers, 'schedule_post', { text: 'x' });
      expect(refused.status).toBe(403);
      expect(refused.challenge).toContain('error="insufficient_scope", scope="posts:write"');
    }
  });

  test('each endpoint has its tools, its tokens and its credentials', async () => {
    const there = await bearer(app, directory, all);
    expect((await listTools(directory, there)).text).not.toContain('schedule_post');
    expect((await callTool(directory, there, 'list_posts')).text).toContain('acme opens');
    expect((await callTool(oauth, there, 'list_posts')).status).toBe(401);
    const own = { authorization: 'Bearer pos_bob' };
    expect((await callTool(directory, own, 'list_posts')).status).toBe(401);
  });

  test('whoever has no organisation any more: 403 without a challenge', async () => {
    for (const url of [oauth, directory]) {
      const gone = await callTool(url, await bearer(app, url, all, 'gone'), 'list_posts');
      expect([gone.status, gone.challenge]).toEqual([403, '']);
      expect(gone.text).toContain('access_denied');
    }
    const own = await callTool(oauth, { authorization: 'Bearer pos_gone' }, 'list_posts');
    expect([own.status, own.challenge]).toEqual([403, '']);
  });

  test('the endpoints for API keys are left alone, and nobody takes them for OAuth', async () => {
    const key = { authorization: 'Bearer key-globex' };
    expect((await callTool(withKeys, key, 'list_posts')).text).toContain('globex closes');
    expect((await callTool(`${withKeys}/key-acme`, {}, 'list_posts')).text).toContain('acme opens');
    const token = await bearer(app, oauth, all);
    const unknown = await callTool(withKeys, token, 'list_posts');
    expect([unknown.status, unknown.challenge]).toEqual([401, '']);
    for (const path of ['', '/mcp']) {
      const url = `${app.origin}/.well-known/oauth-protected-resource${path}`;
      expect((await send(url, 'GET', {})).status).toBe(404);
    }
  });

  test.each(Object.keys(clients) as ClientName[])('%s completes the flow', async (client) => {
    const server = { ...app, mcpUrl: oauth };
    const { asked, result } = await walk(client, server, 'schedule_post', { text: 'hi' });
    expect(asked).toEqual(['posts:read', expect.stringContaining('posts:write')]);
    expect(JSON.stringify(result)).toContain('acme will post hi');
  });
});
