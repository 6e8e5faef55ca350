/** The application is asked for the key, the tenant and the user of a request: nobody else waits for an answer that is late. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { platforms } from '../../support/nest/start-app.js';
import { startTenantsApp, type TenantsApp } from '../../support/nest/tenants-app.js';
import { holdTimers } from '../../support/time/held-timers.js';

const DEADLINE_MS = 5000;
const never = () => new Promise<never>(() => undefined);
const soon = () => new Promise((resolve) => setTimeout(resolve, 100));

/** What a lookup does with a name, by how the name begins. */
async function lookedUp<T>(name: string, found: T): Promise<T> {
  if (name.startsWith('hang')) return never();
  if (name.startsWith('throw')) throw new Error('the database is away');
  if (name.startsWith('slow')) await soon();
  return found;
}

describe.each(platforms)('12: lookups on %s', (platform) => {
  let app: TenantsApp;
  beforeEach(async () => {
    app = await startTenantsApp(
      (port) => ({
        baseUrl: `http://127.0.0.1:${port}`,
        mcpPath: '/mcp/:profile',
        isResource: ({ profile = '' }) => lookedUp(profile, true),
        otherCredentials: ({ headers }) => {
          const key = headers['x-api-key'];
          const caller = { method: 'api_key', sub: 'bob', scopes: ['mcp:use'] };
          return typeof key === 'string' ? lookedUp(key, caller) : undefined;
        },
        user: ({ sub }) => lookedUp(sub, { sub }),
      }),
      { platform },
    );
  });
  afterEach(() => app.close());

  const ask = async (profile: string, { key, sub }: { key?: string; sub?: string }) => {
    const uri = `http://127.0.0.1:${app.port}/mcp/${profile}`;
    const { status, headers, text, challenge } = await app.ask({
      path: `/mcp/${profile}/about`,
      ...(key === undefined ? {} : { headers: { 'x-api-key': key } }),
      ...(sub === undefined ? {} : { token: await app.token(uri, { sub }) }),
    });
    const retryAfter = headers['retry-after'];
    return { status, retryAfter, text, challenge };
  };

  test('one that hangs, throws or is slow: 503, or what it says in the end, and nobody else waits', async () => {
    const deadlines = holdTimers(DEADLINE_MS);
    const hanging = Promise.all([
      ask('hang-1', { sub: 'alice' }),
      ask('acme', { key: 'hang-1' }),
      ask('acme', { sub: 'hang-1' }),
    ]);
    const throwing = await Promise.all([
      ask('throw-1', { sub: 'alice' }),
      ask('acme', { key: 'throw-1' }),
      ask('acme', { sub: 'throw-1' }),
    ]);
    const others = Array.from({ length: 60 }, (_, at) =>
      at % 2 === 0 ? ask('acme', { key: 'key-1' }) : ask('globex', { sub: `user-${at}` }),
    );
    const slow = [
      ask('slow-1', { sub: 'alice' }),
      ask('acme', { key: 'slow-1' }),
      ask('acme', { sub: 'slow-1' }),
    ];
    const served = await Promise.all([...others, ...slow]);
    expect(served.map(({ status }) => status)).toEqual(served.map(() => 200));
    await deadlines.fire(3); // those that hang still do
    const refused = [...throwing, ...(await hanging)];
    for (const { status, retryAfter, challenge, text } of refused) {
      expect([status, retryAfter, challenge]).toEqual([503, '5', undefined]);
      expect(JSON.parse(text)).toEqual({ error: 'temporarily_unavailable' });
    }
  });
});
