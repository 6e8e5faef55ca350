import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { DPoPReplayStore } from 'authplane-nestjs';
import { redisReplayStore } from 'authplane-nestjs/redis';
import { createClient } from 'redis';
import {
  type DPoPKey,
  dpopProof,
  generateDPoPKey,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { hasRedisServer, RedisServer } from '../../support/servers/redis-server.js';
import { plainApp } from '../../support/nest/plain-app.js';
import { freePort, platforms, type RunningApp, startApp } from '../../support/nest/start-app.js';
import { onUnhandledRejection } from '../../support/tokens/unhandled-rejections.js';

interface Connected {
  readonly store: DPoPReplayStore;
  close(): Promise<void>;
}

const libraries: Record<string, (port: number) => Promise<Connected>> = {
  ioredis: (port) => {
    const client = new Redis(port, { retryStrategy: () => 100 });
    client.on('error', () => undefined);
    const close = () => Promise.resolve(client.disconnect());
    return Promise.resolve({ store: redisReplayStore(client), close });
  },
  'node-redis': async (port) => {
    const socket = { port, reconnectStrategy: 100 };
    const client = createClient({ socket });
    client.on('error', () => undefined);
    await client.connect();
    const close = () => Promise.resolve(client.destroy());
    return { store: redisReplayStore(client), close };
  },
};

const withRedis = hasRedisServer() ? describe : describe.skip;

const cells = platforms.flatMap((platform) =>
  Object.keys(libraries).map((library) => ({ platform, library })),
);

withRedis.each(cells)('F22: Redis goes away under load, $library on $platform', (cell) => {
  const redis = new RedisServer();
  const rejections: unknown[] = [];
  let stopListening: () => void;
  let connected: Connected;
  let authorizationServer: StandInAuthorizationServer;
  let app: RunningApp;
  let key: DPoPKey;
  let resource: string;

  beforeAll(async () => {
    stopListening = onUnhandledRejection((reason) => rejections.push(reason));
    await redis.start();
    const connect = libraries[cell.library] as (port: number) => Promise<Connected>;
    connected = await connect(redis.port);
    authorizationServer = await startAuthorizationServer();
    key = await generateDPoPKey();
    const port = await freePort();
    resource = `http://127.0.0.1:${port}/things`;
    const inboundDPoP = { replayStore: connected.store };
    const options = { issuer: authorizationServer.issuer, resource, devMode: true, inboundDPoP };
    app = await startApp(plainApp(options), { platform: cell.platform, port });
  });

  afterAll(async () => {
    await app.close();
    await authorizationServer.close();
    await connected.close();
    await redis.remove();
    stopListening();
  });

  it('answers DPoP requests with 503 meanwhile, serves bearer requests, and recovers by itself', async () => {
    const bound = await authorizationServer.issueToken({
      aud: [resource],
      cnf: { jkt: key.thumbprint },
    });
    const bearer = await authorizationServer.issueToken({ aud: [resource] });
    const statuses = { dpop: new Set<number>(), bearer: new Set<number>() };
    const dpop = () => {
      const proof = dpopProof(key, { method: 'GET', url: resource, accessToken: bound });
      return fetch(resource, { headers: { authorization: `DPoP ${bound}`, dpop: proof } });
    };
    let running = true;
    const load = Array.from({ length: 4 }, async () => {
      while (running) {
        const [first, second] = await Promise.all([
          dpop(),
          fetch(resource, { headers: { authorization: `Bearer ${bearer}` } }),
        ]);
        await Promise.all([first.arrayBuffer(), second.arrayBuffer()]);
        statuses.dpop.add(first.status);
        statuses.bearer.add(second.status);
      }
    });

    try {
      while (!statuses.dpop.has(200)) await delay(20);
      await redis.stop();
      while (!statuses.dpop.has(503)) await delay(20);
      const refused = await dpop();
      expect(refused.status).toBe(503);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(refused.headers.get('www-authenticate')).toBeNull();
      expect(await refused.json()).toEqual({ error: 'temporarily_unavailable' });

      await redis.start();
      const back = performance.now();
      let recovered = 503;
      while (recovered === 503 && performance.now() - back < 60_000)
        recovered = (await dpop()).status;
      expect(recovered).toBe(200);
    } finally {
      running = false;
      await Promise.all(load);
    }
    expect([...statuses.dpop].sort()).toEqual([200, 503]);
    expect([...statuses.bearer]).toEqual([200]);
    expect(rejections).toEqual([]);
  });
});
