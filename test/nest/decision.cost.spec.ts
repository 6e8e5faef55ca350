import { afterEach, describe, expect, it } from 'vitest';
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
import { inboundRequest } from '../../src/nest/http/request.js';
import { ProtectedResources } from '../../src/nest/resources/protected-resources.js';

const BASE = 'http://127.0.0.1:3000';
const RESOURCE = `${BASE}/mcp`;

let authorizationServer: StandInAuthorizationServer;
let client: AuthplaneClient;
afterEach(async () => {
  client.close();
  await authorizationServer.close();
});

/** Promises that a warm request makes, besides those of the verification itself. */
async function promisesOf(names?: ResolvedNames): Promise<number> {
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
  const all = await promisesIn(decide);
  const verify = () => resource.authenticate(inboundRequest(make().request));
  await verify();
  return all - (await promisesIn(verify));
}

async function promisesIn(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') count++;
    },
  }).enable();
  await work();
  hook.disable();
  return count;
}

describe('12.4: what many names and paths cost', () => {
  it('an application that uses none of them pays nothing', async () => {
    expect(await promisesOf()).toBe(4); // letIn, the caller, and where both wait
  });

  it('one that does pays for finding out which', async () => {
    const names = withNames({ baseUrl: [BASE] }, true);
    expect(await promisesOf(names)).toBeGreaterThan(4);
  });
});
