import { afterEach, describe, expect, test } from 'vitest';
import { Body, Controller, Get, Post, Req, Res } from '@nestjs/common';
import {
  AuthplaneModule,
  Claims,
  Scopes,
  UseResource,
  type VerifiedClaims,
} from 'authplane-nestjs';
import { serveMcp } from 'authplane-nestjs/mcp';
import { platforms } from '../../support/nest/start-app.js';
import { call, type McpApp, request, startMcpApp } from '../../support/nest/mcp-app.js';

@Controller('mcp')
class PlainController {
  @Post()
  @Scopes('write')
  post(@Body() body: unknown, @Claims() { sub }: VerifiedClaims) {
    return { sub, body: typeof body === 'string' ? body : (body ?? null) };
  }

  @Get()
  get() {
    return { got: true };
  }
}

@Controller('served')
class ServingController {
  @Post()
  serve(@Req() incoming: object, @Res() reply: never) {
    return serveMcp(incoming, reply, () => () => Promise.reject(new Error('never runs')));
  }
}

@Controller('tools')
@UseResource('tools')
class ToolsController {
  @Post()
  post() {
    return { ran: true };
  }
}

const TOOLS = 'https://tools.example/tools';

describe.each(platforms)('12.9: mcp: false on %s', (platform) => {
  let server: McpApp;
  afterEach(() => server.close());

  async function start() {
    const tools = { read: ['read'] };
    server = await startMcpApp({
      platform,
      controller: PlainController,
      options: { mcp: false, guard: 'global', scopes: ['write'] },
      metadata: {
        imports: [
          AuthplaneModule.forFeature({
            name: 'tools',
            resource: TOOLS,
            scopes: ['read'],
            mcp: { tools },
          }),
        ],
        controllers: [ToolsController, ServingController],
      },
    });
  }

  test('a handler at the path of the resource is as any other', async () => {
    await start();
    expect((await server.post({}, { scope: null })).status).toBe(401);
    expect((await server.post({}, { scope: 'other' })).json).toMatchObject({ scope: 'write' });
    const text = { scope: 'write', raw: 'a=b' };
    const form = { ...text, headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    if (platform === 'express') expect((await server.post(null, form)).status).toBe(201);
    const empty = await fetch(server.mcpUrl, {
      method: 'POST',
      headers: { authorization: await server.bearer('write') },
    });
    expect(empty.status).toBe(201);
  });

  test('no message, session or origin is looked at', async () => {
    await start();
    const headers = { origin: 'https://elsewhere.example', 'mcp-session-id': 'of-somebody' };
    for (const body of [
      call('read'),
      call(7),
      request('resources/read', { uri: 'x'.repeat(9000) }),
    ]) {
      const answer = await server.post(body, { scope: 'write', headers });
      expect([answer.status, answer.json]).toMatchObject([201, { body: { method: body.method } }]);
    }
    const got = await server.post(null, { method: 'GET', headers });
    expect(got.json).toEqual({ got: true });
  });

  test('the metadata is there, and its tokens are good there only', async () => {
    await start();
    const path = '/.well-known/oauth-protected-resource/mcp';
    const document = await fetch(`${server.app.url}${path}`);
    expect(await document.json()).toMatchObject({ resource: server.mcpUrl });
    const refused = await server.post({}, { scope: null });
    expect(refused.headers.get('www-authenticate')).toContain(`${server.app.url}${path}`);
  });

  test('another resource of the application may be one', async () => {
    await start();
    const init = { url: `${server.app.url}/tools`, claims: { aud: [TOOLS] } };
    expect((await server.post(call('read'), init)).json).toMatchObject({ scope: 'read' });
    expect((await server.post(call('read'), { ...init, scope: 'read' })).status).toBe(201);
  });

  test('serveMcp serves nothing there', async () => {
    await start();
    const init = { url: `${server.app.url}/served`, scope: 'write' };
    const { status, json } = await server.post(call('read'), init);
    expect([status, json]).toEqual([500, { error: 'internal_error' }]);
  });
});
