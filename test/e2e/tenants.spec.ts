/** One application under several names, and with a resource for each path. */

import { afterEach, describe, expect, it } from 'vitest';
import { type ClientName, clients, walk } from '../support/hosts/hosts-clients.js';
import { platforms } from '../support/nest/start-app.js';
import { startTenantsApp, type TenantsApp } from '../support/nest/tenants-app.js';

const HOSTS = ['127.0.0.1', 'localhost'];
const TENANTS = ['acme', 'globex', 'initech'];

let app: TenantsApp;
afterEach(() => app.close());

describe.each(platforms)(
  '12.4: two names and three tenants of one application on %s',
  (platform) => {
    it.each(Object.keys(clients) as ClientName[])(
      '%s completes the flow on each, and a token for one is good for no other',
      async (client) => {
        app = await startTenantsApp(
          (port) => ({
            baseUrl: HOSTS.map((host) => `http://${host}:${port}`),
            mcpPath: '/mcp/:profile',
            isResource: ({ profile = '' }) => TENANTS.includes(profile),
          }),
          { platform },
        );
        const { port, authorizationServer, close } = app;
        const all = HOSTS.flatMap((host) =>
          TENANTS.map((profile) => ({
            uri: `http://${host}:${port}/mcp/${profile}`,
            profile,
            host,
          })),
        );
        for (const { uri, profile } of all) {
          const server = { mcpUrl: uri, authorizationServer, close };
          const { result, asked } = await walk(client, server, 'change', { value: 'x' });
          expect(asked).toEqual(['mcp:use', 'mcp:use mcp:change']);
          const [{ text = '' } = {}] = (result as { content: { text?: string }[] }).content;
          expect(JSON.parse(text)).toEqual({ sub: 'alice', uri, params: { profile } });
        }
        for (const { uri } of all) {
          const token = await app.token(uri);
          for (const other of all) {
            const path = `/mcp/${other.profile}/about`;
            const { status, challenge } = await app.ask({
              path,
              host: `${other.host}:${port}`,
              token,
            });
            expect({ other, status }).toEqual({ other, status: other.uri === uri ? 200 : 401 });
            if (status === 401)
              expect(challenge).toContain(`realm="${other.uri}", error="invalid_token"`);
          }
        }
      },
    );
  },
);
