import { CompiledApp } from '../nest/compiled-app.js';
import type { Platform } from '../nest/start-app.js';

interface ProcessOptions {
  readonly platform: Platform;
  readonly sessions: boolean;
  readonly issuer: string;
  readonly port: number;
}

/** For a template that `hosts-mcp-nest-main` adds. */
const RULES = `{
  'ruled://cabinet/of/{name}': ({ variables, uri }) => [
    ...(variables.name === 'private' ? ['notes:read'] : []),
    ...(uri === 'ruled://cabinet/of/private' ? ['notes:write'] : []),
  ],
}`;

/** The MCP-Nest example. */
export class HostProcesses extends CompiledApp {
  constructor() {
    super({
      files: ['hosts/hosts-mcp-nest-main.ts', 'hosts/hosts-mcp-nest.ts'],
      // The example has no sessions, and that option in a comment.
      change: (source) =>
        source
          .replace('statefulMode: false', `statefulMode: process.env['MCP_SESSIONS'] === 'true'`)
          .replace('// mcp: {', `mcp: { resources: ${RULES},`),
    });
  }

  start({ platform, sessions, issuer, port }: ProcessOptions): Promise<() => Promise<void>> {
    return this.run([platform, String(port)], {
      MCP_SESSIONS: String(sessions),
      AUTHPLANE_ISSUER: issuer,
      AUTHPLANE_BASE_URL: `http://127.0.0.1:${port}`,
      AUTHPLANE_DEV_MODE: 'true',
    });
  }
}
