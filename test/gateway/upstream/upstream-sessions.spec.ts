import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import {
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { UpstreamSessions } from '../../../src/gateway/upstream/upstream-sessions.js';
import type { Upstream } from '../../../src/gateway/upstream/upstream.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';

const ann = askingAs('ann');

/** Says what it is told. */
function listening(log: string[]): McpServer {
  const capabilities = { logging: {}, resources: { subscribe: true } };
  const { server } = new McpServer({ name: 'old', version: '1' }, { capabilities });
  server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
    log.push(`level ${params.level}`);
    return {};
  });
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    log.push(`subscribe ${params.uri}`);
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    log.push(`unsubscribe ${params.uri}`);
    return {};
  });
  return { connect: (transport: never) => server.connect(transport) } as unknown as McpServer;
}

describe('UpstreamSessions', () => {
  let old: LegacyUpstream;
  let upstream: Upstream;
  let sessions: UpstreamSessions;
  beforeEach(async () => {
    old = await startLegacyUpstream(listening);
    upstream = upstreamAt(old.url);
    sessions = new UpstreamSessions({ capabilities: {}, clientInfo: undefined });
  });
  afterEach(() => old.stop());
  const told = () => old.log.filter((line) => !/^(?:GET|POST|DELETE) /.test(line));
  const opened = () => old.log.filter((line) => line === 'POST new').length;

  test('one with each upstream, opened by whoever needs it first', async () => {
    const [one, same] = await Promise.all([
      sessions.with(upstream, ann),
      sessions.with(upstream, ann),
    ]);
    expect(same).toBe(one);
    expect(await sessions.with(upstream, ann)).toBe(one);
    const other = await sessions.with(upstreamAt(old.url), ann);
    expect(await sessions.all()).toEqual([one, other]);
    expect(opened()).toBe(2);
  });

  test('one that could not be opened is tried again', async () => {
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(sessions.with(upstream, { ...ann, signal: gone })).rejects.toThrow('gone');
    expect(await sessions.all()).toEqual([]);
    await sessions.with(upstream, ann);
    expect(opened()).toBe(1);
  });

  test('a resource is subscribed to once, and unsubscribed only if it was', async () => {
    await sessions.unsubscribe(upstream, 'a://b', ann);
    await sessions.subscribe(upstream, 'a://b', ann);
    await sessions.subscribe(upstream, 'a://b', ann);
    await sessions.unsubscribe(upstream, 'a://b', ann);
    await sessions.unsubscribe(upstream, 'a://b', ann);
    expect(told()).toEqual(['subscribe a://b', 'unsubscribe a://b']);
  });

  test('one that takes the place of a lost one knows level and subscriptions', async () => {
    await sessions.subscribe(upstream, 'a://b', ann);
    sessions.logLevel = 'debug';
    const lost = await sessions.with(upstream, ann);
    old.forget();
    const [one, same] = await Promise.all([
      sessions.reopened(lost, ann),
      sessions.reopened(lost, ann),
    ]);
    expect(same).toBe(one);
    expect(one).not.toBe(lost);
    expect(told()).toEqual(['subscribe a://b', 'level debug', 'subscribe a://b']);
    expect(opened()).toBe(2);
  });

  test('end when they are told, all but those that are kept', async () => {
    const other = upstreamAt(old.url);
    for (const one of [upstream, other]) await sessions.with(one, ann);
    await sessions.closeOthers(new Set([other]));
    expect(old.sessions.size).toBe(1);
    expect((await sessions.all()).map((one) => one.upstream)).toEqual([other]);
    await sessions.close();
    expect([old.sessions.size, await sessions.all()]).toEqual([0, []]);
    await old.stop();
    await sessions.close(); // whatever has become of them
  });

  test('14.6: none is opened once they have ended, which nobody would end', async () => {
    const opening = sessions.with(upstream, ann);
    await sessions.close();
    await opening;
    expect(old.sessions.size).toBe(0);
    await expect(sessions.with(upstream, ann)).rejects.toMatchObject({ code: 'session_not_found' });
    expect(opened()).toBe(1);
  });
});
