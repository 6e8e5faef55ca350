import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Logger } from '@nestjs/common';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  CallToolRequestSchema,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/sdk/types.js';
import { McpServer as McpServerV2, Server as ServerV2 } from '@modelcontextprotocol/server';
import {
  AuthorizationServerUnavailableError,
  ConfigurationError,
  ConsentRequiredError,
  InsufficientScopeError,
} from 'authplane-nestjs';
import { withConsent } from 'authplane-nestjs/mcp';

const require = createRequire(import.meta.url);
const { McpServer: McpServerCjs } = require('@modelcontextprotocol/sdk/server/mcp.js') as {
  McpServer: typeof McpServer;
};

const warnings: unknown[] = [];
const details: unknown[] = [];
beforeEach(() => {
  const ignore = () => undefined;
  const debug = (message: unknown) => void details.push(message);
  const warn = (message: unknown) => void warnings.push(message);
  Logger.overrideLogger({ log: ignore, error: ignore, debug, warn });
});
afterEach(() => Logger.overrideLogger(false));

const INFO = { name: 'test', version: '1' };
const issuer = 'https://auth.example.com';
const URL_CAPABLE = { elicitation: { url: {} } };

const consentRequired = () =>
  new ConsentRequiredError('exchange: 400 consent_required', {
    statusCode: 400,
    error: 'consent_required',
    consentUrl: `${issuer}/connect/google`,
    serviceId: 'google-cal',
  });

async function connected(
  server: { connect(transport: never): Promise<void> },
  capabilities: object = URL_CAPABLE,
): Promise<Client> {
  const client = new Client(INFO, { capabilities });
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(theirs as never), client.connect(ours)]);
  return client;
}

function failing(error: unknown, Class = McpServer): McpServer {
  const server = withConsent(new Class(INFO), { issuer });
  server.registerTool('tool', {}, () => {
    throw error;
  });
  return server;
}

const call = (client: Client) => client.callTool({ name: 'tool', arguments: {} });

describe('the two copies of SDK v1', () => {
  it('are two, and each takes only its own error class', async () => {
    expect(McpServerCjs).not.toBe(McpServer);
    const thrown = new UrlElicitationRequiredError([
      { mode: 'url', elicitationId: '1', url: issuer, message: 'm' },
    ]);
    const answerOf = async (Class: typeof McpServer) => {
      const server = new Class(INFO);
      server.registerTool('tool', {}, () => {
        throw thrown;
      });
      const client = await connected(server);
      return call(client).then(
        () => 'result',
        () => 'error',
      );
    };
    expect([await answerOf(McpServer), await answerOf(McpServerCjs)]).toEqual(['error', 'result']);
  });

  it.each([
    ['ESM', McpServer],
    ['CommonJS', McpServerCjs],
  ])('withConsent answers -32042 with either (%s)', async (_, Class) => {
    const client = await connected(failing(consentRequired(), Class));
    await expect(call(client)).rejects.toMatchObject({
      code: -32042,
      elicitations: [{ mode: 'url', url: `${issuer}/connect/google` }],
    });
  });
});

