import { mcpNestServer } from '../../support/consent/consent-mcp-nest.js';
import { describeConsent } from '../../support/consent/consent-suite.js';
import { platforms } from '../../support/nest/start-app.js';

for (const platform of platforms) {
  for (const statefulMode of [false, true]) {
    describeConsent(
      `consent: MCP-Nest 2 on ${platform}${statefulMode ? ' with sessions' : ''}`,
      mcpNestServer({ platform, statefulMode }),
      { modern: true, sessions: statefulMode },
    );
  }
}
