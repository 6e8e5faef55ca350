import { afterAll, beforeAll } from 'vitest';
import { McpNestProcesses } from '../../support/consent/consent-mcp-nest-process.js';
import { describeConsent } from '../../support/consent/consent-suite.js';
import { platforms } from '../../support/nest/start-app.js';

const processes = new McpNestProcesses();
beforeAll(() => processes.compile());
afterAll(() => processes.remove());

for (const platform of platforms) {
  for (const statefulMode of [false, true]) {
    describeConsent(
      `consent: MCP-Nest 2 on ${platform}${statefulMode ? ' with sessions' : ''}`,
      processes.app({ platform, statefulMode }),
      { modern: true, sessions: statefulMode },
    );
  }
}