describe('withConsent', () => {
  it('returns the same server, and changes it once', () => {
    const server = new McpServer(INFO);
    expect(withConsent(server, { issuer })).toBe(server);
    const { registerTool } = server;
    expect(withConsent(server, { issuer })).toBe(server);
    expect(server.registerTool).toBe(registerTool);
  });

  it('refuses what is no server of an MCP SDK', () => {
    expect(() => withConsent({}, { issuer })).toThrow(ConfigurationError);
  });

  const late: Record<string, () => object> = {
    'a v1 tool': () => {
      const server = new McpServer(INFO);
      server.registerTool('tool', {}, () => ({ content: [] }));
      return server;
    },
    'a v2 prompt': () => {
      const server = new McpServerV2(INFO);
      server.registerPrompt('prompt', {}, () => ({ messages: [] }));
      return server;
    },
    'a low-level v1 handler': () => {
      const server = new Server(INFO, { capabilities: { tools: {} } });
      server.setRequestHandler(CallToolRequestSchema, () => ({ content: [] }));
      return server;
    },
    'a low-level v2 handler': () => {
      const server = new ServerV2(INFO, { capabilities: { tools: {} } });
      server.setRequestHandler('tools/call', () => ({ content: [] }));
      return server;
    },
  };
  it.each(Object.entries(late))('refuses to come too late: after %s', (_, create) => {
    expect(() => withConsent(create(), { issuer })).toThrow(/call it before/);
  });

  it.each([
    [{ issuer: 'not a URL' }, /issuer/],
    [{ issuer, pageOrigins: ['connect.example.com'] }, /pageOrigins/],
    [{ issuer, pageOrigins: ['https://connect.example.com/path'] }, /pageOrigins/],
    [{ issuer, retryDelaysMs: [-1] }, /retryDelaysMs/],
    [{ issuer, retryDelaysMs: [Infinity] }, /retryDelaysMs/],
    [{ issuer, retryDelaysMs: Array(11).fill(1) }, /retryDelaysMs/],
  ])('refuses wrong options: %j', (options, problem) => {
    expect(() => withConsent(new McpServer(INFO), options)).toThrow(problem);
  });

  it('reads options from getters, as of a client', async () => {
    class Connection {
      get issuer() {
        return 'http://localhost:9000';
      }
      get devMode() {
        return true;
      }
    }
    const server = withConsent(new McpServer(INFO), new Connection());
    server.registerTool('tool', {}, () => {
      throw new ConsentRequiredError('x', {
        statusCode: 400,
        error: 'consent_required',
        consentUrl: 'http://localhost:9000/connect/google',
      });
    });
    await expect(call(await connected(server))).rejects.toMatchObject({ code: -32042 });
  });

  it('reaches a server that is connected already', async () => {
    const server = new McpServer(INFO, { capabilities: { tools: {} } });
    const client = await connected(server);
    withConsent(server, { issuer }).registerTool('tool', {}, () => {
      throw consentRequired();
    });
    await expect(call(client)).rejects.toMatchObject({ code: -32042 });
  });

  it('reaches callbacks that are set later, and the short registration of v1', async () => {
    const server = withConsent(new McpServer(INFO), { issuer });
    const tool = server.tool('tool', () => ({ content: [] }));
    tool.update({
      callback: () => {
        throw consentRequired();
      },
    });
    tool.disable();
    tool.enable();
    await expect(call(await connected(server))).rejects.toMatchObject({ code: -32042 });
  });

  it('asks no client that declared in its session that it cannot open URLs', async () => {
    const client = await connected(failing(consentRequired()), { elicitation: {} });
    expect(await call(client)).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining(`Open ${issuer}/connect/google in a browser`) }],
    });
  });

  it('is not confused by requests of the server that have the id of the failed one', async () => {
    const server = withConsent(new McpServer(INFO), { issuer });
    server.registerTool('tool', {}, ({ requestId }) => {
      let left = 20;
      const ping = () => {
        if (left-- === 0) return;
        void server.server.transport?.send({ jsonrpc: '2.0', id: requestId, method: 'ping' });
        queueMicrotask(ping);
      };
      ping();
      throw consentRequired();
    });
    await expect(call(await connected(server))).rejects.toMatchObject({ code: -32042 });
  });

  it('10.17b: says of other errors what a user can know, not what their message says', async () => {
    const error = new AuthorizationServerUnavailableError('inner detail');
    const result = await call(await connected(failing(error)));
    expect(result).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/cannot be reached right now/) }],
    });
    expect(JSON.stringify(result)).not.toContain('inner detail');
  });

  it('names the scopes that a handler needs, and only to operators those that the token has', async () => {
    const error = new InsufficientScopeError(['files:delete', 'files:write'], {
      grantedScopes: ['files:list'],
    });
    expect(await call(await connected(failing(error)))).toEqual({
      isError: true,
      content: [
        {
          type: 'text',
          text: 'This operation needs an access token with these scopes: files:delete files:write',
        },
      ],
    });
    expect(details).toContain(
      'tools/call: insufficient_scope: ' +
        'the operation needs the scopes: files:delete files:write; the token has: files:list',
    );
  });

  it('is not needed to keep from the client what the token has', async () => {
    const server = new McpServer(INFO);
    server.registerTool('tool', {}, () => {
      throw new InsufficientScopeError(['files:delete'], { grantedScopes: ['files:list'] });
    });
    const result = await call(await connected(server));
    expect(result).toMatchObject({ isError: true });
    expect(JSON.stringify(result)).not.toContain('files:list');
  });

  it('warns operators of a page that it does not show, and not for every request', async () => {
    const consentUrl = 'https://evil.example/secret';
    const error = new ConsentRequiredError('x', { statusCode: 400, error: 'x', consentUrl });
    for (let round = 0; round < 3; round++) await call(await connected(failing(error)));
    expect(warnings).toEqual([
      "the authorization server's consent_url is not shown to users: " +
        'it is of another origin than the issuer and the allowed ones',
    ]);
  });

  it('leaves results and errors of the application alone', async () => {
    const client = await connected(failing(new Error('a bug')));
    expect(await call(client)).toMatchObject({ isError: true, content: [{ text: 'a bug' }] });
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['tool']);
  });

  it('runs no handler twice without an answer to a question', async () => {
    let calls = 0;
    const server = withConsent(new McpServer(INFO), { issuer, retryDelaysMs: [1, 1] });
    server.registerTool('tool', {}, () => {
      calls++;
      throw consentRequired();
    });
    await expect(call(await connected(server))).rejects.toThrow();
    expect(calls).toBe(1);
  });
});
