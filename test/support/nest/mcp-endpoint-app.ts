import type { ModuleMetadata } from '@nestjs/common';
import { AuthplaneModule, type AuthplaneModuleOptions } from 'authplane-nestjs';
import {
  type AuthorizationServerOptions,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { TOOL_SCOPES } from '../../../sample-app/desk/desk.module.js';
import { McpController } from '../../../sample-app/desk/mcp.controller.js';
import { ToolsService } from '../../../sample-app/desk/tools.service.js';
import { ON_LOOPBACK, freePort, type Platform, type RunningApp, startApp } from './start-app.js';

export interface ProtectedMcpServer {
  readonly authorizationServer: StandInAuthorizationServer;
  readonly app: RunningApp;
  /** URL of the MCP endpoint, which is the resource. */
  readonly mcpUrl: string;
  close(): Promise<void>;
}

/** The MCP server "desk" of the sample, protected by a stand-in authorization server. */
export async function startProtectedMcpServer(
  platform: Platform,
  options: AuthorizationServerOptions = {},
  moduleOptions: Partial<AuthplaneModuleOptions> = {},
): Promise<ProtectedMcpServer> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const authorizationServer = await startAuthorizationServer({
    resources: [{ uri: mcpUrl, scopes: ['mcp:tools', 'mcp:time'] }],
    ...options,
  });
  const app = await startApp(
    mcpServer({
      issuer: authorizationServer.issuer,
      baseUrl,
      scopes: ['mcp:tools', 'mcp:time'],
      mcp: { tools: TOOL_SCOPES },
      ...ON_LOOPBACK,
      ...moduleOptions,
    }),
    { platform, port },
  );
  return {
    authorizationServer,
    app,
    mcpUrl,
    close: async () => {
      await app.close();
      await authorizationServer.close();
    },
  };
}

function mcpServer(options: AuthplaneModuleOptions): ModuleMetadata {
  return {
    imports: [AuthplaneModule.forRootAsync({ useFactory: () => options })],
    controllers: [McpController],
    providers: [ToolsService],
  };
}
