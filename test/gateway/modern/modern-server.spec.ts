import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { TaskIds } from '../../../src/gateway/wire/task-ids.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';

const secret = 'a-secret-of-all-processes-of-the-gateway';

describe('ModernServer', () => {
  let young: RunningUpstream;
  let old: LegacyUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    [young, old] = await Promise.all([startUpstream(calendarServer), startLegacyUpstream()]);
    app = await startGateway({
      gateway: {
        secret,
        serverName: 'the gateway',
        upstreams: {
          cal: { url: young.url, token: none() },
          old: { url: old.url, token: none() },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await Promise.all([young.stop(), old.stop()]);
  });

  test('says what it speaks, without asking an upstream', async () => {
    const { json } = await app.ask('server/discover');
    expect(json.result).toMatchObject({
      ...{ resultType: 'complete', supportedVersions: ['2026-07-28'], cacheScope: 'private' },
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'the gateway' } },
    });
    expect([young.asked, old.log]).toEqual([[], []]);
  });

  test('a client of the SDK finds that out by itself', async () => {
    const client = await app.client(await app.token(), 'auto');
    expect(client.getServerVersion()?.name).toBe('the gateway');
    expect(client.getServerCapabilities()?.completions).toEqual({});
    await client.close();
  });

  test.each([
    ['tools/list', 'tools', ['cal__list_events', 'old__count']],
    ['prompts/list', 'prompts', ['cal__briefing', 'old__hello']],
    ['resources/list', 'resources', ['today', 'all']],
    ['resources/templates/list', 'resourceTemplates', ['day']],
  ])('%s has what upstreams of both revisions have', async (method, member, names) => {
    const { json } = await app.ask(method);
    expect(json.result).toMatchObject({
      ...{ resultType: 'complete', cacheScope: 'private', ttlMs: expect.any(Number) },
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'the gateway' } },
    });
    const listed = json.result[member].map(({ name }: { name: string }) => name);
    expect(listed).toEqual(expect.arrayContaining(names));
  });

  test('an operation goes where it is: through, or in a session of the call', async () => {
    const run = (name: string) => app.ask('tools/call', { name, arguments: {} });
    expect((await run('cal__list_events')).json.result.content[0].text).toBe('list_events {}');
    expect((await run('old__count')).json.result).toMatchObject({
      ...{ resultType: 'complete', content: [{ text: '1' }] },
    });
  });

  test('methods that nothing here knows are not found', async () => {
    const unknown = await app.ask('vendor/run');
    expect([unknown.status, unknown.json.error]).toEqual([
      404,
      { code: -32601, message: 'Method not found' },
    ]);
  });

  test('tasks of earlier revisions are none of this one', async () => {
    const issuer = app.authorizationServer.issuer;
    const callerKey = [issuer, 'user-1', 'agent'].join('\0');
    const tool = undefined;
    const taskId = new TaskIds(secret).wrap('t-1', { upstream: 'old', callerKey, tool });
    const token = await app.token({ sub: 'user-1' });
    const { json } = await app.ask(
      'tasks/get',
      { taskId },
      { token, headers: { 'mcp-name': taskId } },
    );
    expect(json.error).toEqual({ code: -32602, message: 'Unknown task' });
  });
});
