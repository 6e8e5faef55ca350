import { Test } from '@nestjs/testing';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { INestApplication, ModuleMetadata, NestApplicationOptions } from '@nestjs/common';
import type { Server } from 'node:http';

export { freePort } from '../servers/free-port.js';

export const platforms = ['fastify', 'express'] as const;
export type Platform = (typeof platforms)[number];

export interface RunningApp {
  readonly app: INestApplication;
  readonly url: string;
  close(): Promise<void>;
}

type FastifyOptions = Extract<
  ConstructorParameters<typeof FastifyAdapter>[0],
  { routerOptions?: unknown }
>;

export interface StartOptions {
  readonly platform: Platform;
  readonly port?: number;
  /** Options of the Fastify adapter. */
  readonly fastify?: FastifyOptions;
  readonly application?: Pick<NestApplicationOptions, 'bodyParser' | 'rawBody'>;
  /** Prefix, versioning and whatever else an application sets before it listens. */
  readonly configure?: (app: INestApplication) => unknown;
}

export async function startApp(
  metadata: ModuleMetadata,
  { platform, port = 0, application, fastify, configure }: StartOptions,
): Promise<RunningApp> {
  const module = await Test.createTestingModule(metadata).compile();
  const app = module.createNestApplication(
    platform === 'fastify' ? new FastifyAdapter(fastify) : new ExpressAdapter(),
    { logger: false, ...application },
  );
  await configure?.(app);
  // A machine that stands still for seconds must not close a connection that is about to be used.
  (app.getHttpServer() as Server).keepAliveTimeout = 300_000;
  await app.listen(port, '127.0.0.1');
  return { app, url: await app.getUrl(), close: () => app.close() };
}

/** On a platform that believes these proxies. */
export function startTrusting(platform: Platform, proxies: string | boolean = false): StartOptions {
  if (platform === 'fastify') return { platform, fastify: { trustProxy: proxies } };
  return {
    platform,
    configure: (app) => {
      const express = app.getHttpAdapter().getInstance() as {
        set(name: string, value: unknown): unknown;
      };
      express.set('trust proxy', proxies);
    },
  };
}
