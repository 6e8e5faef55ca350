/** What a newcomer does first: the ten lines of docs/gateway.md and its variables, and a client of his own. */

import * as nest from '@nestjs/common';
import type { Type } from '@nestjs/common';
import * as authplane from 'authplane-nestjs';
import * as gateway from 'authplane-nestjs/gateway';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { afterEach, expect, test, vi } from 'vitest';
import { Person } from '../../sample-app/walk/person.js';
import { codeBlocks } from '../support/docs/markdown.js';
import { calendarServer, startUpstream } from '../support/gateway/upstream-servers.js';
import { freePort, startApp } from '../support/nest/start-app.js';

const MODULES = {
  '@nestjs/common': nest,
  'authplane-nestjs': authplane,
  'authplane-nestjs/gateway': gateway,
};
const [TEN_LINES] = codeBlocks('docs/gateway.md');
const [VARIABLES] = codeBlocks('docs/gateway.md').filter(({ language }) => language === 'sh');

/** The module of the block, whose one decorator is applied as a function. */
function moduleOf(code: string, replaced: Readonly<Record<string, string>>): Type {
  const plain = Object.entries(replaced)
    .reduce((text, [one, other]) => text.replace(one, other), code)
    .replaceAll(/^import (\{ .+ \}) from '(.+)';$/gm, `const $1 = modules['$2'];`)
    .replace(
      /^@Module\((\{[^]*\})\)\nexport class (\w+) \{\}$/m,
      'class $2 {}\nModule($1)($2);\nreturn $2;',
    );
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  return new Function('modules', plain)(MODULES) as Type;
}

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.close();
  vi.unstubAllEnvs();
});

test('14.9: the ten lines and their variables lead a client from no token to a call', async () => {
  const calendar = await startUpstream(calendarServer);
  running.push({ close: () => calendar.stop() });
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const mcpUrl = `${baseUrl}/mcp`;
  const server = await startAuthorizationServer({
    clients: [
      {
        clientId: 'gateway',
        clientSecret: 'a-secret-of-the-gateway',
        grantTypes: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      },
    ],
    resources: [
      { uri: mcpUrl, scopes: ['gateway:use'], policy: { runtimeClients: ['gateway'] } },
      { uri: calendar.url, scopes: ['calendar.read'] },
    ],
    fronting: [
      { source: mcpUrl, target: calendar.url, scopeMap: { 'gateway:use': ['calendar.read'] } },
    ],
  });
  running.push(server);

  const values: Readonly<Record<string, string>> = {
    AUTHPLANE_ISSUER: server.issuer,
    AUTHPLANE_BASE_URL: baseUrl,
    AUTHPLANE_CLIENT_SECRET: 'a-secret-of-the-gateway',
  };
  for (const [, name = '', value = ''] of VARIABLES!.code.matchAll(/(AUTHPLANE_\w+)=(\S+)/g)) {
    vi.stubEnv(name, values[name] ?? value);
  }
  vi.stubEnv('AUTHPLANE_DEV_MODE', 'true');
  const patience = 'listTimeoutMs: 60_000, connectTimeoutMs: 60_000'; // a crowded machine is no outage
  const module = moduleOf(TEN_LINES!.code, {
    "'https://calendar.example.com/mcp'": `'${calendar.url}', ${patience}`,
    'authplaneOptionsFromEnv()': '{ ...authplaneOptionsFromEnv(), requestTimeoutSeconds: 60 }',
  });
  running.push(await startApp({ imports: [module] }, { platform: 'express', port }));

  const approve = (to: URL) => server.approve(to, { user: 'alice' });
  const person = await Person.with({ mcpUrl, name: 'alice', era: 'auto', approve });
  running.push(person);
  await person.approve(await person.askForAccess());
  await person.connect();
  expect((await person.list()).unavailable).toEqual([]);
  expect(await person.call('calendar__list_events')).toBe('list_events {}');
});

test('14.9: the README has the same lines', () => {
  const lines = TEN_LINES!.code.replace('GatewayModule {}', 'AppModule {}');
  expect(codeBlocks('README.md').map(({ code }) => code)).toContain(lines);
});
