import type { IncomingMessage, ServerResponse } from 'node:http';
import { All, Controller, Req, Res, UseGuards } from '@nestjs/common';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { AuthplaneGuard, Scopes } from 'authplane-nestjs';
import { ToolsService } from './tools.service.js';

/** Fastify wraps Node's request and response, Express extends them. */
interface PlatformRequest extends IncomingMessage {
  readonly raw?: IncomingMessage;
  readonly body?: unknown;
}
interface PlatformResponse extends ServerResponse {
  readonly raw?: ServerResponse;
  hijack?(): void;
}

/** Streamable HTTP without sessions: one MCP server and one transport for each request. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('mcp:tools')
export class McpController {
  constructor(private readonly tools: ToolsService) {}

  @All()
  async handle(@Req() request: PlatformRequest, @Res() reply: PlatformResponse): Promise<void> {
    const response = reply.raw ?? reply;
    reply.hijack?.(); // Fastify: the transport answers, not the framework
    if (request.method !== 'POST') {
      response.writeHead(405, { Allow: 'POST' }).end();
      return;
    }
    const server = this.tools.createServer();
    const transport = new StreamableHTTPServerTransport({});
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request.raw ?? request, response, request.body);
  }
}
