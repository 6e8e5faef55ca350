import { afterEach, describe, expect, it } from 'vitest';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { Controller, UseGuards } from '@nestjs/common';
import { AuthplaneGuard, AuthplaneModule, UseResource } from 'authplane-nestjs';
import { McpSessions } from '../../../../src/nest/mcp/state/sessions.js';
import { platforms } from '../../../support/nest/start-app.js';
import {
  call,
  type McpApp,
  McpController,
  request as message,
  startMcpApp,
} from '../../../support/nest/mcp-app.js';

const [alice, bob] = ['alice', 'bob'];

function request(method: string, session?: string | string[]): IncomingMessage {
  const incoming = new IncomingMessage(new Socket());
  incoming.method = method;
  if (session !== undefined) Object.assign(incoming.headers, { 'mcp-session-id': session });
  return incoming;
}

function answer(
  sessions: McpSessions,
  asked: IncomingMessage,
  status: number,
  opened?: string,
  caller = alice,
) {
  const response = new ServerResponse(asked);
  sessions.watch(asked, response, caller);
  response.writeHead(status, opened === undefined ? {} : { 'Mcp-Session-Id': opened });
}

describe('McpSessions', () => {
  it('a POST that is answered with a session opens it, and a DELETE ends it', () => {
    const sessions = new McpSessions();
    const asked = request('POST', 's');
    answer(sessions, request('POST'), 200, 's');
    expect(sessions.isForeign(asked, bob)).toBe(true);
    expect(sessions.isForeign(asked, alice)).toBe(false);
    answer(sessions, request('DELETE', 's'), 204);
    expect(sessions.isForeign(asked, bob)).toBe(false);
  });

  it('what fails opens and ends nothing; a GET opens nothing', () => {
    const sessions = new McpSessions();
    answer(sessions, request('POST'), 500, 'a');
    answer(sessions, request('GET'), 200, 'b');
    expect(sessions.isForeign(request('POST', 'a'), bob)).toBe(false);
    expect(sessions.isForeign(request('POST', 'b'), bob)).toBe(false);
    answer(sessions, request('POST'), 200, 'c');
    answer(sessions, request('DELETE', 'c'), 404);
    expect(sessions.isForeign(request('POST', 'c'), bob)).toBe(true);
  });

  it('no session, and two of them, are nobody’s', () => {
    const sessions = new McpSessions();
    answer(sessions, request('POST'), 200, 's');
    expect(sessions.isForeign(request('POST'), bob)).toBe(false);
    expect(sessions.isForeign(request('POST', ['s', 's']), bob)).toBe(false);
  });

  it('hardening: the answer to a request with a session opens none for whoever has sent it', () => {
    const sessions = new McpSessions();
    answer(sessions, request('POST', 's'), 200, 's');
    expect(sessions.isForeign(request('POST', 's'), bob)).toBe(false);
  });

  it('9.4: an answer with another id than the request has opens a session, whatever was asked', () => {
    for (const asked of ['', 'stale', ['a', 'b']]) {
      const sessions = new McpSessions();
      answer(sessions, request('POST', asked), 200, 'new');
      expect(sessions.isForeign(request('POST', 'new'), bob)).toBe(true);
      expect(sessions.isForeign(request('POST', 'new'), alice)).toBe(false);
    }
  });

  it('hardening: who opens 20,100 sessions takes over none', () => {
    const sessions = new McpSessions();
    answer(sessions, request('POST'), 200, 'of alice');
    for (let index = 0; index < 20_100; index++) {
      answer(sessions, request('POST'), 200, `${index}`, bob);
    }
    const asked = request('POST', 'of alice');
    expect([sessions.isForeign(asked, bob), sessions.isForeign(asked, alice)]).toEqual([
      true,
      false,
    ]);
    const pushedOut = request('POST', '0');
    expect([sessions.isForeign(pushedOut, bob), sessions.isForeign(pushedOut, alice)]).toEqual([
      true,
      true,
    ]);
  });

  describe('of HTTP+SSE', () => {
    const posted = (url: string, method = 'POST') => Object.assign(request(method), { url });
    const opened = (data: string, type = 'endpoint') => {
      const sessions = new McpSessions();
      const response = new ServerResponse(request('GET'));
      return { sessions, response, isOne: sessions.open({ data, type }, response, alice) };
    };

    it.each(['/messages?sessionId=s', 'https://a.example/m?x=1&sessionId=s#top', '?sessionId=%73'])(
      'the endpoint event tells the session, which ends with its stream: %s',
      (data) => {
        const { sessions, response, isOne } = opened(data);
        expect(isOne).toBe(true);
        const asked = posted('/messages?sessionId=s');
        expect([sessions.isForeign(asked, bob), sessions.isForeign(asked, alice)]).toEqual([
          true,
          false,
        ]);
        expect([sessions.names(asked), sessions.namesUnseenStream(asked)]).toEqual([true, false]);
        response.emit('close');
        expect([sessions.names(asked), sessions.namesUnseenStream(asked)]).toEqual([false, true]);
      },
    );

    it.each([
      ['/messages?sessionId=s', ''],
      ['/messages?sessionId=s', 'message'],
      ['/messages', 'endpoint'],
      ['/messages?session=s', 'endpoint'],
    ])('any other event tells none: %s %s', (data, type) => {
      const { sessions, isOne } = opened(data, type);
      expect(isOne).toBe(false);
      expect(sessions.names(posted('/messages?sessionId=s'))).toBe(false);
    });

    it.each([
      '/m?%73essionId=s',
      '/m?sessionId[]=s',
      '/m?sessionId%5B0%5D=s',
      '/m?sessionId=x&sessionId=s',
      '/m?sessionId=s&sessionId=x',
      '/m;sessionId=s',
      '/m?x=#&sessionId=s',
      '/m?sessionId=s#x',
    ])('hardening: no spelling that a server may understand is missed: %s', (url) => {
      expect(opened('/m?sessionId=s').sessions.isForeign(posted(url), bob)).toBe(true);
    });

    it('a middleware that rewrites the URL changes nothing', () => {
      const { sessions } = opened('/m?sessionId=s');
      const rewritten = Object.assign(posted('/m'), { originalUrl: '/m?sessionId=s' });
      expect(sessions.isForeign(rewritten, bob)).toBe(true);
    });

    it('without its event the first one whose message is accepted owns it', () => {
      const sessions = new McpSessions();
      for (const [url, method, status] of [
        ['/m?sessionId=s', 'POST', 404],
        ['/m?sessionId=s', 'POST', 200],
        ['/m?sessionId=s', 'GET', 202],
        ['/m?sessionId=s&sessionId=t', 'POST', 202],
        [`/m?sessionId=${'s'.repeat(300)}`, 'POST', 202],
      ] as const) {
        answer(sessions, posted(url, method), status);
        expect(sessions.names(posted(url))).toBe(false);
      }
      answer(sessions, posted('/m?sessionId=s'), 202);
      expect(sessions.isForeign(posted('/m?sessionId=s'), bob)).toBe(true);
    });
  });
});

