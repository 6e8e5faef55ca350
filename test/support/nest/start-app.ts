import { Test } from '@nestjs/testing';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { INestApplication, ModuleMetadata, NestApplicationOptions } from '@nestjs/common';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export { freePort } from '../servers/free-port.js';

export const platforms = ['fastify', 'express'] as const;
/** For applications beside servers of this machine; when it is crowded, that is no outage. */
export const ON_LOOPBACK = { devMode: true, requestTimeoutSeconds: 60 } as const;

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
  const server = app.getHttpServer() as Server;
  // A machine that stands still for seconds must not close a connection that is about to be used.
  server.keepAliveTimeout = 300_000;
  const close = quickClose(app);
  try {
    await configure?.(app);
    await app.listen(port, '127.0.0.1');
  } catch (error) {
    await close(); // one module may have started before another could not
    throw error;
  }
  return { app, url: await app.getUrl(), close };
}

/** An upload that its client has forgotten would be waited for until Node's own limit, for five minutes. */
const LONGEST_STOP_MS = 30_000;

/**
 * The stop of an application that does not listen yet. It closes connections that wait for a next request,
 * and those that have had none, for Node's fetch opens one where one was aborted: else it would wait for
 * them until the client closes them, seconds later.
 */
export function quickClose(app: INestApplication): () => Promise<void> {
  const server = app.getHttpServer() as Server;
  const unused = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }) => unused.delete(socket));
  const closeQuietOnes = (): void => {
    for (const socket of unused) socket.destroy();
    server.closeIdleConnections();
  };
  return async () => {
    const sweep = setInterval(closeQuietOnes, 10);
    const enough = setTimeout(() => server.closeAllConnections(), LONGEST_STOP_MS);
    await app.close().finally(() => {
      clearInterval(sweep);
      clearTimeout(enough);
    });
  };
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
