import { CompiledApp } from '../nest/compiled-app.js';
import type { StartServer } from './consent-app.js';
import type { McpNestSettings } from './consent-mcp-nest.js';

/** The application of `consent-mcp-nest.ts`. */
export class McpNestProcesses extends CompiledApp {
  constructor() {
    super({ files: ['consent/consent-mcp-nest.ts', 'consent/consent-calendar.ts'] });
  }

  app(options: Pick<McpNestSettings, 'platform' | 'statefulMode'>): StartServer {
    return (settings) => this.run([JSON.stringify({ ...settings, ...options })]);
  }
}
