import { within } from '../core/deadline.js';
import { ConfigurationError } from '../core/errors.js';
import {
  type DPoPReplayStore,
  REPLAY_DEADLINE_MS,
  ReplayStoreError,
} from '../core/replay-store.js';

/** What is used of an `ioredis` client or cluster. */
export interface IoredisClient {
  set(key: string, value: string, px: 'PX', milliseconds: number, nx: 'NX'): Promise<unknown>;
  /** Tells the two libraries apart; never called. */
  readonly setBuffer: unknown;
}

/** What is used of a `redis` (node-redis 4 and later) client, pool, cluster or sentinel. */
export interface NodeRedisClient {
  set(key: string, value: string, options: NodeRedisSetOptions): Promise<unknown>;
  /** Tells the two libraries apart; never called. */
  readonly SET: unknown;
}

/** Both spellings node-redis has had: a version that knew neither would set without a condition. */
export interface NodeRedisSetOptions {
  condition: 'NX';
  expiration: { type: 'PX'; value: number };
  NX: true;
  PX: number;
}

export interface RedisReplayStoreOptions {
  /** In front of every key. Resources that must not share proofs need no prefix of their own. Default `authplane:dpop:`. */
  readonly keyPrefix?: string;
}

/** Commands under way at once; more means that the server does not keep up. */
const MAX_PENDING = 1000;

type SetIfAbsent = (key: string, ttlMs: number) => Promise<unknown>;

/**
 * Replay memory that processes share in Redis or Valkey: one `SET … NX PX` for each proof.
 *
 * Pass a connected client of `ioredis` or `redis`; it stays yours to close, and needs an `error`
 * listener. Give the server `maxmemory-policy noeviction`: an evicted entry is a proof that can be
 * used again. So is a write that a fail-over to an asynchronous replica loses, until the proof is too
 * old; nonces (`inboundDPoP.nonce`) narrow that. A server that does not answer within 250 ms has not
 * answered: `ReplayStoreError`.
 *
 * @throws ConfigurationError when the client is of neither library.
 */
export function redisReplayStore(
  client: IoredisClient | NodeRedisClient,
  { keyPrefix = 'authplane:dpop:' }: RedisReplayStoreOptions = {},
): DPoPReplayStore {
  const setIfAbsent = commandOf(client);
  let pending = 0;
  const send: SetIfAbsent = async (key, ttl) => {
    pending++;
    try {
      return await setIfAbsent(`${keyPrefix}${key}`, ttl);
    } finally {
      pending--; // not at the deadline: a command that is given up is still under way
    }
  };
  const late = () => new ReplayStoreError(`Redis gave no answer within ${REPLAY_DEADLINE_MS} ms`);
  return {
    async checkAndStore(key, expiresAtSeconds) {
      if (pending >= MAX_PENDING) throw new ReplayStoreError('Redis does not keep up');
      const ttl = ttlMs(expiresAtSeconds);
      return isFirst(await within(REPLAY_DEADLINE_MS, () => send(key, ttl), late));
    },
  };
}

function commandOf(client: IoredisClient | NodeRedisClient): SetIfAbsent {
  if (isIoredis(client)) return (key, ttl) => client.set(key, '1', 'PX', ttl, 'NX');
  if (isNodeRedis(client)) {
    return (key, ttl) =>
      client.set(key, '1', {
        condition: 'NX',
        expiration: { type: 'PX', value: ttl },
        NX: true,
        PX: ttl,
      });
  }
  throw new ConfigurationError('redisReplayStore needs a client of ioredis or redis (node-redis)');
}

/** By structure, so that neither library has to be installed. */
function isIoredis(client: unknown): client is IoredisClient {
  return hasMethod(client, 'set') && hasMethod(client, 'setBuffer');
}

function isNodeRedis(client: unknown): client is NodeRedisClient {
  return hasMethod(client, 'set') && hasMethod(client, 'SET');
}

function hasMethod(value: unknown, name: string): boolean {
  return (
    typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
  );
}

/** A time to live, not a moment: the clock of the Redis server may differ. */
function ttlMs(expiresAtSeconds: number): number {
  const ttl = Math.ceil(expiresAtSeconds * 1000 - Date.now());
  if (!Number.isSafeInteger(ttl))
    throw new ReplayStoreError('a replay entry needs a finite expiry');
  return Math.max(1, ttl);
}

/** A reply of any other kind belongs to another command, and proves nothing. */
function isFirst(reply: unknown): boolean {
  if (reply === 'OK') return true;
  if (reply === null) return false;
  throw new ReplayStoreError('Redis gave an unexpected reply to SET');
}
