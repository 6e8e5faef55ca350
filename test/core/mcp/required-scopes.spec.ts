import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AuthplaneClient,
  ConfigurationError,
  InsufficientScopeError,
  InvalidRequestError,
  OperationRefusedError,
  requiredScopes,
  type RequirementTable,
  TokenMissingError,
} from 'authplane-nestjs/core';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { exactScopes } from '../../../src/core/lib/scopes.js';
import { VerifiedClaims } from '../../../src/core/token/verified-claims.js';

const TABLE: RequirementTable = {
  tools: {
    read: ['notes:read'],
    write: { all: ['notes:read', 'notes:write'], any: ['a', 'b'] },
    send: ({ params }, { sub }) => {
      const { to } = (params as { arguments: { to: string } }).arguments;
      return to === sub ? ['mail:self'] : ['mail:send'];
    },
    never: () => false,
    broken: () => {
      throw new Error('no');
    },
    asks: () => {
      throw new InsufficientScopeError(['asked']);
    },
  },
  resources: { 'notes://{id}/text': ['notes:read'] },
  prompts: { plan: ['plans'] },
  methods: { 'vendor/run': ['run'] },
};

function claimsOf(sub: string): VerifiedClaims {
  const none = { expiresAt: 0, issuedAt: 0, notBefore: 0, jti: '', kid: '', agentId: '' };
  const lists = { audience: [], scopes: [], agentChain: [], act: undefined, raw: {} };
  const issuer = 'https://as.example';
  return new VerifiedClaims({ issuer, sub, clientId: 'c', ...none, ...lists }, exactScopes);
}

const message = (method: string, params?: unknown) => ({ jsonrpc: '2.0', id: 1, method, params });
const call = (name: string, args: unknown = {}) => message('tools/call', { name, arguments: args });

describe('12.5: requiredScopes', () => {
  it.each([
    ['a tool', call('read'), { all: ['notes:read'], any: [] }],
    ['alternatives', call('write'), { all: ['notes:read', 'notes:write'], any: [['a', 'b']] }],
    ['a resource', message('resources/read', { uri: 'notes://7/text' }), ['notes:read']],
    ['its other spelling', message('resources/read', { uri: 'NOTES://7/text' }), ['notes:read']],
    ['a prompt', message('prompts/get', { name: 'plan' }), ['plans']],
    ['a method of its own', message('vendor/run'), ['run']],
    ['what the table does not name', call('other'), []],
    ['a list', message('tools/list'), []],
    ['an answer to the server', { jsonrpc: '2.0', id: 1, result: {} }, []],
    [
      'a message without jsonrpc',
      { id: 1, method: 'tools/call', params: { name: 'read' } },
      ['notes:read'],
    ],
    ['a batch', [call('read'), message('vendor/run'), call('read')], ['notes:read', 'run']],
  ])('of %s', async (_, body, needs) => {
    const expected = Array.isArray(needs) ? { all: needs, any: [] } : needs;
    expect(await requiredScopes(TABLE, body)).toEqual(expected);
  });

  it('asks rules, with claims and arguments', async () => {
    const needs = (to: string) => requiredScopes(TABLE, call('send', { to }), claimsOf('alice'));
    expect(await needs('alice')).toEqual({ all: ['mail:self'], any: [] });
    expect(await needs('bob')).toEqual({ all: ['mail:send'], any: [] });
    expect(await requiredScopes(TABLE, call('asks'), claimsOf('alice'))).toEqual({
      all: ['asked'],
      any: [],
    });
  });

  it('a rule without a caller is no free pass', async () => {
    await expect(requiredScopes(TABLE, call('send', {}))).rejects.toThrow(TokenMissingError);
    await expect(requiredScopes(TABLE, [call('read'), call('never')])).rejects.toThrow(
      TokenMissingError,
    );
  });

  it.each(['never', 'broken'])('a rule that refuses or fails: %s', async (name) => {
    await expect(requiredScopes(TABLE, call(name), claimsOf('alice'))).rejects.toThrow(
      OperationRefusedError,
    );
  });

  it('unknownMethods', async () => {
    const table = { ...TABLE, unknownMethods: 'refuse' } as const;
    await expect(requiredScopes(table, message('vendor/other'))).rejects.toThrow(
      OperationRefusedError,
    );
    for (const body of [message('vendor/run'), message('ping'), { id: 1, result: {} }]) {
      await expect(requiredScopes(table, body)).resolves.toBeDefined();
    }
    expect(await requiredScopes(TABLE, message('vendor/other'))).toEqual({ all: [], any: [] });
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['text', JSON.stringify(call('read'))],
    ['bytes', Buffer.from(JSON.stringify(call('read')))],
    ['what Express 4 leaves', {}],
    ['a method that is no text', { id: 1, method: ['tools/call'], params: { name: 'read' } }],
    ['a batch with something else in it', [call('read'), JSON.stringify(call('write'))]],
    ['a batch in a batch', [[call('read')]]],
    ['a long batch', Array.from({ length: 101 }, () => call('other'))],
    ['a long URI', message('resources/read', { uri: `x:${'a'.repeat(9000)}` })],
    ['a name that is no text', message('tools/call', { name: ['read'] })],
    [
      '__proto__',
      JSON.parse('{"id":1,"method":"tools/call","params":{"__proto__":{"name":"read"}}}'),
    ],
    ['a message behind __proto__', JSON.parse('{"__proto__":{"id":1,"method":"tools/call"}}')],
  ])('refuses %s, which cannot be judged', async (_, body) => {
    await expect(requiredScopes(TABLE, body)).rejects.toThrow(InvalidRequestError);
  });

  it.each([undefined, null, [], { tool: {} }, { tools: { read: [] } }, { tools: { read: 'a' } }])(
    'a table such as %p is a mistake',
    async (table) => {
      await expect(requiredScopes(table as never, call('read'))).rejects.toThrow(
        ConfigurationError,
      );
    },
  );

  it('what it gives is the reader’s own', async () => {
    const first = await requiredScopes(TABLE, call('write'));
    first.all.push('x');
    first.any[0]?.push('x');
    expect(await requiredScopes(TABLE, call('write'))).toEqual({
      all: ['notes:read', 'notes:write'],
      any: [['a', 'b']],
    });
  });
});

