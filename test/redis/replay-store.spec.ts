import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { createClient, RESP_TYPES } from 'redis';
import { dpopProof, generateDPoPKey, startAuthorizationServer } from 'authplane-nestjs/testing';

import { AuthplaneClient } from '../../src/core/client.js';
import type { AuthplaneError } from '../../src/core/errors/authplane-error.js';
import { ConfigurationError } from '../../src/core/errors/configuration-error.js';
import { DPoPReplayDetectedError } from '../../src/core/errors/dpop-errors.js';
import { ReplayStoreError } from '../../src/core/dpop/replay-store.js';
import {
  type IoredisClient,
  type NodeRedisClient,
  redisReplayStore,
} from '../../src/redis/index.js';
import { hasRedisServer, pause, RedisServer, Relay } from '../support/servers/redis-server.js';
import { unhandledRejections } from '../support/tokens/unhandled-rejections.js';
import { replayChecked } from '../support/tokens/dpop-proofs.js';

interface Connected {
  readonly client: IoredisClient | NodeRedisClient;
  readonly pttl: (key: string) => Promise<number>;
  readonly close: () => Promise<unknown>;
}

const LIBRARIES: Record<string, (url: string) => Promise<Connected>> = {
  ioredis: async (url) => {
    const client = new Redis(url, { maxRetriesPerRequest: 1 });
    client.on('error', () => undefined);
    await client.ping();
    return {
      client,
      pttl: (key) => client.pttl(key),
      close: async () => client.disconnect(),
    };
  },
  redis: async (url) => {
    const client = createClient({ url });
    client.on('error', () => undefined);
    await client.connect();
    return {
      client,
      pttl: (key) => client.pTTL(key),
      close: async () => client.destroy(),
    };
  },
};

const inSeconds = (seconds: number) => Date.now() / 1000 + seconds;

const rejections = unhandledRejections();

const describeWithRedis = hasRedisServer() ? describe : describe.skip;

