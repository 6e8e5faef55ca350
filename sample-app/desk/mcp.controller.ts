import { Controller, Get, Header, HttpCode, Post, Req, Res, UseGuards } from '@nestjs/common';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { AuthplaneGuard, Scopes } from 'authplane-nestjs';
import { type PlatformReply, type PlatformRequest, serveMcp } from 'authplane-nestjs/mcp';
import { ToolsService } from './tools.service.js';

/** Streamable HTTP without sessions: one MCP server and one transport for each request. */
@Controller('mcp')
@UseGuards(AuthplaneGuard)
@Scopes('mcp:tools')
export class McpController {
  constructor(private readonly tools: ToolsService) {}

  @Post()
  handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
    return serveMcp(request, reply, async () => {
      const server = this.tools.createServer();
      const transport = new StreamableHTTPServerTransport({});
      await server.connect(transport);
      return (raw, response, body) => {
        response.on('close', () => void server.close());
        return transport.handleRequest(raw, response, body);
      };
    });
  }

  @Get()
  @HttpCode(405) // there is no stream to listen to
  @Header('Allow', 'POST')
  stream(): void {}
}
