import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MemoryOAuthProvider } from '../../../sample-app/walk/memory-oauth-provider.js';
import { type ClientName, clients, walk } from '../../support/hosts/hosts-clients.js';
import { platforms } from '../../support/nest/start-app.js';
import {
  bearer,
  callTool,
  listTools,
  type Retrofitted,
  type SentHeaders,
} from '../../support/retrofits/attempts.js';
import { startCanvases } from '../../support/retrofits/canvases.js';
import { startGreetings } from '../../support/retrofits/greetings.js';
import { ownToken } from '../../support/retrofits/own-tokens.js';

const everyClient = Object.keys(clients) as ClientName[];

describe.each(platforms)('12: with tools of MCP-Nest 2 on %s', (platform) => {
  let ofCanvases: Retrofitted;
  let ofGreetings: Retrofitted;
  let canvases: string;
  let greetings: string;
  beforeAll(async () => {
    ofCanvases = await startCanvases(platform);
    ofGreetings = await startGreetings(platform);
    canvases = `${ofCanvases.origin}/canvases/mcp`;
    greetings = `${ofGreetings.origin}/greetings/mcp`;
  });
  afterAll(() => Promise.all([ofCanvases.close(), ofGreetings.close()]));

  const tokenFor = (aud: string, scope: string, sub?: string) =>
    bearer(aud === canvases ? ofCanvases : ofGreetings, aud, scope, sub);

  describe('as refly: keys and sessions beside OAuth, and a row for each user', () => {
    const session = (sub: string) => ownToken({ sub });
    const atPage = { 'sec-fetch-site': 'same-origin' };
    const all = 'canvas:read canvas:write';

    test('no credential, a bad one: 401 with the challenge, past a filter for everything', async () => {
      const bad: SentHeaders[] = [
        {},
        { authorization: 'Bearer x.y.z' },
        { authorization: 'Bearer rf_revoked' },
        { 'x-api-key': 'rf_revoked' },
        { 'x-api-key': 'other' },
        { cookie: `_rf_access=${session('alice')}x`, ...atPage },
      ];
      for (const headers of bad) {
        const { status, challenge } = await callTool(canvases, headers, 'list_canvases');
        expect([headers, status]).toEqual([headers, 401]);
        expect(challenge).toContain('/.well-known/oauth-protected-resource/canvases/mcp"');
      }
    });

    test('each good one works, and the tool finds the row at request.user', async () => {
      const good: SentHeaders[] = [
        await tokenFor(canvases, all, 'bob'),
        { 'x-api-key': 'rf_bob' },
        { authorization: 'Bearer rf_bob' },
        { authorization: `Bearer ${session('bob')}` },
        { cookie: `uid=1; _rf_access=${session('bob')}`, ...atPage },
      ];
      for (const headers of good) {
        const { status, text } = await callTool(canvases, headers, 'list_canvases');
        expect([status, text]).toEqual([200, expect.stringContaining('u-2 has c-2, as u-2 does')]);
      }
    });

    test('two credentials: 400; a cookie of another page: 403', async () => {
      const both = { ...(await tokenFor(canvases, all)), 'x-api-key': 'rf_bob' };
      expect((await callTool(canvases, both, 'list_canvases')).status).toBe(400);
      const foreign = { cookie: `_rf_access=${session('bob')}`, origin: 'https://evil.example' };
      expect((await callTool(canvases, foreign, 'list_canvases')).status).toBe(403);
    });

    test('a scope that is missing: 403 with the scope, for a token and for a key', async () => {
      const lacking = [await tokenFor(canvases, 'canvas:read'), { 'x-api-key': 'rf_alice' }];
      for (const headers of lacking) {
        const refused = await callTool(canvases, headers, 'delete_canvas', { id: 'c-1' });
        expect([refused.status, refused.challenge]).toEqual([
          403,
          expect.stringContaining('scope="canvas:write"'),
        ]);
      }
      const page = { authorization: `Bearer ${session('alice')}` };
      const { text } = await callTool(canvases, page, 'delete_canvas', { id: 'c-1' });
      expect(text).toContain('deleted c-1');
    });

    test('what belongs to another user, and a token for another resource', async () => {
      const callers = [await tokenFor(canvases, all), { 'x-api-key': 'rf_alice' }];
      for (const headers of callers) {
        const own = await callTool(canvases, headers, 'open_canvas', { id: 'c-1' });
        expect(own.text).toContain('this is c-1');
        const other = await callTool(canvases, headers, 'open_canvas', { id: 'c-2' });
        expect([other.status, other.challenge]).toEqual([403, '']);
      }
      const elsewhere = await bearer(ofCanvases, greetings, all);
      expect((await callTool(canvases, elsewhere, 'list_canvases')).status).toBe(401);
    });

    test('whoever is gone: 403 without a challenge, whichever credential it is', async () => {
      const gone = [
        await tokenFor(canvases, all, 'gone'),
        { 'x-api-key': 'rf_gone' },
        { authorization: `Bearer ${session('gone')}` },
        { cookie: `_rf_access=${session('gone')}`, ...atPage },
      ];
      for (const headers of gone) {
        const { status, challenge } = await callTool(canvases, headers, 'list_canvases');
        expect([status, challenge]).toEqual([403, '']);
      }
    });

    test.each(everyClient)('%s completes the flow', async (client) => {
      const { asked, result } = await walk(
        client,
        { ...ofCanvases, mcpUrl: canvases },
        'delete_canvas',
        {
          id: 'c-1',
        },
      );
      expect(asked).toEqual(['canvas:read', expect.stringContaining('canvas:write')]);
      expect(JSON.stringify(result)).toContain('deleted c-1');
    });
  });

  describe('as its example of public tools, scopes and roles', () => {
    const key = (name: string) => ({ 'x-api-key': `key-${name}` });
    const tools = (text: string) =>
      [...text.matchAll(/"name":"(hello\w*)"/g)].map(([, name]) => name).sort();

    test('nobody: sees and calls what is for everybody, and is asked to sign in for the rest', async () => {
      expect(tools((await listTools(greetings, {})).text)).toEqual(['hello']);
      const { status, text } = await callTool(greetings, {}, 'hello');
      expect([status, text]).toEqual([200, expect.stringContaining('hello you')]);
      for (const name of ['hello_again', 'hello_admin', 'hello_member']) {
        const { status: refused, challenge } = await callTool(greetings, {}, name);
        expect([name, refused]).toEqual([name, 401]);
        expect(challenge).toContain('/.well-known/oauth-protected-resource/greetings/mcp"');
      }
      // a mark of MCP-Nest alone is MCP-Nest's to ask for
      const premium = await callTool(greetings, {}, 'hello_premium');
      expect(premium.text).toContain('requires authentication');
    });

    test('a bad credential: 401, for what is for everybody, too', async () => {
      const bad: SentHeaders[] = [{ authorization: 'Bearer x.y.z' }, { 'x-api-key': 'other' }];
      for (const headers of bad)
        expect((await callTool(greetings, headers, 'hello')).status).toBe(401);
    });

    test('a token, a key: the user is where MCP-Nest reads it, with scopes and roles', async () => {
      const token = await tokenFor(greetings, 'hello:use hello:premium');
      for (const headers of [token, key('alice')]) {
        const answers = await Promise.all(
          ['hello', 'hello_again', 'hello_premium', 'hello_admin', 'hello_member'].map((name) =>
            callTool(greetings, headers, name).then(({ text }) => text),
          ),
        );
        expect(answers).toEqual(
          [
            'hello Alice',
            'hello again Alice, Alice',
            'a premium hello Alice',
            'hello admin Alice',
            'hello member Alice',
          ].map((text) => expect.stringContaining(text) as unknown),
        );
      }
    });

    test('without a scope, a role or the consent of a rule: each refuses in its own words', async () => {
      const token = await tokenFor(greetings, '', 'carol');
      const again = await callTool(greetings, token, 'hello_again');
      expect([again.status, again.challenge]).toEqual([
        403,
        expect.stringContaining('scope="hello:use"'),
      ]);
      const premium = await callTool(greetings, token, 'hello_premium');
      expect(premium.text).toContain('requires scopes: hello:premium');
      for (const headers of [await tokenFor(greetings, 'hello:use', 'carol'), key('carol')]) {
        const admin = await callTool(greetings, headers, 'hello_admin');
        expect(admin.text).toContain('requires roles: admin');
        const member = await callTool(greetings, headers, 'hello_member');
        expect([member.status, member.challenge]).toEqual([403, '']);
      }
      expect((await callTool(greetings, key('bob'), 'hello_member')).text).toContain('Bob');
    });

    test('lists are of the caller', async () => {
      const carol = await listTools(greetings, await tokenFor(greetings, '', 'carol'));
      expect(tools(carol.text)).toEqual(['hello', 'hello_again', 'hello_member']);
      const bob = await listTools(greetings, key('bob'));
      expect(tools(bob.text)).toEqual(['hello', 'hello_again', 'hello_member', 'hello_premium']);
      const alice = await listTools(greetings, key('alice'));
      expect(tools(alice.text)).toHaveLength(5);
    });

    test('whoever is gone, and a token for another resource', async () => {
      for (const headers of [await tokenFor(greetings, 'hello:use', 'gone'), key('gone')])
        expect((await callTool(greetings, headers, 'hello')).status).toBe(403);
      const elsewhere = await bearer(ofGreetings, canvases, 'hello:use');
      expect((await callTool(greetings, elsewhere, 'hello')).status).toBe(401);
    });

    test.each(everyClient)('%s uses what is free, and then signs in', async (client) => {
      const provider = new MemoryOAuthProvider('http://127.0.0.1:1/callback');
      const connection = clients[client](greetings, provider);
      try {
        await connection.connect();
        const free = await connection.callTool('hello', {});
        expect(JSON.stringify(free)).toContain('hello you');
        await expect(connection.callTool('hello_admin', {})).rejects.toThrow();
        const asked = provider.authorizationUrl;
        expect(asked?.searchParams.get('scope')).toBe('hello:use');
        const approved = await ofGreetings.authorizationServer.approve(asked ?? new URL(''), {
          user: 'alice',
        });
        await connection.finishAuth(approved);
        const result = await connection.callTool('hello_admin', {});
        expect(JSON.stringify(result)).toContain('hello admin Alice');
      } finally {
        await connection.close();
      }
    });
  });
});
