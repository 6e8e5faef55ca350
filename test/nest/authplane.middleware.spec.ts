import { afterEach, describe, expect, test } from '@jest/globals';
import { type Caller, type Message, RawClient } from '../support/hosts/hosts-requests.js';
import {
  type MountedServer,
  type MountName,
  mounts,
  servers,
  startMounted,
} from '../support/hosts/mounted-hosts.js';

let server: MountedServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

const READ = 'notes:read';
const call = (name: string, args: object = {}): Message => ({
  method: 'tools/call',
  params: { name, arguments: args },
});
const names = Object.keys(mounts) as MountName[];

describe.each(names)('12.5: %s', (mount) => {
  test.each(Object.entries(servers).filter(([name]) => !name.includes('sessions')))(
    '%s: no token, a bad one, too few scopes, enough, a batch: refused before dispatch, as behind the guard',
    async (_, host) => {
      server = await startMounted(mount, host);
      const raw = new RawClient(server, '2025');
      const send = (message: Message, caller: Caller) => raw.send(message, caller);

      const none = await send(call('read'), { scope: null });
      expect([none.status, none.headers.get('content-type')]).toEqual([
        401,
        'application/json; charset=utf-8',
      ]);
      expect(none.headers.get('www-authenticate')).toContain(
        `resource_metadata="${new URL(server.mcpUrl).origin}/.well-known/oauth-protected-resource/mcp"`,
      );
      expect(none.headers.get('www-authenticate')).toContain(`scope="${READ}"`);
      expect(none.message).toMatchObject({ id: 1, error: { code: -32003 } });

      const bad = await send(call('read'), {
        scope: READ,
        headers: { authorization: 'Bearer x.y.z' },
      });
      expect(bad.status).toBe(401);

      const lacking = await send(call('write'), { scope: READ });
      expect(lacking.status).toBe(403);
      expect(lacking.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
      expect(lacking.headers.get('www-authenticate')).toContain('notes:write');

      const batch = await raw.batch([call('read'), call('write')], { scope: READ });
      expect([batch.status, server.runs]).toEqual([403, []]);

      const good = await send(call('read'), { scope: READ });
      expect([good.status, good.text]).toEqual([200, expect.stringContaining('read for alice')]);
      expect(server.runs).toEqual(['alice read']);
    },
  );
});

describe.each(names)('12.5: %s, sessions and lists', (mount) => {
  test('lists do not name what the caller may not use, and calling it is as calling nothing', async () => {
    server = await startMounted(mount, servers['SDK v1'], {
      mcp: { tools: { read: [READ], write: ['notes:write'] }, list: 'hide' },
    });
    const raw = new RawClient(server, '2025');
    const list = await raw.send({ method: 'tools/list' }, { scope: READ });
    expect(list.text).toContain('"read"');
    expect(list.text).not.toContain('"write"');
    const [hidden, unknown] = [
      await raw.send(call('write'), { scope: READ }),
      await raw.send(call('nope'), { scope: READ }),
    ];
    expect([hidden.status, hidden.text.replaceAll('write', 'nope')]).toEqual([
      unknown.status,
      unknown.text,
    ]);
    expect(server.runs).toEqual([]);
  });

  test('a session is of whoever has opened it', async () => {
    server = await startMounted(mount, servers['SDK v1 with sessions']);
    const raw = new RawClient(server, '2025');
    await raw.openSession({ scope: READ, user: 'alice' });
    expect((await raw.send(call('read'), { scope: READ, user: 'bob' })).status).toBe(404);
    expect(await raw.bodiless('GET', { scope: READ, user: 'bob' })).toBe(404);
    expect((await raw.send(call('read'), { scope: READ, user: 'alice' })).status).toBe(200);
    expect(server.runs).toEqual(['alice read']);
  });

  test('a page of another origin is refused', async () => {
    server = await startMounted(mount, servers['SDK v1']);
    const raw = new RawClient(server, '2025');
    const headers = { origin: 'https://evil.example' };
    expect((await raw.send(call('free'), { scope: READ, headers })).status).toBe(403);
    expect(server.runs).toEqual([]);
  });
});
