/** Two applications on one strategy of MCP-Nest 2: the first one serves the tools of both. */

import 'reflect-metadata';
import { createServer } from 'node:http';
import { Controller, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import {
  McpController,
  McpHttpControllerFor,
  McpStrategy,
  StreamableHttpTransport,
  Tool,
} from '@rekog/mcp-nest';
import { AuthplaneGuard, AuthplaneModule, authplaneOptionsFromEnv, Scopes } from 'authplane-nestjs';

const transport = new StreamableHttpTransport({ statefulMode: false });
const strategy = new McpStrategy({ name: 'both', version: '1.0.0', transports: [transport] });
const ran: string[] = [];

@Controller('mcp')
@UseGuards(AuthplaneGuard)
class HttpController extends McpHttpControllerFor(transport) {}

@McpController()
class OwnTools {
  @Scopes('x')
  @Tool({ name: 'own', description: 'x' })
  own() {
    ran.push('own');
    return 'own';
  }
}

@McpController()
class OtherTools {
  @Scopes('x')
  @Tool({ name: 'stray', description: 'x' })
  stray() {
    ran.push('stray');
    return 'stray';
  }
}

@Controller('ran')
class RanController {
  @Get()
  ran() {
    return ran;
  }
}

@Module({ controllers: [OtherTools] })
class OtherModule {}

@Module({
  imports: [AuthplaneModule.forRoot({ ...authplaneOptionsFromEnv(), scopes: ['x'] })],
  controllers: [HttpController, OwnTools, RanController],
  // Under a token of the application's own.
  providers: process.env['PROVIDED'] === 'true' ? [{ provide: 'OURS', useValue: strategy }] : [],
})
class AppModule {}

const [port] = process.argv.slice(2);
const options = { logger: false, abortOnError: false } as const;
const other = await NestFactory.create(OtherModule, new ExpressAdapter(), options);
if (process.env['ALONE'] !== 'true') other.connectMicroservice({ strategy });
const app = await NestFactory.create(AppModule, new ExpressAdapter(), options);
app.connectMicroservice({ strategy });
await app.startAllMicroservices();
const problem = await app.listen(Number(port)).then(
  () => undefined,
  (error: unknown) => String(error),
);
process.on('disconnect', () => process.exit()); // the tests are gone
if (problem === undefined) process.send?.('ready');
else {
  // Why it did not start, for whoever asks.
  await app.close();
  createServer((_, response) => response.end(problem)).listen(Number(port), () => {
    process.send?.('refused');
  });
}
