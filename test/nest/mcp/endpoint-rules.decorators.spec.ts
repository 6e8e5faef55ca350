/** Rules against real servers: what a handler gets is what its rule was asked about. */
import { afterEach, describe, expect, test } from 'vitest';
import { platforms } from '../../support/nest/start-app.js';
import { type HostName, type McpApp, request, startMcpApp } from '../../support/nest/mcp-app.js';

let running: McpApp | undefined;
afterEach(() => running?.close());

const SPELLINGS = [
  'calendar://days/private',
  ' calendar://days/private',
  'CALENDAR://days/private',
  'calendar://days/pri\nvate',
  'calendar://days/%70rivate',
  'calendar://days/x/../private',
];

const HOSTS: readonly HostName[] = ['SDK v1 with JSON answers', 'SDK v1 with sessions', 'SDK v2'];

describe.each(platforms)('9.9c: on %s', (platform) => {
  test.each(HOSTS)('%s: no spelling passes a rule that compares', async (host) => {
    const { post, runs } = (running = await startMcpApp({
      platform,
      host,
      mcp: {
        resources: {
          'calendar://days/{day}': ({ variables }) => (variables['day'] === 'private' ? ['x'] : []),
          'calendar://{+path}': ({ uri }) => (uri === 'calendar://days/private' ? ['y'] : []),
        },
      },
    }));
    for (const uri of SPELLINGS) {
      const refused = await post(request('resources/read', { uri }));
      expect(refused.status).toBe(403);
      expect(refused.headers.get('www-authenticate')).toMatch(/scope="(?:x y|y x)"/);
      expect((await post(request('resources/read', { uri }), { scope: 'x' })).status).toBe(403);
    }
    expect(runs).toEqual([]);
    const sent = await post(request('resources/read', { uri: 'calendar://days/today' }));
    if (host !== 'SDK v1 with sessions') expect(runs).toEqual(['calendar://days/today']);
    expect(sent.status).not.toBe(403);
  });
});
