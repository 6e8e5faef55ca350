import { Injectable } from '@nestjs/common';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { AuthContext } from 'authplane-nestjs';
import { z } from 'zod';

/** The tools. They know nothing of tokens; who is calling comes from `AuthContext`. */
@Injectable()
export class ToolsService {
  constructor(private readonly caller: AuthContext) {}

  createServer(): McpServer {
    const server = new McpServer({ name: 'desk', version: '1.0.0' });
    server.registerTool(
      'whoami',
      { description: 'Who is calling: subject, client, agent and scopes' },
      () => text(JSON.stringify(this.whoAmI(), null, 2)),
    );
    server.registerTool(
      'add',
      { description: 'Adds two numbers', inputSchema: { a: z.number(), b: z.number() } },
      ({ a, b }) => text(String(a + b)),
    );
    server.registerTool('now_utc', { description: 'The time in UTC' }, () =>
      text(new Date().toISOString()),
    );
    return server;
  }

  private whoAmI() {
    const { sub, clientId, agentId, agentChain, scopes } = this.caller.claims;
    return { subject: sub, client: clientId, agent: agentId, agentChain, scopes };
  }
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}
