import { type DynamicModule, Module } from '@nestjs/common';
import { AuthplaneModule, DPoPSigner } from 'authplane-nestjs';
import { McpController } from './mcp.controller.js';
import { SETTINGS, type Settings } from './settings.js';
import { ToolsService } from './tools.service.js';

/** What single tools need besides the `mcp:tools` of the endpoint. */
export const TOOL_SCOPES = { now_utc: ['mcp:time'] };

/** An MCP server, protected: everything about OAuth is the import of `AuthplaneModule`. */
@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      imports: [
        AuthplaneModule.forRootAsync({
          useFactory: async () => ({
            issuer: settings.issuer,
            baseUrl: settings.baseUrl,
            scopes: settings.scopes,
            mcp: { tools: TOOL_SCOPES },
            devMode: settings.devMode,
            asCredentials: { clientId: settings.clientId, clientSecret: settings.clientSecret },
            ...(settings.dpop ? await boundTokensOnly() : {}),
          }),
        }),
      ],
      controllers: [McpController],
      providers: [ToolsService, { provide: SETTINGS, useValue: settings }],
    };
  }
}

/** Callers prove possession of their key, and this server of its own when it calls the calendar. */
async function boundTokensOnly() {
  return {
    inboundDPoP: { required: true, nonce: true } as const,
    dpop: await DPoPSigner.generate(),
  };
}
