/** Starts both applications of MCP-Nest in a process of their own. */
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { canvases, configureCanvases } from './canvases.js';
import { greetings, greetingsStrategy } from './greetings.js';

const [platform, ...ports] = process.argv.slice(2);
const { AUTHPLANE_ISSUER: issuer = '' } = process.env;
const [first, second] = ports.map((port) => `http://127.0.0.1:${port}`);

const ofCanvases = await create(canvases(issuer, String(first)));
await listen(ofCanvases, configureCanvases(ofCanvases), ports[0]);
const ofGreetings = await create(greetings(issuer, String(second)));
await listen(ofGreetings, greetingsStrategy, ports[1]);
process.on('disconnect', () => process.exit()); // the tests are gone
process.send?.('ready');

function create(module: new () => object) {
  const adapter = platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  return NestFactory.create(module, adapter, { logger: ['error', 'warn'] });
}

async function listen(
  app: Awaited<ReturnType<typeof create>>,
  strategy: typeof greetingsStrategy,
  port: string | undefined,
): Promise<void> {
  app.connectMicroservice({ strategy });
  await app.startAllMicroservices();
  await app.listen(Number(port), '127.0.0.1');
}
