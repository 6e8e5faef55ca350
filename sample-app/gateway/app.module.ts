import { type DynamicModule, Module } from '@nestjs/common';
import { AuthplaneModule, DPoPSigner } from 'authplane-nestjs';
import { AuthplaneGatewayModule, exchange, type UpstreamOptions } from 'authplane-nestjs/gateway';
import { PAGE_SETTINGS, PageController } from '../page/page.controller.js';
import { Watch } from '../page/watch.js';
import type { Settings } from '../settings.js';

/** What clients can be let do at the gateway. */
export const GATEWAY_SCOPES = ['gateway:use', 'gateway:time', 'gateway:write'];

/** What each request needs. */
const ENTRY_SCOPE = 'gateway:use';

/** One guarded MCP endpoint in front of two MCP servers, each of which gets tokens of its own. */
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
            scopes: GATEWAY_SCOPES,
            devMode: settings.devMode,
            asCredentials: { clientId: settings.clientId, clientSecret: settings.clientSecret },
            ...(settings.dpop ? await boundTokensOnly() : {}),
          }),
        }),
        AuthplaneGatewayModule.forRoot({
          path: 'mcp',
          scopes: [ENTRY_SCOPE],
          upstreams: upstreams(settings),
        }),
      ],
      controllers: [PageController],
      providers: [Watch, { provide: PAGE_SETTINGS, useValue: { ...settings, scope: ENTRY_SCOPE } }],
    };
  }
}

function upstreams(settings: Settings): Record<string, UpstreamOptions> {
  const { deskUrl, calendarUrl, cooldownSeconds } = settings;
  const desk: UpstreamOptions = {
    url: deskUrl,
    token: exchange({ scope: 'mcp:tools' }),
    tools: {
      now_utc: {
        scopes: ['gateway:time'], // what callers need here
        token: exchange({ scope: 'mcp:tools mcp:time' }), // what the desk gets
      },
    },
  };
  if (calendarUrl === undefined) return { desk };
  const calendar: UpstreamOptions = {
    url: calendarUrl,
    token: exchange({ scope: 'calendar.read' }),
    tools: {
      create_event: {
        scopes: ['gateway:write'],
        token: exchange({ scope: 'calendar.write' }),
      },
    },
    breaker: { threshold: 2, cooldownSeconds }, // more patient outside of a sample
  };
  return { desk, calendar };
}

/** Callers prove possession of their key, and the gateway of its own when it calls the desk. */
async function boundTokensOnly() {
  return {
    inboundDPoP: { required: true, nonce: true } as const,
    dpop: await DPoPSigner.generate(),
  };
}
