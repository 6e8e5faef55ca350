import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChangeFeeds } from '../../../src/gateway/changes/change-feeds.js';
import { ALL_LISTS } from '../../../src/gateway/changes/listen-filter.js';
import type { Upstream } from '../../../src/gateway/upstream/upstream.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';
import { until } from '../../support/time/until.js';

describe('ChangeFeeds', () => {
  let server: RunningUpstream;
  let upstream: Upstream;
  let feeds: ChangeFeeds;
  let era: string | Error;
  const logged: unknown[] = [];
  const stops: AbortController[] = [];
  beforeEach(async () => {
    server = await startUpstream(searchServer);
    upstream = upstreamAt(server.url);
    era = '2026-07-28';
    feeds = new ChangeFeeds({
      catalogue: { forget: () => undefined },
      log: (error: unknown) => logged.push(error),
      eraOf: async () => {
        if (era instanceof Error) throw era;
        return era;
      },
    } as never);
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) stop.abort();
    await server.stop();
  });

  async function listen(who: string, scopes: readonly string[] = [], of = upstream) {
    const stop = new AbortController();
    stops.push(stop);
    let inSession = 0;
    const listener = { changed: () => undefined, updated: () => undefined };
    const asking = askingAs(who, { scopes, signal: stop.signal });
    const listening = feeds.listen(of, { filter: ALL_LISTS, listener, asking }, () => inSession++);
    return { stop, listening, inSession: () => inSession };
  }

  test('one stream for each caller and what he may, however often he listens', async () => {
    for (const [who, scopes] of [
      ['ann', ['a', 'b']],
      ['ann', ['b', 'a']],
      ['ann', ['a']],
      ['bob', ['a', 'b']],
    ] as const)
      await (
        await listen(who, scopes)
      ).listening;
    expect(feeds.size).toBe(3);
    expect(server.asked).toHaveLength(3);
  });

  test('it ends with the last who listens', async () => {
    const [one, other] = [await listen('ann'), await listen('ann')];
    await Promise.all([one.listening, other.listening]);
    one.stop.abort();
    expect(feeds.size).toBe(1);
    other.stop.abort();
    expect(feeds.size).toBe(0);
    await until(() => server.aborted.length === 1);
  });

  test('whoever has gone before he listens opens nothing', async () => {
    const gone = await listen('ann');
    gone.stop.abort();
    await gone.listening;
    expect(feeds.size).toBe(0);
  });

  test('of an earlier revision it is for the session to listen', async () => {
    era = '2025-11-25';
    const one = await listen('ann');
    await one.listening;
    expect([one.inSession(), feeds.size, server.asked]).toEqual([1, 0, []]);
  });

  test('one that nobody can ask is asked again later, until nobody listens', async () => {
    era = new Error('is away');
    const one = await listen('ann');
    await until(() => logged.length === 1);
    one.stop.abort();
    await one.listening;
    expect([logged, feeds.size]).toEqual([[era], 0]);
  });
});