describe('12.5: in front of a server without Nest', () => {
  let authorizationServer: StandInAuthorizationServer;
  let client: AuthplaneClient;
  let server: Server;
  let ran: string[];
  const RESOURCE = 'http://127.0.0.1:9/mcp';

  beforeEach(async () => {
    ran = [];
    authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    client = await AuthplaneClient.create({ issuer, devMode: true });
    const resource = client.resource({ resource: RESOURCE, scopes: ['mcp:use'] });
    server = createServer((request, response) => {
      const { method = 'GET', url = '/', rawHeaders: headers } = request;
      const answer = async () => {
        const { claims } = await resource.authenticate({ method, url, headers });
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const body = parsed(Buffer.concat(chunks).toString());
        const { all, any } = await requiredScopes(TABLE, body, claims);
        resource.requireScopes(claims, { all, anyOf: any });
        ran.push(claims.sub);
        response.writeHead(200).end();
      };
      answer().catch((error: unknown) => {
        const refused = resource.challenge(error, { headers });
        response.writeHead(refused.status, refused.headers).end(JSON.stringify(refused.body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    client.close();
    await authorizationServer.close();
  });

  function parsed(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  async function post(body: string, scope?: string): Promise<Response> {
    const { port } = server.address() as AddressInfo;
    const claims = { aud: [RESOURCE], sub: 'alice', scope };
    const headers =
      scope === undefined
        ? undefined
        : { authorization: `Bearer ${await authorizationServer.issueToken(claims)}` };
    return fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      body,
      ...(headers === undefined ? {} : { headers }),
    });
  }

  it('answers as the guard does', async () => {
    const write = JSON.stringify(call('write'));
    expect((await post(write)).status).toBe(401);
    expect((await post('{', 'notes:read')).status).toBe(400);
    const refused = await post(write, 'notes:read b');
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toContain('scope="notes:read notes:write a"');
    expect((await post(JSON.stringify([call('never')]), 'notes:read')).status).toBe(403);
    expect(ran).toEqual([]);
    expect((await post(write, 'notes:read notes:write b')).status).toBe(200);
    expect(ran).toEqual(['alice']);
  });
});
