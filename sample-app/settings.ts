/** Injection token of the settings. */
export const SETTINGS = Symbol('sample settings');

/** What the sample takes from the environment; everything has a default. */
export interface Settings {
  readonly port: number;
  readonly devPort: number;
  readonly issuer: string;
  /** The stand-in runs in this process; otherwise `AUTHPLANE_ISSUER` names a real server. */
  readonly embedded: boolean;
  readonly baseUrl: string;
  readonly scopes: string[];
  readonly devMode: boolean;
  /** Only tokens that are bound to a key. */
  readonly dpop: boolean;
  /** The calendar service behind the tool `calendar`; `undefined`: there is none. */
  readonly calendarUrl: string | undefined;
  /** How this server authenticates at the authorization server when it calls the calendar. */
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface Choices {
  readonly dpop: boolean;
  /** Of the calendar in this process, which belongs to the embedded authorization server. */
  readonly calendarUrl: string;
}

export function settingsFrom(env: NodeJS.ProcessEnv, { dpop, calendarUrl }: Choices): Settings {
  const port = portFrom('PORT', env['PORT'], 8080);
  const devPort = portFrom('AUTHPLANE_DEV_PORT', env['AUTHPLANE_DEV_PORT'], 9000);
  const issuer = env['AUTHPLANE_ISSUER'] || undefined;
  return {
    port,
    devPort,
    issuer: issuer ?? `http://localhost:${devPort}`,
    embedded: issuer === undefined,
    baseUrl: env['AUTHPLANE_BASE_URL'] || `http://localhost:${port}`,
    scopes: (env['AUTHPLANE_SCOPES'] || 'mcp:tools mcp:time').split(/[\s,]+/),
    dpop,
    calendarUrl: issuer === undefined ? calendarUrl : env['CALENDAR_URL'] || undefined,
    clientId: env['AUTHPLANE_CLIENT_ID'] || 'sample-server',
    clientSecret: env['AUTHPLANE_CLIENT_SECRET'] || 'sample-secret',
    // http and localhost, which the embedded server is on, are accepted in devMode only.
    devMode: env['AUTHPLANE_DEV_MODE']
      ? env['AUTHPLANE_DEV_MODE'] === 'true'
      : issuer === undefined,
  };
}

function portFrom(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined || text === '') return otherwise;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Error(`${name} must be a port number from 1 to 65535`);
}
