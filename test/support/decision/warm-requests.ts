import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { AuthplaneClient } from 'authplane-nestjs/core';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { NO_SCOPES } from '../../../src/core/lib/scopes.js';
import type { ResolvedNames } from '../../../src/core/names/settings.js';
import type { ResolvedGuardOptions } from '../../../src/core/options.js';
import { letIn } from '../../../src/nest/decision.js';
import type { HttpExchange } from '../../../src/nest/http/exchange.js';
import { ProtectedResources } from '../../../src/nest/resources/protected-resources.js';

export const BASE = 'http://127.0.0.1:3000';
const RESOURCE = `${BASE}/mcp`;

const calling = { method: 'tools/call', params: { name: 'x', arguments: {} } };
/** What is posted to the MCP endpoint; a plain GET elsewhere without it. */
export const MESSAGES: Readonly<Record<string, object | undefined>> = {
  'a plain request': undefined,
  'a call': { jsonrpc: '2.0', id: 1, ...calling },
  'a list': { jsonrpc: '2.0', id: 1, method: 'tools/list' },
};

export interface Asked {
  readonly names?: ResolvedNames | undefined;
  readonly body?: object | undefined;
  readonly guarded?: Pick<ResolvedGuardOptions, 'otherCredentials' | 'user'>;
}

export interface WarmRequests {
  /** A request of a caller who has been here before. */
  make(): HttpExchange;
  decide(exchange?: HttpExchange): ReturnType<typeof letIn>;
  readonly application: ProtectedResources;
  close(): Promise<void>;
}

export async function startWarmRequests({
  names,
  body,
  guarded,
}: Asked = {}): Promise<WarmRequests> {
  const authorizationServer = await startAuthorizationServer();
  const client = await AuthplaneClient.create({
    issuer: authorizationServer.issuer,
    devMode: true,
  });
  const application = new ProtectedResources(client.resource({ resource: RESOURCE }), {
    devMode: true,
    enforceScopesOnAllRequests: false,
    mcp: {},
    warnings: [],
    names,
    ...guarded,
  });
  const token = await authorizationServer.issueToken({ aud: RESOURCE, sub: 'alice' });
  const socket = new Socket();
  const make = () => {
    const request: IncomingMessage & { body?: unknown } = new IncomingMessage(socket);
    const headers = {
      host: '127.0.0.1:3000',
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const sent =
      body === undefined ? { method: 'GET', url: '/things' } : { method: 'POST', url: '/mcp' };
    Object.assign(request, { ...sent, headers, body: structuredClone(body) });
    request.rawHeaders = Object.entries(headers).flat();
    return { request, reply: new ServerResponse(request) };
  };
  const policy = { isPublic: false, isMcpEndpoint: body !== undefined, needs: NO_SCOPES };
  const decide = (exchange: HttpExchange = make()) =>
    letIn(exchange, { ...policy, protectedBy: application.main }, application);
  const close = async () => {
    client.close();
    await authorizationServer.close();
  };
  await decide();
  return { make, decide, application, close };
}
