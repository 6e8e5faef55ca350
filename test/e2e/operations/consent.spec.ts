import { nestApp } from '../../support/consent/consent-app.js';
import { hosts } from '../../support/consent/consent-hosts.js';
import { describeConsent } from '../../support/consent/consent-suite.js';
import { platforms } from '../../support/nest/start-app.js';

const traits = {
  'SDK v1': { modern: false },
  'SDK v1 (CommonJS copy)': { modern: false },
  'SDK v1 with sessions': { modern: false, sessions: true },
  'SDK v1 low-level': { modern: false, toolsOnly: true },
  'SDK v2': { modern: true },
};

for (const platform of platforms) {
  for (const [name, host] of Object.entries(hosts)) {
    describeConsent(
      `consent: ${name} in Nest on ${platform}`,
      nestApp(platform, host),
      traits[name as keyof typeof hosts],
    );
  }
}
