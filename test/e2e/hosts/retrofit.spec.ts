import { afterEach, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { startAuthorizationServer } from 'authplane-nestjs/testing';
import { freePort, type RunningApp, startApp } from '../../support/nest/start-app.js';

const LIST = {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
};

describe('the retrofit example', () => {
  let app: RunningApp | undefined;

  afterEach(() => app?.close());

  it('before: anybody lists the tools', async () => {
    const { RetrofitModule } = await import('../../../sample-app/retrofit/before.js');
    app = await startApp({ imports: [RetrofitModule] }, { platform: 'fastify' });
    const response = await fetch(`${app.url}/mcp`, LIST);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('roll_dice');
  });

  it('after: without a token 401, with one the same answer', async () => {
    const port = await freePort();
    const baseUrl = `http://127.0.0.1:${port}`;
    const authorizationServer = await startAuthorizationServer();
    // The example reads the environment when its module is loaded, as an application does.
    const saved = { ...process.env };
    Object.assign(process.env, {
      AUTHPLANE_ISSUER: authorizationServer.issuer,
      AUTHPLANE_BASE_URL: baseUrl,
      AUTHPLANE_DEV_MODE: 'true',
    });
    const { RetrofitModule } = await import('../../../sample-app/retrofit/after.js');
    process.env = saved;
    app = await startApp({ imports: [RetrofitModule] }, { platform: 'fastify', port });

    const refused = await fetch(`${baseUrl}/mcp`, LIST);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('scope="mcp:use"');
    const token = await authorizationServer.issueToken({
      aud: [`${baseUrl}/mcp`],
      scope: 'mcp:use',
    });
    const headers = { ...LIST.headers, authorization: `Bearer ${token}` };
    const response = await fetch(`${baseUrl}/mcp`, { ...LIST, headers });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('roll_dice');
    // 10.24: there is no stream
    const authorized = { headers: { authorization: headers.authorization } };
    const stream = await fetch(`${baseUrl}/mcp`, authorized);
    expect([stream.status, stream.headers.get('allow')]).toEqual([405, 'POST']);
    await authorizationServer.close();
  });

  it('differs by five lines, all of them added', () => {
    const lines = (file: string) =>
      readFileSync(`sample-app/retrofit/${file}.ts`, 'utf8').split('\n');
    const before = lines('before');
    const added = lines('after').filter((line) => {
      if (line !== before[0]) return true;
      before.shift();
      return false;
    });
    expect(before).toEqual([]); // every line of before is there, in order
    expect(added).toHaveLength(5);
  });
});
