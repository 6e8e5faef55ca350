import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuthplaneResource } from 'authplane-nestjs';
import { none, UnknownOperationError, UpstreamError } from 'authplane-nestjs/gateway';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';
import { type LegacyUpstream, startLegacyUpstream } from '../support/gateway/legacy-servers.js';
import {
  calendarServer,
  type RunningUpstream,
  startUpstream,
} from '../support/gateway/upstream-servers.js';

describe('14.E: lists and calls of the application itself', () => {
  let calendar: RunningUpstream;
  let old: LegacyUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    calendar = await startUpstream(calendarServer);
    old = await startLegacyUpstream();
    app = await startGateway({
      scopes: ['write'],
      options: { mcp: { list: 'hide' } },
      gateway: {
        upstreams: {
          cal: { url: calendar.url, token: none(), tools: { create_event: { scopes: ['write'] } } },
          old: { url: old.url, token: none() },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await calendar.stop();
    await old.stop();
  });

  async function callerWith(scope: string) {
    const token = await app.token({ scope });
    return { token, claims: await app.app.app.get(AuthplaneResource).verify(token) };
  }

  test('follow the rules for clients', async () => {
    const poor = await callerWith('');
    const rich = await callerWith('write');
    const names = async (caller: typeof poor) =>
      (await app.gateway.list('tools', caller)).map(({ name }) => name);
    expect(await names(poor)).not.toContain('cal__create_event');
    expect(await names(rich)).toEqual(expect.arrayContaining(['cal__create_event', 'old__count']));
    const call = app.gateway.call('cal__create_event', {}, { caller: poor });
    await expect(call).rejects.toBeInstanceOf(UnknownOperationError);
    const made = await app.gateway.call('cal__create_event', { day: 'fri' }, { caller: rich });
    expect(made).toEqual({ content: [{ type: 'text', text: 'create_event {"day":"fri"}' }] });
    const unknown = app.gateway.call('cal__nope', {}, { caller: rich });
    await expect(unknown).rejects.toThrow('Unknown tool: cal__nope');
  });

  test.each(['cal__slow', 'old__slow'])('%s tells of its progress', async (name) => {
    const progress: unknown[] = [];
    const result = await app.gateway.call(
      name,
      {},
      {
        caller: await callerWith('write'),
        onProgress: (one) => void progress.push(one['progress']),
      },
    );
    expect(result['content']).toEqual([{ type: 'text', text: 'slow ran' }]);
    expect(progress.slice(0, 2)).toEqual([1, 2]);
  });

  test('failures are typed', async () => {
    const caller = await callerWith('write');
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call')) return false;
      response.writeHead(500).end();
      return true;
    };
    const failed = app.gateway.call('cal__list_events', {}, { caller });
    await expect(failed).rejects.toBeInstanceOf(UpstreamError);
    await expect(failed).rejects.toMatchObject({ code: 'upstream_failed', maybeExecuted: true });
    calendar.intercept = async (_request, response, body) => {
      if (!body.includes('tools/call')) return false;
      const challenge = 'Bearer error="insufficient_scope", scope="x"';
      response.writeHead(403, { 'www-authenticate': challenge }).end();
      return true;
    };
    const refused = app.gateway.call('cal__list_events', {}, { caller });
    await expect(refused).rejects.toMatchObject({ code: 'upstream_refused' });
    calendar.intercept = undefined;
    const stop = new AbortController();
    const gone = app.gateway.call('cal__slow', {}, { caller, signal: stop.signal });
    stop.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
  });
});
