import { CompiledApp } from './compiled-app.js';
import type { StartServer } from './consent-app.js';
import type { McpNestSettings } from './consent-mcp-nest.js';

/** The application of `consent-mcp-nest.ts`. */
export class McpNestProcesses extends CompiledApp {
  constructor() {
    super({ files: ['consent-mcp-nest.ts', 'consent-calendar.ts'] });
  }

  app(options: Pick<McpNestSettings, 'platform' | 'statefulMode'>): StartServer {
    return (settings) => this.run([JSON.stringify({ ...settings, ...options })]);
  }
}
