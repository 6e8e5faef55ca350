/** Starts the MCP-Nest example as a process of its own: Jest on Node 20 cannot load it with Nest 12. */

import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { main } from './hosts-mcp-nest.js';

const [platform, port] = process.argv.slice(2);

await main(platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(), Number(port));
process.on('disconnect', () => process.exit()); // the tests are gone
process.send?.('ready');
