import { Inject, Injectable } from '@nestjs/common';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { AuthContext, AuthplaneClient } from 'authplane-nestjs';
import { withConsent } from 'authplane-nestjs/mcp';
import { z } from 'zod';
import { SETTINGS, type Settings } from './settings.js';

/** The tools. They know nothing of tokens; who is calling comes from `AuthContext`. */
@Injectable()
export class ToolsService {
  constructor(
    private readonly caller: AuthContext,
    private readonly authplane: AuthplaneClient,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  createServer(): McpServer {
    const server = new McpServer({ name: 'authplane-sample', version: '1.0.0' });
    withConsent(server, this.authplane); // a tool that needs the user's consent just throws
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
    const { calendarUrl } = this.settings;
    if (calendarUrl !== undefined) {
      server.registerTool('calendar', { description: 'Your appointments of today' }, async () =>
        text(await this.appointments(calendarUrl)),
      );
    }
    return server;
  }

  /** In the user's name, with a token for the calendar alone; the caller's own token stays here. */
  private async appointments(calendarUrl: string): Promise<string> {
    const response = await this.authplane.fetchAs({
      subjectToken: this.caller.token,
      exchange: { resources: [calendarUrl], scope: 'calendar.read' },
      url: calendarUrl,
    });
    if (!response.ok) throw new Error(`the calendar answered ${response.status}`);
    return response.text();
  }

  private whoAmI() {
    const { sub, clientId, agentId, agentChain, scopes } = this.caller.claims;
    return { subject: sub, client: clientId, agent: agentId, agentChain, scopes };
  }
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}
