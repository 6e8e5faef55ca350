import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askModern } from '../../../src/gateway/upstream/modern-rpc.js';
import { UpstreamEra } from '../../../src/gateway/upstream/upstream-era.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import {
  type RunningUpstream,
  searchServer,
  startUpstream,
} from '../../support/gateway/upstream-servers.js';
import { ManualClock } from '../../support/tokens/manual-clock.js';

describe('UpstreamEra', () => {
  let young: RunningUpstream;
  let old: LegacyUpstream;
  beforeAll(async () => {
    [young, old] = await Promise.all([startUpstream(searchServer), startLegacyUpstream()]);
  });
  afterEach(() => {
    young.intercept = undefined;
    young.asked.length = 0;
  });
  afterAll(() => Promise.all([young.stop(), old.stop()]));

  const eraOf = (url: string, options = {}, clock = new ManualClock()) =>
    new UpstreamEra(upstreamAt(url, options), clock);
  const answering = (status: number, body = '', headers = {}) => {
    young.intercept = (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
      return true;
    };
  };

  test('servers of the SDKs tell theirs, which is unknown before', async () => {
    const era = eraOf(young.url);
    expect(era.known).toBeUndefined();
    expect([await era.find(askingAs()), era.known]).toEqual(['2026-07-28', '2026-07-28']);
    expect(await eraOf(old.url).find(askingAs())).toBe('2025-11-25');
  });

  test('many who want to know at once ask once', async () => {
    const era = eraOf(young.url);
    await Promise.all(['ann', 'bob', 'eve'].map((who) => era.find(askingAs(who))));
    expect(young.asked).toHaveLength(1);
  });

  test('what options say is not asked for', async () => {
    expect(await eraOf(young.url, { era: '2025-11-25' }).find(askingAs())).toBe('2025-11-25');
    expect(young.asked).toEqual([]);
  });

  test('an old one is asked again after ten minutes, a young one when it was not one', async () => {
    const clock = new ManualClock();
    const [older, younger] = [eraOf(old.url, {}, clock), eraOf(young.url, {}, clock)];
    await Promise.all([older.find(askingAs()), younger.find(askingAs())]);
    clock.advance(601);
    expect([older.known, younger.known]).toEqual([undefined, '2026-07-28']);
    younger.forget();
    expect(younger.known).toBeUndefined();
  });

  test('a young one is asked again once it takes a request of the revision for none', async () => {
    const upstream = upstreamAt(young.url);
    const era = new UpstreamEra(upstream, new ManualClock());
    const refused = async (status: number, error?: object) => {
      young.intercept = undefined;
      await era.find(askingAs());
      answering(status, error && JSON.stringify({ jsonrpc: '2.0', id: null, error }));
      await askModern(upstream, 'tools/list', {}, askingAs()).catch(() => undefined);
      return era.known;
    };
    const unsupported = { code: -32000, message: 'Bad Request: Unsupported protocol version' };
    expect([await refused(400, unsupported), await refused(404)]).toEqual([undefined, undefined]);
    for (const code of [-32020, -32021, -32601, -32602]) {
      expect(await refused(400, { code, message: 'no' })).toBe('2026-07-28');
    }
    expect([await refused(403), await refused(503)]).toEqual(['2026-07-28', '2026-07-28']);
  });

  test.each<[number, string]>([
    [200, '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}'],
    [200, '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2099-01-01"]}}'],
    [400, 'Bad Request'],
    [404, ''],
    [405, ''],
    [406, ''],
    [415, ''],
  ])('%d %s is the answer of an older one', async (status, body) => {
    answering(status, body);
    expect(await eraOf(young.url).find(askingAs())).toBe('2025-11-25');
  });

  test.each([401, 403, 408, 429, 500, 503])('%d tells nothing, and is thrown', async (status) => {
    answering(status);
    const era = eraOf(young.url);
    await expect(era.find(askingAs())).rejects.toThrow(/upstream|answers/);
    expect(era.known).toBeUndefined();
  });

  test('the refusal of one caller is not that of another one', async () => {
    const era = eraOf(young.url);
    answering(403);
    const refused = era.find(askingAs('ann'));
    const let_in = era.find(askingAs('bob'));
    await expect(refused).rejects.toThrow('403');
    young.intercept = undefined;
    await let_in.catch(() => undefined); // may have asked before
    expect(await era.find(askingAs('bob'))).toBe('2026-07-28');
  });
});
