import { type DynamicModule, Module } from '@nestjs/common';
import { AuthplaneModule } from 'authplane-nestjs';
import { McpController } from './mcp.controller.js';
import { ToolsService } from './tools.service.js';

/** What the desk gives scopes for. */
export const DESK_SCOPES = ['mcp:tools', 'mcp:time'];

/** What single tools need besides the `mcp:tools` of the endpoint. */
export const TOOL_SCOPES = { now_utc: ['mcp:time'] };

export interface Desk {
  readonly issuer: string;
  readonly url: string;
  readonly devMode: boolean;
}

/**
 * An MCP server, protected: everything about OAuth is the import of `AuthplaneModule`. It takes tokens for
 * itself only, and does not know that there is a gateway.
 */
@Module({ controllers: [McpController], providers: [ToolsService] })
export class DeskModule {
  static with({ issuer, url, devMode }: Desk): DynamicModule {
    return {
      module: DeskModule,
      imports: [
        AuthplaneModule.forRoot({
          issuer,
          resource: url,
          scopes: DESK_SCOPES,
          mcp: { tools: TOOL_SCOPES },
          inboundDPoP: {}, // tokens that are bound to a key are welcome, too
          devMode,
        }),
      ],
    };
  }
}
