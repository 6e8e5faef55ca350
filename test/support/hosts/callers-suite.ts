import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MemoryOAuthProvider } from '../../../sample-app/walk/memory-oauth-provider.js';
import type { Platform } from '../nest/start-app.js';
import { type InstalledServer, startInstalled } from '../package/installed-app.js';
import { PROJECT } from '../package/packed-package.js';
import { type ClientName, clients } from './hosts-clients.js';
import { type Caller, type Message, RawClient } from './hosts-requests.js';

const WRITE = 'notes:write';

interface CallersTraits {
  /** Where the application is installed and compiled. */
  readonly app: () => string;
  readonly platform: Platform;
  readonly clients: readonly ClientName[];
  readonly sessions?: boolean;
  /** It takes arrays of messages, as 2025-03-26 has it; else it runs nothing of them. */
  readonly batches: boolean;
}

interface Started extends InstalledServer {
  /** Who has run what since this was asked last. */
  ran(): Promise<string[]>;
}

/** Puts the sources of the application there, to be compiled with the others. */
export function addCallersApp(app: string, host: 'mcp-nest-1' | 'mcp-nestjs'): void {
  const sources = join(PROJECT, 'test/package/matrix/callers');
  const directory = join(app, 'src/callers');
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(sources, 'rules.ts.txt'), join(directory, 'rules.ts'));
  copyFileSync(join(sources, `${host}.ts.txt`), join(directory, 'main.ts'));
}

const call = (name: string, args: object = {}): Message => ({
  method: 'tools/call',
  params: { name, arguments: args },
});
const members: Message = { method: 'resources/read', params: { uri: 'notes://members' } };
const plan: Message = { method: 'prompts/get', params: { name: 'plan' } };
const nobody: Caller = { scope: null };

