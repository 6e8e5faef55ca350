import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnauthorizedError as UnauthorizedErrorV2 } from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { type ClientName, walk } from './hosts-clients.js';
import {
  type Caller,
  type Era,
  type HostServer,
  type Message,
  RawClient,
} from './hosts-requests.js';

/** Scopes of the examples: what every request needs, and what is registered for the resource. */
export const BASE = 'notes:use';
export const SCOPES = [BASE, 'notes:read', 'notes:write', 'notes:admin'];

export interface HostTraits {
  readonly era: Era;
  readonly sessions: boolean;
  readonly clients: readonly ClientName[];
  /** What the server that `startHiding` starts shows only to callers with the scope. */
  readonly hidden: readonly HiddenOperation[];
  start(): Promise<HostServer>;
  /** With a list that leaves out what the caller may not use. */
  startHiding(): Promise<HostServer>;
}

export interface HiddenOperation {
  readonly list: string;
  readonly method: string;
  readonly member: 'name' | 'uri';
  readonly name: string;
  readonly scope: string;
}

const METHOD_NOT_FOUND = -32601;

const add = {
  method: 'tools/call',
  params: { name: 'add_note', arguments: { note: 'milk' } },
};
const history: Message = { method: 'tools/call', params: { name: 'history', arguments: {} } };
const operations: readonly (readonly [Message, string])[] = [
  [add, 'notes:write'],
  [{ method: 'tools/call', params: { name: 'read_notes', arguments: {} } }, 'notes:read'],
  [{ method: 'resources/read', params: { uri: 'notes://all' } }, 'notes:read'],
  [{ method: 'prompts/get', params: { name: 'summary' } }, 'notes:read'],
];

