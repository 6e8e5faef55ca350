import { afterEach, describe, expect, it, test, vi } from 'vitest';
import { createHook } from 'node:async_hooks';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { AuthplaneClient } from 'authplane-nestjs/core';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { NO_SCOPES } from '../../src/core/lib/scopes.js';
import { type ResolvedNames, withNames } from '../../src/core/names/settings.js';
import { AppUsers } from '../../src/nest/callers/app-user.js';
import { OtherCredentialsCheck } from '../../src/nest/callers/other-credentials.js';
import { letIn } from '../../src/nest/decision.js';
import type { HttpExchange } from '../../src/nest/http/exchange.js';
import { requestState } from '../../src/nest/http/request.js';
import { ListRulings } from '../../src/nest/mcp/answers/list-rulings.js';
import { ManyResources } from '../../src/nest/resources/many-resources.js';
import { ProtectedResources } from '../../src/nest/resources/protected-resources.js';

const BASE = 'http://127.0.0.1:3000';
const RESOURCE = `${BASE}/mcp`;

let authorizationServer: StandInAuthorizationServer;
let client: AuthplaneClient;
afterEach(async () => {
  client.close();
  await authorizationServer.close();
});

interface Asked {
  readonly names?: ResolvedNames | undefined;
  /** What is posted to the MCP endpoint; a plain GET elsewhere without it. */
  readonly body?: object;
}

interface Warm {
  /** A request of a caller who has been here before. */
  make(): HttpExchange;
  decide(exchange?: HttpExchange): ReturnType<typeof letIn>;
}

async function warmRequests({ names, body }: Asked = {}): Promise<Warm> {
  authorizationServer = await startAuthorizationServer();
  client = await AuthplaneClient.create({ issuer: authorizationServer.issuer, devMode: true });
  const resource = client.resource({ resource: RESOURCE });
  const options = {
    devMode: true,
    enforceScopesOnAllRequests: false,
    mcp: {},
    warnings: [],
    names,
  };
  const application = new ProtectedResources(resource, options);
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
  await decide();
  return { make, decide };
}

/** Promises that are made while the work begins. */
function promisesIn(work: () => unknown): number {
  let count = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') count++;
    },
  }).enable();
  work();
  hook.disable();
  return count;
}

const calling = { method: 'tools/call', params: { name: 'x', arguments: {} } };
const messages: readonly (readonly [string, object | undefined])[] = [
  ['a plain request', undefined],
  ['a call', { jsonrpc: '2.0', id: 1, ...calling }],
  ['a list', { jsonrpc: '2.0', id: 1, method: 'tools/list' }],
];

/** Bytes for each decision once everything is compiled; the least, for others are of whatever else there is. */
function bytesOf({ make, decide }: Warm): number {
  const measured = Array.from({ length: 10 }, () => {
    const exchanges = Array.from({ length: 200 }, make);
    const before = process.memoryUsage().heapUsed;
    for (const exchange of exchanges) void decide(exchange);
    return (process.memoryUsage().heapUsed - before) / exchanges.length;
  });
  return Math.min(...measured.filter((bytes) => bytes > 0)); // not where garbage was collected
}

describe('12: an application that uses nothing of it', () => {
  test.each(messages)('%s makes no promise, and enters nothing of it', async (_, body) => {
    const { make, decide } = await warmRequests({ ...(body === undefined ? {} : { body }) });
    const entered = [
      vi.spyOn(OtherCredentialsCheck.prototype, 'callerOf'),
      vi.spyOn(AppUsers.prototype, 'of'),
      vi.spyOn(AppUsers.prototype, 'publish'),
      vi.spyOn(ManyResources.prototype, 'of'),
      vi.spyOn(ListRulings.prototype, 'of'),
    ];
    const exchange = make();
    expect(promisesIn(() => decide(exchange))).toBe(0);
    expect(entered.filter(({ mock }) => mock.calls.length > 0)).toEqual([]);
    const { current, users, user, asked, isAnonymous } = requestState(exchange.request);
    expect(current?.claims.sub).toBe('alice');
    expect({ users, user, asked, isAnonymous }).toEqual({});
    for (const spy of entered) spy.mockRestore();
  });

  test('a decision takes no more memory than so much', async () => {
    expect(bytesOf(await warmRequests())).toBeLessThan(10_000); // 4,900 when this was written
  });
});

describe('12.4: what many names and paths cost', () => {
  it('an application that uses none of them pays nothing', async () => {
    const { decide } = await warmRequests();
    expect(promisesIn(decide)).toBe(0);
  });

  it('one that does pays for finding out which', async () => {
    const { decide } = await warmRequests({ names: withNames({ baseUrl: [BASE] }, true) });
    expect(promisesIn(decide)).toBeGreaterThan(0);
  });
});

test('13.2: a warm request is decided at once', async () => {
  const { decide } = await warmRequests();
  expect(decide()).toBeUndefined();
});