class AdminController extends McpController {}
Controller('admin')(AdminController);
UseGuards(AuthplaneGuard)(AdminController);
UseResource('admin')(AdminController);
Reflect.defineMetadata(
  'design:paramtypes',
  Reflect.getMetadata('design:paramtypes', McpController),
  AdminController,
);

describe.each(platforms)('sessions of an application on %s', (platform) => {
  const ADMIN = 'https://admin.example.com/admin';
  const initialize = message('initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  });
  const unknown = {
    jsonrpc: '2.0',
    error: { code: -32001, message: 'Session not found' },
    id: 1,
  };

  let server: McpApp | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  async function start(): Promise<McpApp> {
    server = await startMcpApp({
      platform,
      host: 'SDK v1 with sessions',
      metadata: {
        imports: [AuthplaneModule.forFeature({ name: 'admin', resource: ADMIN })],
        controllers: [AdminController],
      },
    });
    return server;
  }

  it('9.4: a session of one resource is unknown at another, also with a token of the same user', async () => {
    const { post, mcpUrl } = await start();
    const opened = await post(initialize);
    const headers = { 'mcp-session-id': String(opened.headers.get('mcp-session-id')) };
    const elsewhere = { url: mcpUrl.replace('/mcp', '/admin'), claims: { aud: [ADMIN] }, headers };
    for (const method of ['POST', 'GET', 'DELETE']) {
      const answer = await post(call('open'), { ...elsewhere, method });
      const id = method === 'GET' ? null : 1;
      expect([answer.status, answer.json]).toEqual([404, { ...unknown, id }]);
    }
    expect((await post(call('open'), { headers })).text).toContain('open ran');
    expect(server?.runs).toEqual(['open']);
  });

  it.each([7, 'text-7'])(
    '10.17d: the 404 has the id of the request, %j, and no data',
    async (id) => {
      const { post } = await start();
      const opened = await post(initialize);
      const headers = { 'mcp-session-id': String(opened.headers.get('mcp-session-id')) };
      const asBob = { headers, claims: { sub: 'bob' } };
      const refused = await post(call('open', id), asBob);
      expect([refused.status, JSON.parse(refused.text)]).toEqual([404, { ...unknown, id }]);
      for (const body of [{ ...call('open'), id: { a: 1 } }, [call('open', id)]]) {
        const other = await post(body, asBob);
        expect([other.status, JSON.parse(other.text)]).toEqual([404, { ...unknown, id: null }]);
      }
    },
  );

  it.each(['', 'stale'])(
    '9.4: a session that a request with the id %j opens belongs to its user',
    async (stale) => {
      const { post } = await start();
      const opened = await post(initialize, { headers: { 'mcp-session-id': stale } });
      expect(opened.status).toBe(200);
      const headers = { 'mcp-session-id': String(opened.headers.get('mcp-session-id')) };
      const ofBob = await post(call('open'), { headers, claims: { sub: 'bob' } });
      expect([ofBob.status, ofBob.json]).toEqual([404, unknown]);
      expect((await post(call('open'), { headers })).status).toBe(200);
      expect(server?.runs).toEqual(['open']);
    },
  );
});
