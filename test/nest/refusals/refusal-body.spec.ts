import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Controller, Post } from '@nestjs/common';
import { AuthplaneModule, JWKSFetchError, Public, Scopes } from 'authplane-nestjs';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { refusalBody } from '../../../src/nest/refusals/refusal-body.js';
import { freePort, platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';

const body = { error: 'insufficient_scope', scope: 'a b' };
const request = { jsonrpc: '2.0', id: 7, method: 'tools/call' };
const mcp = { 'mcp-protocol-version': '2025-11-25' };
const shaped = (status: number, headers: Record<string, string>, message: unknown) =>
  refusalBody({ status, headers: {}, body }, 'In words', { headers, body: message });

describe('10.17d: the body of a refusal', () => {
  it.each([
    [400, -32600],
    [401, -32003],
    [403, -32003],
    [503, -32603],
  ])('%i to a request of an MCP client is a JSON-RPC error %i', (status, code) => {
    const error = { code, message: 'In words', data: body };
    expect(shaped(status, mcp, request)).toEqual({ jsonrpc: '2.0', id: 7, error });
  });

  it('a client is known by its protocol version, or by taking event streams', () => {
    expect(shaped(403, { accept: 'application/json, text/event-stream' }, request)).not.toBe(body);
    expect(shaped(403, { accept: 'application/json' }, request)).toBe(body);
    expect(shaped(403, {}, request)).toBe(body);
  });

  it.each([
    [{ ...request, id: 'x' }, 'x'],
    [{ id: 0, method: 'ping' }, 0],
    [[request, { ...request, id: 8 }], null],
    [[{ method: 'notifications/x' }, request], null],
  ])('%j is answered with the id %p', (message, id) => {
    expect(shaped(403, mcp, message)).toMatchObject({ jsonrpc: '2.0', id });
  });

  it.each([
    [undefined],
    [null],
    ['text'],
    [{}],
    [[]],
    [{ jsonrpc: '2.0', method: 'notifications/x' }],
    [[{ jsonrpc: '2.0', method: 'notifications/x' }]],
    [{ ...request, id: null }],
    [{ ...request, id: {} }],
    [{ ...request, id: true }],
    [{ jsonrpc: '2.0', id: 7, result: {} }],
    [JSON.parse('{ "__proto__": { "id": 7, "method": "x" } }')],
  ])('%j has nothing to answer: the OAuth object', (message) => {
    expect(shaped(403, mcp, message)).toBe(body);
  });

  it('12.4: a 404 that is not about a session keeps its object: there is no server that could speak', () => {
    expect(shaped(404, mcp, request)).toBe(body);
  });

  it('what is a failure of the server, or about the bytes, keeps its object', () => {
    expect(shaped(500, mcp, request)).toBe(body);
    expect(shaped(415, mcp, request)).toBe(body);
  });

  it('the own answers of a transport get the id of the request, and no data', () => {
    const own = { jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null };
    const inWords = 'Session not found';
    const challenge = { status: 404, headers: {}, body: own };
    expect(refusalBody(challenge, inWords, { headers: mcp, body: request })).toEqual({
      ...own,
      id: 7,
    });
    expect(refusalBody(challenge, inWords, { headers: mcp, body: undefined })).toBe(own);
  });
});

@Controller()
class McpController {
  @Post('mcp')
  @Scopes('mcp:use', 'notes:write')
  mcp() {
    return {};
  }

  @Post('away')
  @Public()
  away() {
    throw new JWKSFetchError('internal');
  }
}

describe.each(platforms)('10.17d: on %s', (platform) => {
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;
  let resource: string;

  beforeAll(async () => {
    authorizationServer = await startAuthorizationServer();
    const port = await freePort();
    resource = `http://127.0.0.1:${port}/mcp`;
    const { issuer } = authorizationServer;
    app = await startApp(
      {
        imports: [AuthplaneModule.forRoot({ issuer, resource, devMode: true, guard: 'global' })],
        controllers: [McpController],
      },
      { platform, port },
    );
  });
  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
  });

  const bearer = async (scope: string) =>
    `Bearer ${await authorizationServer.issueToken({ aud: [resource], scope })}`;
  const post = (headers: Record<string, string>, path = 'mcp') =>
    fetch(`${app.url}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(request),
    });

  it('an MCP client and everybody else get the same status and challenge', async () => {
    const authorization = await bearer('mcp:use');
    const [plain, asMcp] = [await post({ authorization }), await post({ ...mcp, authorization })];
    expect([plain.status, asMcp.status]).toEqual([403, 403]);
    expect(asMcp.headers.get('www-authenticate')).toBe(plain.headers.get('www-authenticate'));
    const object = { error: 'insufficient_scope', scope: 'mcp:use notes:write' };
    expect(await plain.json()).toEqual(object);
    expect(await asMcp.json()).toEqual({
      jsonrpc: '2.0',
      id: 7,
      error: {
        code: -32003,
        message: 'The access token lacks a scope that this operation needs: mcp:use notes:write',
        data: object,
      },
    });
  });

  it('no token, a bad token, no authorization server', async () => {
    const none = await post(mcp);
    expect(none.status).toBe(401);
    expect(await none.json()).toMatchObject({
      id: 7,
      error: { code: -32003, message: 'An access token is required' },
    });
    const bad = await post({ ...mcp, authorization: 'Bearer x' });
    expect(await bad.json()).toMatchObject({ error: { data: { error: 'invalid_token' } } });
    const away = await post(mcp, 'away');
    expect(away.status).toBe(503);
    expect(away.headers.get('retry-after')).toBe('5');
    expect(await away.json()).toMatchObject({
      error: { code: -32603, data: { error: 'temporarily_unavailable' } },
    });
  });

  it.each([
    ['1', () => ({ client: new ClientV1({ name: 'x', version: '1' }), Transport: TransportV1 })],
    ['2', () => ({ client: new ClientV2({ name: 'x', version: '1' }), Transport: TransportV2 })],
  ] as const)('a client of SDK v%s with a fixed token shows the reason', async (_version, make) => {
    const authorization = await bearer('mcp:use');
    const { client, Transport } = make();
    const transport = new Transport(new URL(resource), {
      requestInit: { headers: { authorization } },
    });
    const failure: unknown = await client
      .connect(transport as never)
      .catch((error: unknown) => error);
    expect(String(failure)).toContain('mcp:use notes:write');
    await client.close();
  });
});
