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

const USAGE = `usage: npm start [-- [--once] [--dpop] [--help]]

  --once   exit after the walk; the exit status says whether it worked
  --dpop   the server takes only tokens that are bound to a key, with a proof on every request
  --help   print this

  PORT                     port of the MCP server (default 8080)
  AUTHPLANE_BASE_URL       URL of the MCP server for its clients (default http://localhost:PORT)
  AUTHPLANE_SCOPES         scopes it announces, separated by blanks (default "mcp:tools mcp:time")
  AUTHPLANE_CLIENT_ID      its own client at the authorization server (default sample-server),
  AUTHPLANE_CLIENT_SECRET  with which it gets tokens for the calendar (default sample-secret)
  AUTHPLANE_DEV_PORT       port of the embedded stand-in authorization server (default 9000)

  AUTHPLANE_ISSUER         use this authorization server instead of the embedded one; then also:
  AUTHPLANE_DEV_MODE       true accepts http and localhost (default false; true when embedded)
  CALENDAR_URL             a calendar service behind the tool "calendar" (default none)
`;

const OPTIONS = ['--once', '--dpop', '--help'];

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.filter((arg) => !OPTIONS.includes(arg));
  if (unknown.length > 0) throw new Error(`unknown argument ${unknown.join(' ')}\n\n${USAGE}`);
  if (args.includes('--help')) return console.log(USAGE);
  const dpop = args.includes('--dpop');
  const once = args.includes('--once');
  const calendarUrl = `http://localhost:${await freePort()}/events`;
  const settings = settingsFrom(process.env, { dpop, calendarUrl });
  const mcpUrl = `${settings.baseUrl}/mcp`;
  console.log(whatRuns(settings, mcpUrl));
  const standIn = settings.embedded ? await startStandIn(settings, mcpUrl) : undefined;
  const calendar = settings.embedded ? await startCalendar(settings, calendarUrl) : undefined;
  const app = await startApp(settings);
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

function whatRuns({ embedded, issuer, devMode }: Settings, mcpUrl: string): string {
  const servers = embedded
    ? `Stand-in authorization server ${issuer}, MCP server ${mcpUrl}, and a small calendar service.`
    : `Authorization server ${issuer}, MCP server ${mcpUrl}.`;
  return devMode ? `${servers}\nThe devMode warning is expected here.\n` : `${servers}\n`;
}

async function startStandIn(
  settings: Settings,
  mcpUrl: string,
): Promise<StandInAuthorizationServer> {
  const { clientId, clientSecret, calendarUrl = '' } = settings;
  const starting = startAuthorizationServer({
    host: 'localhost',
    port: settings.devPort,
    clients: [{ clientId, clientSecret, grantTypes: [TOKEN_EXCHANGE] }],
    resources: [
      {
        slug: 'sample',
        uri: mcpUrl,
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
    { logger: ['error'], abortOnError: false },
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
  // For MCP clients that run in a browser: they have to read the challenge and the nonce.
  const ofDpop = settings.dpop ? ['DPoP-Nonce'] : [];
  app.enableCors({ exposedHeaders: ['WWW-Authenticate', 'Mcp-Session-Id', ...ofDpop] });
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
