import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { GatewayUpstreams } from 'authplane-nestjs/gateway';
import {
  type AuthorizationServerOptions,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { CalendarServer } from './calendar/calendar-server.js';
import { DESK_SCOPES, DeskModule } from './desk/desk.module.js';
import { AppModule, GATEWAY_SCOPES } from './gateway/app.module.js';
import type { Settings } from './settings.js';

/** Everything that runs. */
export interface Sample {
  readonly mcpUrl: string;
  /** `undefined`: a real server, which somebody else runs. */
  readonly authorizationServer: StandInAuthorizationServer | undefined;
  readonly calendar: CalendarServer | undefined;
  readonly upstreams: GatewayUpstreams;
  close(): Promise<void>;
}

type Logged = ('log' | 'warn' | 'error')[];

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

export async function startSample(settings: Settings, logged: Logged): Promise<Sample> {
  const running: { close(): Promise<unknown> }[] = [];
  const close = async () => {
    for (const one of running.splice(0).reverse()) await one.close();
  };
  try {
    const authorizationServer = settings.embedded ? await startStandIn(settings) : undefined;
    if (authorizationServer !== undefined) running.push(authorizationServer);
    const calendar = settings.embedded ? await startCalendar(settings) : undefined;
    if (calendar !== undefined) running.push({ close: () => calendar.stop() });
    running.push(await startDesk(settings));
    const gateway = await startGateway(settings, logged);
    running.push(gateway);
    return {
      mcpUrl: mcpUrlOf(settings),
      authorizationServer,
      calendar,
      upstreams: gateway.get(GatewayUpstreams),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export function mcpUrlOf({ baseUrl }: Settings): string {
  return `${baseUrl}/mcp`;
}

async function startStandIn(settings: Settings): Promise<StandInAuthorizationServer> {
  const { devPort: port } = settings;
  const starting = startAuthorizationServer({ host: 'localhost', port, ...registered(settings) });
  return named(starting, port, 'AUTHPLANE_DEV_PORT');
}

/** What an operator registers at AuthPlane: the gateway and its client, both services, and who fronts them. */
function registered(settings: Settings): AuthorizationServerOptions {
  const { clientId, clientSecret, deskUrl, calendarUrl = '' } = settings;
  return {
    clients: [{ clientId, clientSecret, grantTypes: [TOKEN_EXCHANGE] }],
    resources: [
      {
        slug: 'gateway',
        uri: mcpUrlOf(settings),
        scopes: GATEWAY_SCOPES,
        policy: { runtimeClients: [clientId] },
      },
      { slug: 'desk', uri: deskUrl, scopes: DESK_SCOPES },
      {
        slug: 'calendar',
        uri: calendarUrl,
        scopes: ['calendar.read', 'calendar.write'],
        broker: { provider: 'calendar' }, // its tokens are in the vault, once the user has agreed
      },
    ],
    fronting: [
      {
        source: 'gateway',
        target: 'desk',
        scopeMap: { 'gateway:use': ['mcp:tools'], 'gateway:time': ['mcp:time'] },
      },
      {
        source: 'gateway',
        target: 'calendar',
        scopeMap: { 'gateway:use': ['calendar.read'], 'gateway:write': ['calendar.write'] },
      },
    ],
  };
}

async function startCalendar({ calendarUrl = '' }: Settings): Promise<CalendarServer> {
  const calendar = new CalendarServer(calendarUrl);
  await calendar.start();
  return calendar;
}

async function startDesk({ issuer, deskUrl, devMode }: Settings): Promise<INestApplication> {
  const app = await NestFactory.create(
    DeskModule.with({ issuer, url: deskUrl, devMode }),
    new FastifyAdapter(),
    { logger: ['error'], abortOnError: false },
  );
  const port = Number(new URL(deskUrl).port);
  await named(app.listen(port, 'localhost'), port, 'DESK_PORT');
  return app;
}

async function startGateway(settings: Settings, logged: Logged): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(settings),
    new FastifyAdapter({ keepAliveTimeout: 5000 }), // what is idle would hold up a stop for long
    { logger: logged, abortOnError: false },
  );
  app.enableShutdownHooks();
  // For MCP clients that run in a browser: they have to read the challenge and the nonce. Nobody else's
  // page has to read ours.
  const ofDpop = settings.dpop ? ['DPoP-Nonce'] : [];
  app.enableCors({
    delegator: ({ url = '' }, done) => {
      const exposedHeaders = ['WWW-Authenticate', 'Mcp-Session-Id', ...ofDpop];
      done(null, {
        origin: url.startsWith('/mcp') || url.startsWith('/.well-known/'),
        exposedHeaders,
      });
    },
  });
  await named(app.listen(settings.port, 'localhost'), settings.port, 'PORT');
  return app;
}

/** A taken port is the most likely reason that a first start fails, so it is said in plain words. */
async function named<T>(starting: Promise<T>, port: number, variable: string): Promise<T> {
  try {
    return await starting;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') throw error;
    throw new Error(`port ${port} is taken; set ${variable} to a free one`, { cause: error });
  }
}