/** The same for every host: what a caller without the scopes of an operation gets, and a way to them. */
export function describeHost(name: string, traits: HostTraits): void {
  const { era, sessions } = traits;

  async function rawClient(server: HostServer, caller: Caller = { scope: BASE }) {
    const client = new RawClient(server, era);
    if (sessions) await client.openSession(caller);
    return client;
  }

  async function whatRan(client: RawClient): Promise<string[]> {
    const { text, status } = await client.send(history, { scope: BASE });
    expect(status).toBe(200);
    return text.match(/\w+ has \w+/g) ?? [];
  }

  describe(name, () => {
    let server: HostServer;
    beforeAll(async () => {
      server = await traits.start();
    });
    afterAll(() => server.close());

    it.each(operations)(
      'an operation without its scope is a 403 that names all scopes, and does not run: %j',
      async (message, scope) => {
        const client = await rawClient(server);
        const before = await whatRan(client);
        const refused = await client.send(message, { scope: BASE });
        expect(refused.status).toBe(403);
        const metadataUrl = server.mcpUrl.replace(
          '/mcp',
          '/.well-known/oauth-protected-resource/mcp',
        );
        expect(refused.headers.get('www-authenticate')).toBe(
          `Bearer realm="${server.mcpUrl}", error="insufficient_scope", scope="${BASE} ${scope}", ` +
            `resource_metadata="${metadataUrl}", ` +
            `error_description="The access token lacks a scope that this operation needs"`,
        );
        expect(refused.message).toMatchObject({
          jsonrpc: '2.0',
          error: {
            code: -32003,
            message: `The access token lacks a scope that this operation needs: ${BASE} ${scope}`,
            data: { error: 'insufficient_scope', scope: `${BASE} ${scope}` },
          },
        });
        expect(await whatRan(client)).toEqual(before);

        const passed = await client.send(message, { scope: `${BASE} ${scope}` });
        expect([passed.status, passed.message['error']]).toEqual([200, undefined]);
        expect(await whatRan(client)).toHaveLength(before.length + 1);
      },
    );

    it('without a token it is a 401 that names the same scopes', async () => {
      const { status, headers } = await (await rawClient(server)).send(add, { scope: null });
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toContain(`scope="${BASE} notes:write"`);
    });

    it('a batch with one forbidden element is refused whole', async () => {
      const client = await rawClient(server);
      const before = await whatRan(client);
      const read = { method: 'resources/read', params: { uri: 'notes://all' } };
      const refused = await client.batch([read, history, add], { scope: `${BASE} notes:read` });
      expect(refused.status).toBe(403);
      expect(refused.message['error']).toMatchObject({
        data: { scope: `${BASE} notes:read notes:write` },
      });
      expect(await whatRan(client)).toEqual(before);
      if (era === '2026') return; // it has no batches
      const scope = `${BASE} notes:read notes:write`;
      expect((await client.batch([read, history, add], { scope })).status).toBe(200);
      expect(await whatRan(client)).toHaveLength(before.length + 2);
    });

    it("an unknown tool gets the server's own answer", async () => {
      const unknown = { method: 'tools/call', params: { name: 'nothing', arguments: {} } };
      const { status, text } = await (await rawClient(server)).send(unknown, { scope: BASE });
      expect([401, 403, 500]).not.toContain(status);
      expect(text).toContain('nothing');
    });

    it('9.9a: none of these hosts has tasks, and nothing is added: unknown methods, to all alike', async () => {
      const client = await rawClient(server);
      const all = SCOPES.join(' ');
      for (const method of ['tasks/list', 'tasks/get', 'tasks/result', 'tasks/cancel']) {
        const params = method === 'tasks/list' ? {} : { taskId: 'f'.repeat(32) };
        const message = { method, params };
        const answer = await client.send(message, { scope: all });
        expect(answer.message['error']).toMatchObject({ code: METHOD_NOT_FOUND });
        const short = await client.send(message, { scope: BASE });
        expect([short.status, short.text]).toEqual([answer.status, answer.text]);
      }
      const asTask = { ...add, params: { ...add.params, task: { ttl: 60_000 } } };
      expect((await client.send(asTask, { scope: BASE })).status).toBe(403);
      const { text } = await client.send(asTask, { scope: all });
      expect(text).not.toContain('taskId');
    });

    it('9.9b: none of these hosts keeps events: a Last-Event-ID gets nobody anything', async () => {
      const client = await rawClient(server);
      const scope = SCOPES.join(' ');
      const { text } = await client.send(add, { scope });
      expect(text).not.toMatch(/^id:/m);
      const headers = { 'last-event-id': '1' };
      const ping = { method: 'ping' };
      const resumed = await client.withBody('GET', ping, { scope, headers });
      const begun = await client.withBody('GET', ping, { scope });
      expect(resumed).toEqual(begun);
      expect(resumed.text).not.toContain('milk');
    });

    it.each(['GET', 'DELETE'])(
      '9.3: the body of a %s is judged as that of a POST',
      async (method) => {
        const client = await rawClient(server);
        const before = await whatRan(client);
        const refused = await client.withBody(method, add, { scope: BASE });
        expect([400, 403, 404]).toContain(refused.status); // 400: not parsed; 404: no such route
        if (refused.status === 403) expect(refused.text).toContain('notes:write');
        expect(await whatRan(client)).toEqual(before);
      },
    );

    it.each(traits.clients)('a client of %s steps up and succeeds', async (client) => {
      const { asked, refusals, result } = await walk(client, server, 'add_note', { note: 'x' });
      expect(asked).toEqual([BASE, `${BASE} notes:write`]);
      const kind = client === 'SDK v1' ? UnauthorizedError : UnauthorizedErrorV2;
      for (const refusal of refusals) expect(refusal).toBeInstanceOf(kind);
      expect(JSON.stringify(result)).toContain('added');
    });

    it('a page of another origin is refused, with or without a token', async () => {
      const client = await rawClient(server);
      const origin = 'https://evil.example';
      for (const scope of [BASE, null]) {
        const refused = await client.send(history, { scope, headers: { origin } });
        expect(refused.status).toBe(403);
        expect(refused.headers.get('www-authenticate')).toBeNull();
        expect(refused.message['error']).toMatchObject({ code: -32003 });
      }
      const allowed = { origin: 'https://app.example.com' };
      expect((await client.send(history, { scope: BASE, headers: allowed })).status).toBe(200);
      expect((await client.send(history, { scope: BASE })).status).toBe(200);
    });

    if (sessions) {
      it.each([{ user: 'mallory' }, { client: 'client-2' }])(
        "nobody uses another one's session: %j",
        async (other) => {
          const client = await rawClient(server);
          const foreign = { scope: SCOPES.join(' '), ...other };
          const refused = await client.send(history, foreign);
          expect(refused.status).toBe(404);
          expect(refused.message['error']).toMatchObject({ code: -32001 });
          expect(await client.bodiless('GET', foreign)).toBe(404);
          expect(await client.bodiless('DELETE', foreign)).toBe(404);
          expect((await client.send(history, { scope: BASE })).status).toBe(200);
          expect(await client.bodiless('GET', { scope: BASE })).toBe(200);
          expect(await client.bodiless('DELETE', { scope: BASE })).toBe(200);
          expect((await client.send(history, { scope: BASE })).status).toBe(404);
        },
      );

      it('10.14b: a client ends its session, also with a JSON content type and no body', async () => {
        const client = await rawClient(server);
        const asPython = { 'content-type': 'application/json' };
        const mallory = { scope: BASE, user: 'mallory' };
        expect(await client.bodiless('DELETE', { scope: null }, asPython)).toBe(401);
        expect(await client.bodiless('DELETE', mallory, asPython)).toBe(404);
        expect((await client.send(history, { scope: BASE })).status).toBe(200);
        expect(await client.bodiless('DELETE', { scope: BASE }, asPython)).toBe(200);
        expect((await client.send(history, { scope: BASE })).status).toBe(404);
      });
    }
  });

  describe(`${name}, with a list for each caller`, () => {
    let server: HostServer;
    beforeAll(async () => {
      server = await traits.startHiding();
    });
    afterAll(() => server.close());

    it.each(traits.hidden)('$list leaves out $name for who may not use it', async (hidden) => {
      const client = await rawClient(server);
      const list = { method: hidden.list };
      const short = await client.send(list, { scope: BASE });
      const long = await client.send(list, { scope: `${BASE} ${hidden.scope}` });
      expect([short.status, long.status]).toEqual([200, 200]);
      expect(short.text).not.toContain(hidden.name);
      expect(long.text).toContain(`"${hidden.name}"`);
      expect(short.text).not.toContain('"cacheScope":"public"');
    });

    it.each(traits.hidden)(
      '9.3, 9.9: $method: $name is answered as if there were none',
      async (hidden) => {
        const { method, member, name: known, scope } = hidden;
        const client = await rawClient(server);
        const before = await whatRan(client);
        const unknown = `${known.slice(0, -1)}!`;
        const answerTo = async (name: string) => {
          const params = { [member]: name, ...(method === 'tools/call' ? { arguments: {} } : {}) };
          const { status, headers, text } = await client.send({ method, params }, { scope: BASE });
          const shown = ['content-type', 'www-authenticate', 'content-length'].map((one) =>
            headers.get(one),
          );
          return { status, shown, text: withoutEventIds(text).replaceAll(name, '(name)') };
        };
        const answer = await answerTo(known);
        expect(answer).toEqual(await answerTo(unknown));
        expect([401, 403, 500]).not.toContain(answer.status);
        expect(await whatRan(client)).toEqual(before);

        for (const verb of ['GET', 'DELETE']) {
          const inBody = async (one: string) => {
            const { text, status } = await client.withBody(
              verb,
              { method, params: { [member]: one } },
              { scope: BASE },
            );
            return { status, text: text.replaceAll(one, '(name)') };
          };
          if (verb === 'GET' || !sessions)
            expect(await inBody(known)).toEqual(await inBody(unknown));
        }
        expect(await whatRan(client)).toEqual(before);

        const args = { arguments: { note: 'x' } };
        const params = { [member]: known, ...(method === 'tools/call' ? args : {}) };
        const allowed = await client.send({ method, params }, { scope: `${BASE} ${scope}` });
        expect([allowed.status, allowed.message['error']]).toEqual([200, undefined]);
        expect(await whatRan(client)).toHaveLength(before.length + 1);
      },
    );
  });
}

function withoutEventIds(text: string): string {
  return text.replace(/^id: .*\n/gm, '');
}
