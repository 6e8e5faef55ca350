import 'reflect-metadata';
import { freePorts } from './free-ports.js';
import { mcpUrlOf, type Sample, startSample } from './sample.js';
import { type Settings, settingsFrom } from './settings.js';
import { walk } from './walk/walk.js';

const USAGE = `usage: npm start [-- [--once] [--dpop] [--help]]

  --once   exit after the walk; the exit status says whether it worked
  --dpop   the gateway takes only tokens that are bound to a key, with a proof on every request
  --help   print this

  PORT                     port of the gateway and its page (default 8080)
  AUTHPLANE_BASE_URL       URL of the gateway for its clients (default http://localhost:PORT)
  AUTHPLANE_CLIENT_ID      its own client at the authorization server (default sample-gateway),
  AUTHPLANE_CLIENT_SECRET  with which it gets tokens for the servers behind it (default sample-secret)
  AUTHPLANE_DEV_PORT       port of the embedded stand-in authorization server (default 9000)

  AUTHPLANE_ISSUER         use this authorization server instead of the embedded one; what has to be
                           registered there is in sample-app/sample.ts. Then also:
  AUTHPLANE_DEV_MODE       true accepts http and localhost (default false; true when embedded)
  DESK_PORT                port of the MCP server "desk" (default any that is free)
  CALENDAR_URL             an MCP server whose tokens are in the vault (default none)
`;

const OPTIONS = ['--once', '--dpop', '--help'];

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.filter((arg) => !OPTIONS.includes(arg));
  if (unknown.length > 0) throw new Error(`unknown argument ${unknown.join(' ')}\n\n${USAGE}`);
  if (args.includes('--help')) return console.log(USAGE);
  const dpop = args.includes('--dpop');
  const isOnce = args.includes('--once');
  const settings = settingsFrom(process.env, { dpop, ports: await freePorts() });
  console.log(whatRuns(settings));
  const sample = await startSample(settings, ['log', 'warn', 'error']);
  try {
    await walkThrough(sample, settings);
    console.log('\nThe walk worked.');
  } catch (error) {
    if (isOnce) throw error;
    console.error('\nThe walk failed:', error);
  } finally {
    if (isOnce) await sample.close();
  }
  if (!isOnce) console.log(whatNext(settings));
}

function walkThrough(sample: Sample, { dpop }: Settings): Promise<void> {
  const { mcpUrl, authorizationServer: standIn, calendar, upstreams } = sample;
  const print = (line: string) => console.log(line);
  if (standIn === undefined) return walk({ mcpUrl, dpop, print });
  return walk({
    mcpUrl,
    dpop,
    approve: (url, user) => standIn.approve(url, { user }),
    approveConsent: (url, user) => standIn.approveConsent(url, { user }),
    ...(calendar === undefined ? {} : { calendar, states: () => upstreams.states() }),
    print,
  });
}

function whatRuns(settings: Settings): string {
  const { embedded, issuer, devMode, baseUrl, deskUrl, calendarUrl } = settings;
  const lines = [
    `gateway               ${mcpUrlOf(settings)}, and what it does: ${baseUrl}/`,
    `  in front of         desk      ${deskUrl}`,
    ...(calendarUrl === undefined ? [] : [`                      calendar  ${calendarUrl}`]),
    `authorization server  ${issuer}${embedded ? ' (a stand-in, in this process)' : ''}`,
    ...(devMode ? ['', 'The devMode warning is expected here.'] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function whatNext(settings: Settings): string {
  const mcpUrl = mcpUrlOf(settings);
  return `
See who calls what, and how the servers are: ${settings.baseUrl}/
Point the MCP Inspector at the gateway:
  npx @modelcontextprotocol/inspector --cli ${mcpUrl} --transport http
Stop with Ctrl+C.`;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
