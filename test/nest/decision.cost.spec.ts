import { afterEach, describe, expect, it, test } from 'vitest';
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
import { letIn } from '../../src/nest/decision.js';
import { ProtectedResources } from '../../src/nest/resources/protected-resources.js';

const BASE = 'http://127.0.0.1:3000';
const RESOURCE = `${BASE}/mcp`;

let authorizationServer: StandInAuthorizationServer;
let client: AuthplaneClient;
afterEach(async () => {
  client.close();
  await authorizationServer.close();
});

/** One plain request of a caller who has been here before, as often as it is asked. */
async function warmRequests(names?: ResolvedNames): Promise<() => ReturnType<typeof letIn>> {
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
  const make = () => {
    const request: IncomingMessage & { body?: unknown } = new IncomingMessage(new Socket());
    const headers = { host: '127.0.0.1:3000', authorization: `Bearer ${token}` };
    Object.assign(request, { method: 'GET', url: '/things', headers });
    request.rawHeaders = Object.entries(headers).flat();
    return { request, reply: new ServerResponse(request) };
  };
  const policy = { isPublic: false, isMcpEndpoint: false, needs: NO_SCOPES };
  const decide = () => letIn(make(), { ...policy, protectedBy: application.main }, application);
  await decide();
  return decide;
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

describe('12.4: what many names and paths cost', () => {
  it('an application that uses none of them pays nothing', async () => {
    const decide = await warmRequests();
    expect(promisesIn(decide)).toBe(0);
  });

  it('one that does pays for finding out which', async () => {
    const decide = await warmRequests(withNames({ baseUrl: [BASE] }, true));
    expect(promisesIn(decide)).toBeGreaterThan(0);
  });
});

test('13.2: a warm request is decided at once', async () => {
  const decide = await warmRequests();
  expect(decide()).toBeUndefined();
});
