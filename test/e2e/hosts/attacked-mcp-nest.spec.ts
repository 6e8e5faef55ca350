import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { BESIDE_OPEN_TEMPLATES, readAt } from '../../support/hostile/beside-templates.js';
import { CompiledApp } from '../../support/nest/compiled-app.js';
import { freePort, platforms } from '../../support/nest/start-app.js';

const processes = new CompiledApp({ files: ['hosts/attacked-mcp-nest-main.ts'] });
let authorizationServer: StandInAuthorizationServer;
beforeAll(async () => {
  processes.compile();
  authorizationServer = await startAuthorizationServer();
});
afterAll(async () => {
  processes.remove();
  await authorizationServer.close();
});

describe.each(platforms)('9.9: MCP-Nest 2 on %s', (platform) => {
  let origin: string;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    stop = await processes.run([platform, String(port)], {
      MCP_LIST: 'hide',
      AUTHPLANE_ISSUER: authorizationServer.issuer,
      AUTHPLANE_BASE_URL: origin,
      AUTHPLANE_DEV_MODE: 'true',
    });
  });
  afterAll(() => stop());

  const ran = async () => {
    const names = (await (await fetch(`${origin}/ran`)).json()) as string[];
    return names.filter((name) => name !== 'open');
  };
  const read = async (uri: string, scope = '') => {
    const token = await authorizationServer.issueToken({ aud: [`${origin}/mcp`], scope });
    return readAt(`${origin}/mcp`, `Bearer ${token}`, uri);
  };

  test.each(BESIDE_OPEN_TEMPLATES)(
    '%s, hidden beside an open template, is served as %s, by the template',
    async (hidden, open) => {
      const served = await read(open);
      const answer = await read(hidden);
      expect({ ...answer, text: answer.text.replaceAll('vate', 'vite') }).toEqual(served);
      expect(served.text).toMatch(/the (file|page) /);
      expect(await ran()).toEqual([]);
    },
  );

  test('with the scope it is served', async () => {
    await read('files://private', 'x');
    expect(await ran()).toEqual(['hidden file']);
  });
});
