import { randomInt } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Controller, Get, Header, HttpCode, Module, Post, Req, Res } from '@nestjs/common';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

interface FastifyRequest {
  readonly raw: IncomingMessage;
  readonly body: unknown;
}
interface FastifyReply {
  readonly raw: ServerResponse;
  hijack(): void;
}

@Controller('mcp')
export class McpController {
  @Post()
  async handle(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const server = createServer();
    const transport = new StreamableHTTPServerTransport({});
    await server.connect(transport);
    reply.raw.on('close', () => void server.close());
    reply.hijack(); // from here on the transport answers, so what may fail comes before
    await transport.handleRequest(request.raw, reply.raw, request.body);
  }

  @Get()
  @HttpCode(405) // there is no stream to listen to
  @Header('Allow', 'POST')
  stream(): void {}
}

@Module({
  controllers: [McpController],
})
export class RetrofitModule {}

function createServer(): McpServer {
  const server = new McpServer({ name: 'retrofit', version: '1.0.0' });
  const text = (value: unknown) => ({ content: [{ type: 'text' as const, text: String(value) }] });
  server.registerTool(
    'add',
    { description: 'Adds two numbers', inputSchema: { a: z.number(), b: z.number() } },
    ({ a, b }) => text(a + b),
  );
  server.registerTool('now_utc', { description: 'The time in UTC' }, () =>
    text(new Date().toISOString()),
  );
  server.registerTool('roll_dice', { description: 'Rolls one die' }, () => text(randomInt(1, 7)));
  return server;
}
