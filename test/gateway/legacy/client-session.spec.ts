import { describe, expect, test } from 'vitest';
import { ClientSession } from '../../../src/gateway/legacy/client-session.js';
import type { SessionStream } from '../../../src/gateway/legacy/session-stream.js';
import { type LegacyUpstream, startLegacyUpstream } from '../../support/gateway/legacy-servers.js';
import { askingAs, upstreamAt } from '../../support/gateway/upstream-objects.js';
import { until } from '../../support/time/until.js';

const session = () => new ClientSession('ann', { capabilities: {}, clientInfo: undefined });
const streamOf = (ended: string[], name: string) =>
  ({ end: () => void ended.push(name) }) as unknown as SessionStream;

describe('ClientSession', () => {
  test('has an id of its own, and the revision that was agreed upon', () => {
    expect(session().id).not.toBe(session().id);
    expect(session().version).toBe('2025-11-25');
  });

  test('a question is answered once, by its id', () => {
    const one = session();
    const heard: unknown[] = [];
    const first = one.question((answer) => heard.push(['first', answer]));
    const second = one.question((answer) => heard.push(['second', answer]));
    for (const id of [second, second, 'gateway-99', 7, undefined]) one.answer(id, { result: 1 });
    expect(heard).toEqual([['second', { result: 1 }]]);
    one.answer(first, { error: { code: -1, message: 'no' } });
    expect(heard).toHaveLength(2);
  });

  test('14.2: a question that its upstream takes back is withdrawn under the id that the client has, once', () => {
    const one = session();
    const [upstream, other] = [{}, {}];
    const heard: string[] = [];
    one.question(() => heard.push('first'), { upstream, id: 1 });
    const id = one.question(() => heard.push('second'), { upstream, id: 2 });
    const method = 'notifications/cancelled';
    const cancel = (requestId: unknown) => ({ jsonrpc: '2.0', method, params: { requestId } });
    for (const wrong of [3, '2', undefined])
      expect(one.told(cancel(wrong), upstream)).toBeUndefined();
    expect(one.told(cancel(2), other)).toBeUndefined();
    expect(one.told({ method }, upstream)).toBeUndefined();
    expect(one.told(cancel(2), upstream)).toEqual(cancel(id));
    expect(one.told(cancel(2), upstream)).toBeUndefined();
    one.answer(id, { result: {} });
    expect(heard).toEqual([]);
    const news = { method: 'notifications/message' };
    expect(one.told(news, upstream)).toBe(news);
  });

  test('14.6: of more than 256 open questions the oldest is answered with an error', () => {
    const one = session();
    const heard: unknown[] = [];
    const ids = Array.from({ length: 257 }, (_, index) =>
      one.question((answer) => heard.push([index, 'result' in answer])),
    );
    for (const id of [ids[0], ids[1], ids[256]]) one.answer(id, { result: {} });
    expect(heard).toEqual([
      [0, false],
      [1, true],
      [256, true],
    ]);
  });

  test('14.6: an upstream that asks without end loses its own questions, and nobody waits for them', () => {
    const one = session();
    const [flood, other] = [{}, {}];
    const heard: string[] = [];
    const id = one.question(() => heard.push('other'), { upstream: other, id: 1 });
    let refused = 0;
    for (let at = 0; at < 10_000; at++)
      one.question((answer) => void ('error' in answer && refused++), { upstream: flood, id: at });
    expect(refused).toBe(9936);
    one.answer(id, { result: {} });
    expect(heard).toEqual(['other']);
  });

  test('a call is cancelled by its id, until it has ended', () => {
    const one = session();
    const reasons: unknown[] = [];
    const end = one.begin(1, (reason) => reasons.push(reason));
    one.begin('1', (reason) => reasons.push(`text: ${String(reason)}`));
    expect(one.isBusy).toBe(true);
    one.cancel(1, 'enough');
    one.cancel({}, 'no id');
    end();
    one.cancel(1, 'too late');
    one.cancel('1', 'mine');
    expect(reasons).toEqual(['enough', 'text: mine']);
  });

  test('a call whose id comes a second time does not end the other one', () => {
    const one = session();
    const reasons: string[] = [];
    const end = one.begin(1, () => reasons.push('first'));
    one.begin(1, () => reasons.push('second'));
    end();
    one.cancel(1, undefined);
    expect(reasons).toEqual(['second']);
  });

  test('14.6: calls of one id are all ended, and counted, and ids that differ in type are two', async () => {
    const one = session();
    const ended: string[] = [];
    const ends = [1, 1, '1', -0, 0].map((id, at) => one.begin(id, () => ended.push(`${at}`)));
    ends[1]?.();
    expect(one.isBusy).toBe(true);
    one.cancel(null, 'none');
    one.cancel('__proto__', 'none');
    await one.close();
    expect(ended.sort()).toEqual(['0', '2', '3', '4']);
    for (const end of ends) end();
    expect(one.isBusy).toBe(false);
  });

  test('14.6: a stream that comes when it has ended is ended, too', async () => {
    const one = session();
    const ended: string[] = [];
    await one.close();
    one.stream = streamOf(ended, 'late');
    expect(ended).toEqual(['late']);
  });

  test('another stream takes the place of the one before', () => {
    const one = session();
    const ended: string[] = [];
    one.stream = streamOf(ended, 'first');
    one.stream = streamOf(ended, 'second');
    expect([ended, one.isBusy]).toEqual([['first'], true]);
    one.stream = undefined;
    expect([ended, one.isBusy]).toEqual([['first', 'second'], false]);
  });

  test('its end is that of calls, stream and subscriptions, and nobody is asked any more', async () => {
    const one = session();
    const ended: string[] = [];
    one.begin(1, (reason) => ended.push(String(reason)));
    one.stream = streamOf(ended, 'stream');
    const stop = new AbortController();
    one.subscriptions.set('a://b', { upstream: {} as never, stop });
    const id = one.question(() => ended.push('answered'));
    await one.close();
    one.answer(id, { result: {} });
    expect([ended, stop.signal.aborted]).toEqual([
      ['Error: the session has ended', 'stream'],
      true,
    ]);
  });
});

test('ClientSession: sessions with upstreams that are gone end when no call is under way', async () => {
  const [old, kept] = await Promise.all([startLegacyUpstream(), startLegacyUpstream()]);
  const one = session();
  const upstreams = [old, kept].map(({ url }) => upstreamAt(url));
  for (const upstream of upstreams) await one.upstreams.with(upstream, askingAs());
  const end = one.begin(1, () => undefined);
  one.keepOnly(new Set(upstreams.slice(1)));
  expect(ends(old)).toBe(0);
  end();
  await until(() => ends(old) === 1);
  expect(await one.upstreams.all()).toMatchObject([{ upstream: upstreams[1] }]);
  await one.close();
  expect([ends(old), ends(kept)]).toEqual([1, 1]);
  await Promise.all([old.stop(), kept.stop()]);
});

function ends({ log }: LegacyUpstream): number {
  return log.filter((line) => line === 'DELETE session').length;
}
