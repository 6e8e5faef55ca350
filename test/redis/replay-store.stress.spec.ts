import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { hasRedisServer, RedisServer, ResourceProcesses } from '../support/servers/redis-server.js';

const ROUNDS = process.env['AUTHPLANE_STRESS'] === undefined ? 50 : 1000;
const COPIES = 100;
const PROCESSES = ['ioredis', 'redis', 'ioredis', 'redis'] as const;

const describeWithRedis = hasRedisServer() ? describe : describe.skip;

describeWithRedis('one resource in several processes', () => {
  const server = new RedisServer();
  const processes = new ResourceProcesses();
  const resource = 'http://127.0.0.1:3000/mcp';
  let authorizationServer: StandInAuthorizationServer;

  beforeAll(async () => {
    await server.start();
    authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    await processes.start(PROCESSES, { url: server.url, issuer, resource });
  });
  afterAll(async () => {
    await processes.stop();
    await authorizationServer.close();
    await server.remove();
  });

  it(`F21, T31: of ${COPIES} copies of a proof on 4 processes exactly one is accepted, ${ROUNDS} times`, async () => {
    const key = await generateDPoPKey();
    const cnf = { jkt: key.thumbprint };
    const accessToken = await authorizationServer.issueToken({ aud: [resource], cnf });
    let voided = 0;
    for (let round = 0; round < ROUNDS + voided; round++) {
      const proof = dpopProof(key, { method: 'POST', url: resource, accessToken });
      const headers = ['Authorization', `DPoP ${accessToken}`, 'DPoP', proof];
      const request = { method: 'POST', url: '/mcp', headers };
      const outcome = await processes.send(request, COPIES / PROCESSES.length);
      if (outcome.unavailable === 0) {
        expect(outcome).toEqual({ accepted: 1, replays: COPIES - 1, unavailable: 0 });
      } else {
        // The machine stood still for 250 ms, and the copy that was first may be among the refused.
        expect(outcome.accepted).toBeLessThanOrEqual(1);
        voided += 1;
        expect(voided).toBeLessThan(ROUNDS); // another round follows each of them
      }
    }
  });
});
