import { afterEach, describe, expect, it, vi } from 'vitest';
import { Logger } from '@nestjs/common';
import { platforms, startTrusting } from '../../support/nest/start-app.js';
import { startTenantsApp, type TenantsApp } from '../../support/nest/tenants-app.js';

let app: TenantsApp;
afterEach(async () => {
  vi.restoreAllMocks();
  await app.close();
});

describe.each(platforms)('row 13: on %s', (platform) => {
  const warnings = async (
    baseUrl: (port: number) => string | string[],
    trust?: string | boolean,
  ) => {
    const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    app = await startTenantsApp(
      (port) => ({ baseUrl: baseUrl(port) }),
      startTrusting(platform, trust),
    );
    return warn.mock.calls
      .map(([text]) => String(text))
      .filter((text) => text.includes('X-Forwarded'));
  };
  const several = (port: number) => [`http://127.0.0.1:${port}`, `http://localhost:${port}`];

  it('several names, and every sender taken for a proxy, are warned of', async () => {
    expect(await warnings(several, true)).toHaveLength(1);
  });

  it('proxies that are named are not', async () => {
    expect(await warnings(several, 'loopback')).toEqual([]);
  });

  it('nor is a single name, which counts whatever the request says', async () => {
    expect(await warnings((port) => `http://127.0.0.1:${port}`, true)).toEqual([]);
  });
});
