import { afterEach, describe, expect, it } from 'vitest';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { AuthplaneClient, InsufficientScopeError, TokenMissingError } from 'authplane-nestjs/core';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import type { AuthplaneEvent } from '../../src/core/events.js';
import { NO_SCOPES } from '../../src/core/lib/scopes.js';
import type { McpOptions } from '../../src/core/mcp/settings.js';
import { letIn } from '../../src/nest/decision.js';
import { requestState, scopesToAskFor } from '../../src/nest/http/request.js';
import { ProtectedResources } from '../../src/nest/resources/protected-resources.js';

const RESOURCE = 'http://127.0.0.1:3000/mcp';

let authorizationServer: StandInAuthorizationServer;
let client: AuthplaneClient;
let server: Server;

/** A server that Nest knows nothing of: no execution context, no handler, no module. */
async function start(mcp: McpOptions) {
  authorizationServer = await startAuthorizationServer();
  client = await AuthplaneClient.create({ issuer: authorizationServer.issuer, devMode: true });
  const resource = client.resource({ resource: RESOURCE, scopes: [] });
  const application = new ProtectedResources(resource, {
    devMode: true,
    enforceScopesOnAllRequests: false,
    mcp,
    warnings: [],
  });
  const seen: { error?: unknown; announced?: readonly string[] | undefined } = {};
  const policy = { isPublic: false, isMcpEndpoint: false, needs: NO_SCOPES };
  server = createServer((incoming: IncomingMessage & { body?: unknown }, reply) => {
    const decide = async () => {
      incoming.body = await json(incoming);
      const protectedBy = application.main;
      await letIn({ request: incoming, reply }, { ...policy, protectedBy }, application);
      reply.end(requestState(incoming).current?.claims.sub);
    };
    decide().catch((error: unknown) => {
      seen.error = error;
      seen.announced = scopesToAskFor(requestState(incoming));
      reply.writeHead(418).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const call = async (scope?: string) =>
    fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(scope === undefined
          ? {}
          : {
              authorization: `Bearer ${await authorizationServer.issueToken({ aud: RESOURCE, sub: 'alice', scope })}`,
            }),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'run' },
      }),
    });
  return { call, seen, events: application.events };
}

afterEach(async () => {
  server.close();
  server.closeAllConnections();
  client.close();
  await authorizationServer.close();
});

describe('the decision about a request that no guard of Nest has seen', () => {
  it('11.6: scopes of operations, the challenge, the caller and what goes with the answer', async () => {
    const { call, seen } = await start({ tools: { run: ['tools/run'] } });
    expect((await call()).status).toBe(418);
    expect(seen).toMatchObject({ error: expect.any(TokenMissingError), announced: ['tools/run'] });
    expect((await call('other')).status).toBe(418);
    expect(seen.error).toBeInstanceOf(InsufficientScopeError);
    const answer = await call('tools/run');
    expect([answer.status, await answer.text()]).toEqual([200, 'alice']);
    expect(answer.headers.get('cache-control')).toBe('private');
  });

  it('11.6: an admission is told to those who listen to admissions, and to nobody else', async () => {
    const { call, events } = await start({ tools: { run: ['tools/run'] } });
    const [heard, others]: AuthplaneEvent[][] = [[], []];
    events.onEvent((event) => others?.push(event));
    const end = events.onEvent((event) => heard?.push(event), { admissions: true });
    await call('other');
    await call('tools/run');
    end();
    await call('tools/run');
    const { issuer } = authorizationServer;
    expect(heard).toEqual([
      {
        type: 'admitted',
        caller: expect.objectContaining({
          method: 'access_token',
          resource: RESOURCE,
          issuer,
          sub: 'alice',
        }),
        operations: [{ method: 'tools/call', name: 'run' }],
      },
    ]);
    expect(others).toEqual([]); // nobody here answers the refusal
  });
});
