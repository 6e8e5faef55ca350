import { afterEach, describe, expect, it } from 'vitest';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { AuthplaneModule } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { mcp, NotesServer, SessionsController } from '../../support/hosts/hosts-sdk-v1.js';
import { freePort, platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const CALLS = 10;
let started = 0;
let release: () => void = () => undefined;

class SlowNotes extends NotesServer {
  readonly #gate = new Promise<void>((resolve) => (release = resolve));

  override createServer(): McpServer {
    const server = super.createServer();
    server.registerTool('slow', {}, async () => {
      started++;
      await this.#gate;
      return { content: [{ type: 'text', text: 'the answer' }] };
    });
    return server;
  }
}
Reflect.defineMetadata(
  'design:paramtypes',
  Reflect.getMetadata('design:paramtypes', NotesServer),
  SlowNotes,
);

let authorizationServer: StandInAuthorizationServer | undefined;
let running: RunningApp | undefined;
afterEach(async () => {
  release();
  await running?.close();
  await authorizationServer?.close();
  running = undefined;
});

describe.each(platforms)('the session example of docs/hosts-sdk-v1.md on %s', (platform) => {
  let url: string;
  let headers: Record<string, string>;

  async function start(): Promise<void> {
    started = 0;
    authorizationServer = await startAuthorizationServer();
    const port = await freePort();
    url = `http://127.0.0.1:${port}/mcp`;
    const module = AuthplaneModule.forRoot({
      issuer: authorizationServer.issuer,
      resource: url,
      devMode: true,
      mcp,
    });
    running = await startApp(
      {
        imports: [module],
        controllers: [SessionsController],
        providers: [{ provide: NotesServer, useClass: SlowNotes }],
      },
      { platform, port },
    );
    const token = await authorizationServer.issueToken({ aud: [url], scope: 'notes:use' });
    headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const opened = await post('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    headers['mcp-session-id'] = String(opened.headers.get('mcp-session-id'));
    await opened.text();
  }

  function post(method: string, params: object, id = 1): Promise<Response> {
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
    return fetch(url, { method: 'POST', headers, body });
  }

  it('10.11b: a stop loses no running answer, and waits for no stream', async () => {
    await start();
    const stream = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' } });
    expect(stream.status).toBe(200);
    const streaming = stream.text();
    const calls = Array.from({ length: CALLS }, async (_, at) => {
      const answer = await post('tools/call', { name: 'slow', arguments: {} }, at + 10);
      return answer.text();
    });
    while (started < CALLS) await new Promise((resolve) => setTimeout(resolve, 5));
    const closed = running?.close();
    running = undefined;
    await streaming; // ends although calls run
    release();
    for (const answer of await Promise.all(calls)) expect(answer).toContain('the answer');
    await closed;
  });

  it('10.14b: sessions end when nobody uses them', async () => {
    await start();
    const controller = running!.app.get(SessionsController);
    const hour = Date.now() + 3_600_000;
    const stream = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' } });
    controller.closeIdle(hour);
    expect((await post('ping', {})).status).toBe(200);
    await stream.body?.cancel();
    let status = 200;
    while (status === 200) {
      controller.closeIdle(Date.now() + 3_600_000);
      const answer = await post('ping', {});
      ({ status } = answer);
      await answer.text();
    }
    expect(status).toBe(404);
  });
});
