import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { expect, test } from 'vitest';
import { fastifyOf } from '../../../src/nest/http/fastify-hooks.js';

test('is the Fastify instance behind the adapter, whose hooks run', async () => {
  const adapter = new FastifyAdapter();
  const fastify = fastifyOf(adapter as never);
  expect(fastify).toBe(adapter.getInstance());
  const seen: unknown[] = [];
  fastify?.addHook('onRequest', ({ url, is404, raw }, _reply, done) => {
    seen.push([url, is404, raw.method]);
    done();
  });
  await adapter.inject({ url: '/nowhere?a=b' });
  expect(seen).toEqual([['/nowhere?a=b', true, 'GET']]);
  await adapter.close();
});

test('is none on Express', () => {
  expect(fastifyOf(new ExpressAdapter() as never)).toBeUndefined();
});
