export {
  type IoredisClient,
  type NodeRedisClient,
  type NodeRedisSetOptions,
  redisReplayStore,
  type RedisReplayStoreOptions,
} from './replay-store.js';