describeWithRedis.each(Object.keys(LIBRARIES))('redisReplayStore with %s', (library) => {
  const server = new RedisServer();
  let connected: Connected;

  beforeAll(async () => {
    await server.start();
    const connect = LIBRARIES[library];
    if (connect === undefined) throw new Error('no such library');
    connected = await connect(server.url);
  });
  afterAll(async () => {
    await connected.close();
    await server.remove();
  });

  it('rfc9449-dpop-replay-must-be-detected: first and second use', async () => {
    const store = redisReplayStore(connected.client);
    expect(await store.checkAndStore('key-1', inSeconds(60))).toBe(true);
    expect(await store.checkAndStore('key-1', inSeconds(60))).toBe(false);
    expect(await store.checkAndStore('key-2', inSeconds(60))).toBe(true);
    const check = replayChecked(store, 'key-2', inSeconds(60));
    await expect(check).rejects.toBeInstanceOf(DPoPReplayDetectedError);
  });

  it('keeps an entry until its expiry, under the prefix', async () => {
    await redisReplayStore(connected.client).checkAndStore('ttl-1', inSeconds(60));
    await redisReplayStore(connected.client, { keyPrefix: 'mine:' }).checkAndStore(
      'ttl-1',
      inSeconds(600),
    );
    const [ours, mine] = await Promise.all([
      connected.pttl('authplane:dpop:ttl-1'),
      connected.pttl('mine:ttl-1'),
    ]);
    expect(ours).toBeGreaterThan(30_000);
    expect(ours).toBeLessThanOrEqual(60_001);
    expect(mine).toBeGreaterThan(500_000);
  });

  it('10.11d: an entry that has expired already is refused, not stored for a moment', async () => {
    const store = redisReplayStore(connected.client);
    const late = replayChecked(store, 'short', inSeconds(-1));
    await expect(late).rejects.toThrow(/expired before it was stored.*compare the clocks/);
    expect(await connected.pttl('authplane:dpop:short')).toBe(-2);
  });

  it('rfc9449-dpop-replay-store-must-evict-expired-entries', async () => {
    const store = redisReplayStore(connected.client);
    expect(await store.checkAndStore('brief', inSeconds(0.3))).toBe(true);
    await eventually(async () => expect(await connected.pttl('authplane:dpop:brief')).toBe(-2));
    expect(await store.checkAndStore('brief', inSeconds(60))).toBe(true);
  });

  it('refuses an expiry that is no time', async () => {
    const store = redisReplayStore(connected.client);
    for (const expiry of [Number.NaN, Infinity]) {
      await expect(store.checkAndStore('n', expiry)).rejects.toBeInstanceOf(ReplayStoreError);
    }
  });

  it('F23: a server that hangs is refused after 250 ms, and used again afterwards', async () => {
    const store = redisReplayStore(connected.client);
    server.signal('SIGSTOP');
    const checks = Array.from({ length: 20 }, (_, i) =>
      replayChecked(store, `h-${i}`, inSeconds(60)),
    );
    const outcomes = await Promise.allSettled(checks);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { message: expect.stringContaining('250 ms') } });
    }
    server.signal('SIGCONT');
    await eventually(() => replayChecked(store, randomUUID(), inSeconds(60)));
    const used = replayChecked(store, 'h-0', inSeconds(60)); // carried out late, and rightly kept
    await expect(used).rejects.toBeInstanceOf(DPoPReplayDetectedError);
  });

  it('hardening: F23: that holds for whoever uses the store directly', async () => {
    const store = redisReplayStore(connected.client);
    server.signal('SIGSTOP');
    const check = store.checkAndStore('direct', inSeconds(60));
    await expect(check).rejects.toBeInstanceOf(ReplayStoreError);
    server.signal('SIGCONT');
    await eventually(async () => {
      expect(await store.checkAndStore('direct', inSeconds(60))).toBe(false);
    });
  });

  it('P16: holds an entry up to its last instant', async () => {
    const store = redisReplayStore(connected.client);
    const expiry = inSeconds(0.5);
    const check = async () => store.checkAndStore('edge', expiry);
    expect(await check()).toBe(true);
    for (;;) {
      const first = await check().catch(() => false); // a crowded machine
      if (inSeconds(0) > expiry) break; // it may have expired before it was asked for
      expect(first).toBe(false);
    }
  });

  it('P16: a proof is accepted once, up to its last instant and after it', async () => {
    const authorizationServer = await startAuthorizationServer();
    const { issuer } = authorizationServer;
    const client = await AuthplaneClient.create({ issuer, devMode: true });
    const resource = client.resource({
      resource: 'http://127.0.0.1:3000/mcp',
      inboundDPoP: {
        replayStore: redisReplayStore(connected.client),
        maxProofAgeSeconds: 3,
        clockSkewSeconds: 0,
      },
    });
    const key = await generateDPoPKey();
    const cnf = { jkt: key.thumbprint };
    const accessToken = await authorizationServer.issueToken({ aud: [resource.resource], cnf });
    const codes = new Set<string>();
    try {
      await pause(1_000 - (Date.now() % 1_000)); // `iat` has whole seconds
      const request = () => {
        const proof = dpopProof(key, { method: 'POST', url: resource.resource, accessToken });
        return { method: 'POST', url: '/mcp', proof };
      };
      let dpopRequest = request();
      await eventually(async () => {
        dpopRequest = request();
        await resource.verify(accessToken, { dpopRequest });
      });
      for (const end = inSeconds(4); inSeconds(0) < end; await pause(2)) {
        const refusal = await resource.verify(accessToken, { dpopRequest }).catch(codeOf);
        codes.add(String(refusal));
      }
    } finally {
      client.close();
      await authorizationServer.close();
    }
    codes.delete('replay_store_unavailable'); // on a crowded machine
    expect([...codes]).toEqual(['dpop_replay_detected', 'invalid_dpop_proof']);
  });

  it('F22: a server that goes away is refused meanwhile and used again without a restart', async () => {
    const store = redisReplayStore(connected.client);
    await replayChecked(store, 'before', inSeconds(60));
    await server.stop();
    for (let i = 0; i < 5; i++) {
      const check = replayChecked(store, `meanwhile-${i}`, inSeconds(60));
      await expect(check).rejects.toBeInstanceOf(ReplayStoreError);
    }
    await server.start();
    await eventually(() => replayChecked(store, `after-${Math.random()}`, inSeconds(60)));
    await replayChecked(store, 'after', inSeconds(60));
    const second = replayChecked(store, 'after', inSeconds(60));
    await expect(second).rejects.toBeInstanceOf(DPoPReplayDetectedError);
    expect(rejections).toEqual([]);
  });
});

describeWithRedis('10.14: node-redis with a type mapping to bytes', () => {
  it('first and second use', async () => {
    const server = new RedisServer();
    await server.start();
    const plain = createClient({ url: server.url }).on('error', () => undefined);
    await plain.connect();
    const types = [RESP_TYPES.SIMPLE_STRING, RESP_TYPES.BLOB_STRING];
    const client = plain.withTypeMapping(Object.fromEntries(types.map((type) => [type, Buffer])));
    const store = redisReplayStore(client);
    try {
      expect(await store.checkAndStore('k', inSeconds(60))).toBe(true);
      expect(await store.checkAndStore('k', inSeconds(60))).toBe(false);
    } finally {
      plain.destroy();
      await server.remove();
    }
  });
});

