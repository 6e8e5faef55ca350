import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { type ClientName, walk } from '../../support/hosts/hosts-clients.js';
import { type Era, type HostServer, RawClient } from '../../support/hosts/hosts-requests.js';
import { freePort } from '../../support/nest/start-app.js';
import { installApp } from '../../support/package/installed-app.js';
import { PROJECT } from '../../support/package/packed-package.js';

const READ = 'notes:read';
/** One scope is left out of the option, so that clients have to step up. */
const EXPECTED = /devMode|^ready$|required but not in the option scopes/;
const call = (name: string) => ({ method: 'tools/call', params: { name, arguments: {} } });

interface MastraServer extends HostServer {
  readonly printed: string[];
}

const versions: readonly (readonly [string, Era, readonly ClientName[]])[] = [
  ['1.18.0', '2025', ['SDK v1', 'SDK v2 (2025 era)']],
  ['2.0.0', '2026', ['SDK v2 (2026 era)']],
];

describe.each(versions)(
  '12.5: the MCP server of @mastra/mcp %s behind app.use',
  (version, era, clients) => {
    let app: string;
    let server: MastraServer | undefined;

    beforeAll(() => {
      app = installApp(`mastra-${version}`, {
        '@mastra/core': '1.x',
        '@mastra/mcp': version,
        '@nestjs/common': '11.x',
        '@nestjs/core': '11.x',
        '@nestjs/platform-express': '11.x',
        'reflect-metadata': '0.2.x',
        rxjs: '7.x',
        zod: '4.x',
      });
      const source = join(PROJECT, 'test/package/matrix/mastra/main.mjs.txt');
      writeFileSync(join(app, 'main.mjs'), readFileSync(source, 'utf8'));
    });

    afterEach(async () => {
      await server?.close();
      server = undefined;
    });

    test('no token, a bad one, too few scopes, a batch: refused before anything runs', async () => {
      server = await start(app);
      const raw = new RawClient(server, era);
      const none = await raw.send(call('read'), { scope: null });
      expect(none.status).toBe(401);
      expect(none.headers.get('www-authenticate')).toContain(
        '/.well-known/oauth-protected-resource/mcp',
      );
      const headers = { authorization: 'Bearer x.y.z' };
      expect((await raw.send(call('read'), { scope: READ, headers })).status).toBe(401);
      const lacking = await raw.send(call('write'), { scope: READ });
      expect(lacking.status).toBe(403);
      expect(lacking.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
      expect((await raw.batch([call('read'), call('write')], { scope: READ })).status).toBe(403);
      const good = await raw.send(call('read'), { scope: READ });
      expect([good.status, good.text]).toEqual([
        200,
        expect.stringContaining('read for alice, after 1'),
      ]);
      expect(server.printed.filter((line) => !EXPECTED.test(line))).toEqual([]);
    });

    test('a hidden tool is in no list, and is called as one that is not there', async () => {
      server = await start(app, { MCP_LIST: 'hide' });
      const raw = new RawClient(server, era);
      const list = await raw.send({ method: 'tools/list' }, { scope: READ });
      expect([list.text.includes('"read"'), list.text.includes('"write"')]).toEqual([true, false]);
      const [hidden, unknown] = [
        await raw.send(call('write'), { scope: READ }),
        await raw.send(call('nope'), { scope: READ }),
      ];
      expect([hidden.status, hidden.text.replaceAll('write', 'nope')]).toEqual([
        unknown.status,
        unknown.text,
      ]);
    });

    test.each(clients)(
      '%s gets its tokens, and the scope of the tool when it calls it',
      async (client) => {
        server = await start(app);
        const { asked, result } = await walk(client, server, 'write', {});
        expect(asked).toEqual([READ, expect.stringContaining('notes:write')]);
        expect(JSON.stringify(result)).toContain('write for alice');
      },
    );
  },
);

async function start(app: string, env: Record<string, string> = {}): Promise<MastraServer> {
  const port = await freePort();
  const mcpUrl = `http://127.0.0.1:${port}/mcp`;
  const authorizationServer = await startAuthorizationServer({
    issueRefreshTokens: false, // with one, a v1 client would refresh the old scopes
    resources: [{ uri: mcpUrl, scopes: [READ, 'notes:write'] }],
  });
  const child = spawn(process.execPath, ['main.mjs'], {
    cwd: app,
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      MCP_PORT: String(port),
      AUTHPLANE_ISSUER: authorizationServer.issuer,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  await ready(child, printed);
  return {
    mcpUrl,
    authorizationServer,
    printed,
    close: async () => {
      child.kill();
      await once(child, 'exit');
      await authorizationServer.close();
    },
  };
}

/** @throws Error with all that the application has printed, if it ends before it listens. */
async function ready(child: ChildProcess, printed: string[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        printed.push(line);
        if (line === 'ready') resolve();
      });
    }
    child.once('exit', () =>
      reject(new Error(`the application has ended:\n${printed.join('\n')}`)),
    );
  });
}