/** Rules and free tools, on the real host: for raw requests and for the clients of both SDKs. */
export function describeCallers(name: string, traits: CallersTraits): void {
  const { platform, sessions = false } = traits;

  describe.each(['show', 'hide'] as const)(`12.3, 12.6: ${name}, list: %s`, (list) => {
    let server: Started;
    beforeAll(async () => {
      server = await start(traits.app(), platform, { MCP_LIST: list, MCP_SESSIONS: `${sessions}` });
    });
    afterAll(() => server.close());
    beforeEach(async () => {
      await server.ran();
    });

    /** In a session of that caller, where there are sessions. */
    const connected = async (caller: Caller) => {
      const raw = new RawClient(server, '2025');
      if (sessions) await raw.openSession(caller);
      return raw;
    };
    const send = async (message: Message, caller: Caller) =>
      (await connected(caller)).send(message, caller);
    const sendAll = async (messages: readonly Message[], caller: Caller) =>
      (await connected(caller)).batch(messages, caller);

    test('nobody runs what is free, and is asked for a token for all the rest', async () => {
      const free = await send(call('free'), nobody);
      expect([free.status, free.text]).toEqual([200, expect.stringContaining('nobody free')]);
      expect((await send({ method: 'tools/list' }, nobody)).text).toContain('"free"');
      const asked = list === 'hide' ? [] : [call('write'), call('ruled', { draft: true })];
      for (const message of [...asked, call('own', { of: '' }), members, plan]) {
        const { status, headers } = await send(message, nobody);
        expect([message, status]).toEqual([message, 401]);
        expect(headers.get('www-authenticate')).toContain('resource_metadata="');
      }
      expect(await server.ran()).toEqual(['nobody free']);
    });

    test('a credential that is sent is verified, and the caller is its own', async () => {
      const raw = new RawClient(server, '2025');
      for (const headers of [{ authorization: 'Bearer x.y.z' }, { 'x-api-key': 'other' }])
        expect((await raw.send(call('free'), { scope: null, headers })).status).toBe(401);
      const key = { scope: null, headers: { 'x-api-key': 'key-bob' } };
      expect((await send(call('free'), { scope: '' })).status).toBe(200);
      expect((await send(call('free'), key)).status).toBe(200);
      expect((await raw.send(call('free'), { scope: '', user: 'gone' })).status).toBe(403);
      expect(await server.ran()).toEqual(['alice free', 'bob free']);
    });

    test('@Allow of a tool, a resource and a prompt: by arguments and user, 403 without a challenge', async () => {
      const bob = { scope: WRITE, user: 'bob' };
      for (const message of [call('own', { of: 'alice' }), members, plan]) {
        const refused = await send(message, bob);
        expect([message, refused.status]).toEqual([message, 403]);
        expect(refused.headers.get('www-authenticate')).toBeNull();
        expect(refused.text).toContain('access_denied');
      }
      expect(await server.ran()).toEqual([]);
      for (const message of [call('own', { of: 'alice' }), members, plan])
        expect((await send(message, { scope: '' })).status).toBe(200);
      expect(await server.ran()).toEqual(['alice own', 'alice members', 'alice plan']);
    });

    test('an asynchronous scope rule: 403 that names the scope, before anything runs', async () => {
      const refused = await send(call('ruled'), { scope: '' });
      if (list === 'show') {
        expect(refused.status).toBe(403);
        expect(refused.headers.get('www-authenticate')).toContain(`scope="${WRITE}"`);
      }
      expect(await server.ran()).toEqual([]);
      expect((await send(call('ruled', { draft: true }), { scope: '' })).status).toBe(200);
      expect((await send(call('ruled'), { scope: WRITE })).status).toBe(200);
      expect(await server.ran()).toEqual(['alice ruled', 'alice ruled']);
    });

    test('of a batch every element is judged, before any of them runs', async () => {
      const bad: readonly (readonly [number, Caller, Message])[] = [
        [401, nobody, call('own', { of: '' })],
        [401, nobody, members],
        [403, { scope: '' }, call('own', { of: 'bob' })],
        [403, { scope: '', user: 'bob' }, plan],
      ];
      const shown = [
        [401, nobody, call('write')],
        [401, nobody, call('ruled', { draft: true })],
        [403, { scope: '' }, call('ruled')],
      ] as const;
      for (const [status, caller, message] of list === 'show' ? [...bad, ...shown] : bad) {
        for (const batch of [
          [call('free'), message],
          [message, call('free')],
        ])
          expect([batch, (await sendAll(batch, caller)).status]).toEqual([batch, status]);
      }
      expect(await server.ran()).toEqual([]);
      expect((await sendAll([call('free'), call('free')], nobody)).status).toBe(200);
      const both = [call('own', { of: 'alice' }), call('ruled', { draft: true })];
      expect((await sendAll(both, { scope: '' })).status).toBe(200);
      const ran = await server.ran();
      const all = ['alice own', 'alice ruled', 'nobody free', 'nobody free'];
      expect(ran.sort()).toEqual(traits.batches ? all : []);
    });

    if (list === 'hide') {
      test('the list is of the caller, and what is not in it is answered as if there were none', async () => {
        const listed = async (caller: Caller) => {
          const { text } = await send({ method: 'tools/list' }, caller);
          return [...text.matchAll(/"name":"(\w+)"/g)].map(([, tool]) => tool).sort();
        };
        expect(await listed(nobody)).toEqual(['free', 'own']);
        expect(await listed({ scope: WRITE })).toEqual(['free', 'own', 'ruled', 'write']);
        for (const hidden of ['write', 'ruled']) {
          const answer = await send(call(hidden), nobody);
          const unknown = await send(call('nothing'), nobody);
          expect([answer.status, answer.text.replaceAll(hidden, 'nothing')]).toEqual([
            unknown.status,
            unknown.text,
          ]);
        }
        expect(await server.ran()).toEqual([]);
      });
    } else {
      test.each(traits.clients)('%s uses what is free, and then signs in', async (client) => {
        const provider = new MemoryOAuthProvider('http://127.0.0.1:1/callback');
        const connection = clients[client](server.mcpUrl, provider);
        try {
          await connection.connect();
          const free = await connection.callTool('free', {});
          expect(JSON.stringify(free)).toContain('nobody free');
          await expect(connection.callTool('write', {})).rejects.toThrow();
          const asked = provider.authorizationUrl;
          expect(asked?.searchParams.get('scope')).toBe(WRITE);
          const approved = await server.authorizationServer.approve(asked ?? new URL(''), {
            user: 'alice',
          });
          await connection.finishAuth(approved);
          const results = [
            await connection.callTool('write', {}),
            await connection.callTool('own', { of: 'alice' }),
            await connection.callTool('ruled', {}),
            await connection.callTool('free', {}),
          ];
          for (const [at, tool] of ['write', 'own', 'ruled', 'free'].entries())
            expect(JSON.stringify(results[at])).toContain(`alice ${tool}`);
          await expect(connection.callTool('own', { of: 'bob' })).rejects.toThrow();
        } finally {
          await connection.close();
        }
      });
    }
  });
}

async function start(
  app: string,
  platform: Platform,
  env: Readonly<Record<string, string>>,
): Promise<Started> {
  const server = await startInstalled(join(app, 'dist/callers/main.js'), platform, {
    env,
    authorizationServer: () => ({ issueRefreshTokens: false }),
  });
  let known = 0;
  const ran = async () => {
    const all = (await (await fetch(`${server.origin}/ran`)).json()) as string[];
    return all.slice(known, (known = all.length));
  };
  return { ...server, ran };
}
