/** What the sample takes from the environment; everything has a default. */
export interface Settings {
  readonly port: number;
  readonly devPort: number;
  readonly issuer: string;
  /** The stand-in runs in this process; otherwise `AUTHPLANE_ISSUER` names a real server. */
  readonly embedded: boolean;
  readonly baseUrl: string;
  readonly devMode: boolean;
  /** Only tokens that are bound to a key. */
  readonly dpop: boolean;
  /** The MCP server whose tokens the authorization server mints. */
  readonly deskUrl: string;
  /** The MCP server whose tokens are in the vault; `undefined`: there is none. */
  readonly calendarUrl: string | undefined;
  /** How long a server that has failed twice is spared. */
  readonly cooldownSeconds: number;
  /** How the gateway authenticates at the authorization server. */
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface Choices {
  readonly dpop: boolean;
  /** Free ports of this machine. */
  readonly ports: readonly [desk: number, calendar: number];
  /** Default: 2, for a walk that nobody wants to wait for. */
  readonly cooldownSeconds?: number;
}

export function settingsFrom(
  env: NodeJS.ProcessEnv,
  { dpop, ports, cooldownSeconds = 2 }: Choices,
): Settings {
  const port = portFrom('PORT', env['PORT'], 8080);
  const devPort = portFrom('AUTHPLANE_DEV_PORT', env['AUTHPLANE_DEV_PORT'], 9000);
  const deskPort = portFrom('DESK_PORT', env['DESK_PORT'], ports[0]);
  const issuer = env['AUTHPLANE_ISSUER'] || undefined;
  const embedded = issuer === undefined;
  return {
    port,
    devPort,
    issuer: issuer ?? `http://localhost:${devPort}`,
    embedded,
    baseUrl: env['AUTHPLANE_BASE_URL'] || `http://localhost:${port}`,
    dpop,
    cooldownSeconds,
    deskUrl: `http://localhost:${deskPort}/mcp`,
    calendarUrl: embedded ? `http://localhost:${ports[1]}/mcp` : env['CALENDAR_URL'] || undefined,
    clientId: env['AUTHPLANE_CLIENT_ID'] || 'sample-gateway',
    clientSecret: env['AUTHPLANE_CLIENT_SECRET'] || 'sample-secret',
    // http and localhost, which the embedded server is on, are accepted in devMode only.
    devMode: env['AUTHPLANE_DEV_MODE'] ? env['AUTHPLANE_DEV_MODE'] === 'true' : embedded,
  };
}

function portFrom(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Error(`${name} must be a port number from 1 to 65535`);
}
