import 'reflect-metadata';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { AppModule } from './app.module.js';
import { CalendarModule } from './calendar.module.js';
import { type Settings, settingsFrom } from './settings.js';
import { walk } from './walk.js';

const USAGE = `usage: npm start [-- [--once] [--dpop]]

  --once   exit after the walk; the exit status says whether it worked
  --dpop   the server takes only tokens that are bound to a key, with a proof on every request

  PORT                  port of the MCP server (default 8080)
  AUTHPLANE_DEV_PORT    port of the embedded stand-in authorization server (default 9000)
  AUTHPLANE_ISSUER      use this authorization server instead of the embedded one
`;

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.filter((arg) => arg !== '--once' && arg !== '--dpop');
  if (unknown.length > 0) throw new Error(`unknown argument ${unknown.join(' ')}\n\n${USAGE}`);
  const dpop = args.includes('--dpop');
  const once = args.includes('--once');
  const calendarUrl = `http://localhost:${await freePort()}/events`;
  const settings = settingsFrom(process.env, { dpop, calendarUrl });
  const standIn = settings.embedded ? await startStandIn(settings) : undefined;
  const calendar = standIn === undefined ? undefined : await startCalendar(settings, calendarUrl);
  const app = await startApp(settings);
  const mcpUrl = `${settings.baseUrl}/mcp`;
  try {
    await walk({
      mcpUrl,
      dpop,
      ...(standIn === undefined
        ? {}
        : {
            approve: (url) => standIn.approve(url),
            approveConsent: (url) => standIn.approveConsent(url),
          }),
      print: (line) => console.log(line),
    });
    console.log('\nThe walk worked.');
  } catch (error) {
    if (!once) console.error('\nThe walk failed:', error);
    else throw error;
  } finally {
    if (once) {
      await app.close();
      await calendar?.close();
      await standIn?.close();
    }
  }
  if (!once) {
    console.log(`\nServing ${mcpUrl}. Point the MCP Inspector at it:`);
    console.log(`  npx @modelcontextprotocol/inspector --cli ${mcpUrl} --transport http`);
    console.log('Stop with Ctrl+C.');
  }
}

async function startStandIn(settings: Settings): Promise<StandInAuthorizationServer> {
  const { clientId, clientSecret, calendarUrl = '' } = settings;
  const starting = startAuthorizationServer({
    host: 'localhost',
    port: settings.devPort,
    clients: [{ clientId, clientSecret, grantTypes: [TOKEN_EXCHANGE] }],
    resources: [
      {
        slug: 'sample',
        uri: `${settings.baseUrl}/mcp`,
        scopes: settings.scopes,
        policy: { runtimeClients: [clientId] },
      },
      { slug: 'calendar', uri: calendarUrl, scopes: ['calendar.read'] },
    ],
    // Who may use the tools may have the calendar read through them.
    fronting: [
      {
        source: 'sample',
        target: 'calendar',
        scopeMap: Object.fromEntries(settings.scopes.map((scope) => [scope, ['calendar.read']])),
      },
    ],
  });
  const standIn = await named(starting, settings.devPort, 'AUTHPLANE_DEV_PORT');
  standIn.requireConsent({ resource: calendarUrl, flavour: 'connect' });
  return standIn;
}

async function startCalendar(settings: Settings, calendarUrl: string): Promise<INestApplication> {
  const app = await NestFactory.create(
    CalendarModule.with(settings.issuer, calendarUrl),
    new FastifyAdapter(),
    { logger: ['warn', 'error'], abortOnError: false },
  );
  await app.listen(Number(new URL(calendarUrl).port), 'localhost');
  return app;
}

async function startApp(settings: Settings): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(settings),
    new FastifyAdapter(),
    { logger: ['log', 'warn', 'error'], abortOnError: false },
  );
  app.enableShutdownHooks();
  // For MCP clients that run in a browser: they have to read the challenge.
  app.enableCors({ exposedHeaders: ['WWW-Authenticate', 'Mcp-Session-Id'] });
  await named(app.listen(settings.port, 'localhost'), settings.port, 'PORT');
  return app;
}

/** For the calendar, whose address has to be known before it runs. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
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

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
