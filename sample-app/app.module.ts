import { type DynamicModule, Module } from '@nestjs/common';
import { AuthplaneModule } from 'authplane-nestjs';
import { McpController } from './mcp.controller.js';
import type { Settings } from './settings.js';
import { ToolsService } from './tools.service.js';

/** An MCP server, protected: everything about OAuth is the import of `AuthplaneModule`. */
@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      imports: [
        AuthplaneModule.forRootAsync({
          useFactory: () => ({
            issuer: settings.issuer,
            baseUrl: settings.baseUrl,
            scopes: settings.scopes,
            devMode: settings.devMode,
            ...(settings.dpop ? { inboundDPoP: { required: true, nonce: true } } : {}),
          }),
        }),
      ],
      controllers: [McpController],
      providers: [ToolsService],
    };
  }
}
