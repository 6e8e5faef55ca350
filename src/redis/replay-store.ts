import { within } from '../core/lib/deadline.js';
import { ConfigurationError } from '../core/errors/configuration-error.js';
import {
  type DPoPReplayStore,
  REPLAY_DEADLINE_MS,
  ReplayStoreError,
  requireLiveExpiry,
} from '../core/dpop/replay-store.js';

/** What is used of an `ioredis` client or cluster. */
export interface IoredisClient {
  /** `SET key value PX milliseconds NX`. */
  set(key: string, value: string, px: 'PX', milliseconds: number, nx: 'NX'): Promise<unknown>;
  /** Tells the two libraries apart; never called. */
  readonly setBuffer: unknown;
}

/** What is used of a `redis` (node-redis 4 and later) client, pool, cluster or sentinel. */
export interface NodeRedisClient {
  /** `SET key value` with options. */
  set(key: string, value: string, options: NodeRedisSetOptions): Promise<unknown>;
  /** Tells the two libraries apart; never called. */
  readonly SET: unknown;
}

/** Both spellings node-redis has had: a version that knew neither would set without a condition. */
export interface NodeRedisSetOptions {
  /** Only if the key is not there (node-redis 5 and later). */
  condition: 'NX';
  /** Time to live (node-redis 5 and later). */
  expiration: { type: 'PX'; value: number };
  /** Only if the key is not there (node-redis 4). */
  NX: true;
  /** Time to live in milliseconds (node-redis 4). */
  PX: number;
}

/** Options of {@link redisReplayStore}. */
export interface RedisReplayStoreOptions {
  /** In front of every key. Resources that must not share proofs need no prefix of their own. Default `authplane:dpop:`. */
  readonly keyPrefix?: string;
}

/** Commands under way at once; more means that the server does not keep up. */
const MAX_PENDING = 1000;
/** Not a word for so long: the connection may be dead without anybody having noticed. */
const SILENCE_MS = 1000;
/**
 * Then commands go out so far apart, because an idle timeout of a client (`socketTimeout`) counts
 * whatever is written as life.
 */
const PROBE_EVERY_MS = 5000;

const OK = Buffer.from('OK');

type SetIfAbsent = (key: string, ttlMs: number) => Promise<unknown>;

/**
 * Replay memory that processes share in Redis or Valkey: one `SET … NX PX` for each proof.
 *
 * Pass a connected client of `ioredis` or `redis`; it stays yours to close, and needs an `error`
 * listener. Give the server `maxmemory-policy noeviction`: an evicted entry is a proof that can be
 * used again. So is a write that a fail-over to an asynchronous replica loses, until the proof is too
 * old; nonces (`inboundDPoP.nonce`) narrow that. A server that does not answer within 250 ms has not
 * answered: `ReplayStoreError`. After a second of silence hardly anything is sent, so that the client's
 * own `socketTimeout` can find out that its connection is dead: give it one of 2 to 4 seconds.
 *
 * @throws ConfigurationError when the client is of neither library.
 */
export function redisReplayStore(
  client: IoredisClient | NodeRedisClient,
  { keyPrefix = 'authplane:dpop:' }: RedisReplayStoreOptions = {},
): DPoPReplayStore {
  const setIfAbsent = commandOf(client);
  const connection = new WatchedConnection();
  const send: SetIfAbsent = (key, ttl) =>
    connection.run(() => setIfAbsent(`${keyPrefix}${key}`, ttl));
  const timeoutError = () =>
    new ReplayStoreError(`Redis gave no answer within ${REPLAY_DEADLINE_MS} ms`);
  return {
    async checkAndStore(key, expiresAtSeconds) {
      const ttl = ttlMs(expiresAtSeconds);
      connection.requireFit();
      return isFirst(await within(REPLAY_DEADLINE_MS, () => send(key, ttl), timeoutError));
    },
  };
}

/** What can be told of a connection from when it answers. */
class WatchedConnection {
  #pending = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  /** When the first command went out that was followed by no answer at all. */
  #silentSince: number | undefined;

  /** @throws ReplayStoreError when another command would do more harm than good. */
  requireFit(now = performance.now()): void {
    if (this.#pending >= MAX_PENDING) throw new ReplayStoreError('Redis does not keep up');
    const silence = now - (this.#silentSince ?? now);
    if (silence < SILENCE_MS || now - this.#sentAt >= PROBE_EVERY_MS) return;
    throw new ReplayStoreError('Redis has gone silent; set socketTimeout of its client');
  }

  async run(command: () => Promise<unknown>): Promise<unknown> {
    this.#pending++;
    this.#sentAt = performance.now();
    this.#silentSince ??= this.#sentAt;
    try {
      return await command();
    } finally {
      this.#pending--; // not at the deadline: a command that is given up is still under way
      this.#silentSince = undefined;
    }
  }
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
  requireLiveExpiry(expiresAtSeconds, Date.now() / 1000);
  return Math.max(1, ttl);
}

/**
 * A client with a type mapping of node-redis gives the bytes of a text. A reply of any other kind
 * belongs to another command, and proves nothing.
 */
function isFirst(reply: unknown): boolean {
  if (reply === 'OK' || (Buffer.isBuffer(reply) && reply.equals(OK))) return true;
  if (reply === null) return false;
  throw new ReplayStoreError('Redis gave an unexpected reply to SET');
}