describeWithRedis('10.11d: a connection that dies without a sign, under traffic', () => {
  const server = new RedisServer();
  const relay = new Relay();

  beforeAll(async () => {
    await server.start();
    await relay.start(server.port);
  });
  afterAll(async () => {
    await relay.stop();
    await server.remove();
  });

  it.each(['ioredis', 'redis'] as const)(
    '%s with socketTimeout is back by itself',
    async (name) => {
      const socketTimeout = 2000;
      const { port } = relay;
      const redis =
        name === 'ioredis'
          ? new Redis({ port, socketTimeout })
          : createClient({
              socket: { port, socketTimeout, reconnectStrategy: 100 },
            });
      redis.on('error', () => undefined);
      if (!(redis instanceof Redis)) await redis.connect();
      const store = redisReplayStore(redis);
      const isBack = async () => {
        for (let tries = 0; tries < 200; tries++) {
          const answer = await replayChecked(store, randomUUID(), inSeconds(60)).catch(
            () => 'away',
          );
          if (answer === undefined) return true;
          await pause(50);
        }
        return false;
      };
      try {
        expect(await isBack()).toBe(true);
        relay.silence();
        expect(await isBack()).toBe(true);
      } finally {
        if (redis instanceof Redis) redis.disconnect();
        else redis.destroy();
      }
    },
  );
});

describe('redisReplayStore without a server', () => {
  const ioredisThat = (set: () => Promise<unknown>) => ({ set, setBuffer: () => undefined });
  const nodeRedisThat = (set: () => Promise<unknown>) => ({ set, SET: () => undefined });

  it('refuses a client of neither library', () => {
    const others: unknown[] = [{}, { set: () => undefined }, null, undefined, 'redis://localhost'];
    for (const client of others) {
      expect(() => redisReplayStore(client as IoredisClient)).toThrow(ConfigurationError);
    }
  });

  it.each(['QUEUED', 'ok', '', 1, true, undefined, [], {}, Buffer.from('ok'), Buffer.from('')])(
    'F25: takes the reply %p for none, never for a first use',
    async (reply) => {
      for (const client of [
        ioredisThat(() => Promise.resolve(reply)),
        nodeRedisThat(() => Promise.resolve(reply)),
      ]) {
        const answer = redisReplayStore(client).checkAndStore('k', inSeconds(60));
        await expect(answer).rejects.toBeInstanceOf(ReplayStoreError);
      }
    },
  );

  it('10.14: OK as bytes is a yes', async () => {
    for (const client of [
      ioredisThat(() => Promise.resolve(Buffer.from('OK'))),
      nodeRedisThat(() => Promise.resolve(Buffer.from('OK'))),
    ]) {
      expect(await redisReplayStore(client).checkAndStore('k', inSeconds(60))).toBe(true);
    }
  });

  it('F22: a client that throws at once, or rejects, ends in a ReplayStoreError', async () => {
    const throwing = ioredisThat(() => {
      throw new Error('closed');
    });
    for (const client of [throwing, nodeRedisThat(() => Promise.reject(new Error('closed')))]) {
      const check = replayChecked(redisReplayStore(client), 'k', inSeconds(60));
      await expect(check).rejects.toBeInstanceOf(ReplayStoreError);
    }
  });

  it('hardening: F23: one that never answers is given up, and counts as under way', async () => {
    const store = redisReplayStore(ioredisThat(() => new Promise(() => undefined)));
    const checks = Array.from({ length: 1000 }, async () => store.checkAndStore('k', inSeconds(9)));
    const given = await Promise.allSettled(checks);
    for (const outcome of given) {
      expect(outcome).toMatchObject({ reason: expect.any(ReplayStoreError) });
    }
    await expect(store.checkAndStore('k', inSeconds(9))).rejects.toThrow('keep up');
  });

  it('F23: does not pile up commands, and goes on when they settle', async () => {
    const settle: ((reply: string) => void)[] = [];
    const client = ioredisThat(() => new Promise((resolve) => settle.push(resolve)));
    const store = redisReplayStore(client);
    const under = Array.from({ length: 1000 }, async () => store.checkAndStore('k', inSeconds(60)));
    await expect(store.checkAndStore('k', inSeconds(60))).rejects.toThrow('keep up');
    for (const reply of settle) reply('OK');
    expect(await Promise.all(under)).toHaveLength(1000);
    const next = store.checkAndStore('k', inSeconds(60));
    settle.at(-1)?.('OK');
    expect(await next).toBe(true);
  });
});

function codeOf(error: AuthplaneError): string {
  return error.code;
}

async function eventually(attempt: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries > 100) throw error;
      await pause(100);
    }
  }
}
