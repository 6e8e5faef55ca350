import { afterAll, describe, expect, test } from 'vitest';
import type { ListenFilter } from '../../../src/gateway/changes/listen-filter.js';
import { ListenStream } from '../../../src/gateway/modern/listen-stream.js';
import { cleanUp, serve } from '../../support/servers/http-servers.js';

afterAll(cleanUp);

const _meta = { 'io.modelcontextprotocol/subscriptionId': 7 };
const told = (method: string, params: object = {}) => ({
  ...{ jsonrpc: '2.0', method, params: { ...params, _meta } },
});
const ended = { jsonrpc: '2.0', id: 7, result: { resultType: 'complete', _meta } };

/** What a client of this filter is told. */
async function heard(filter: ListenFilter, tell: (stream: ListenStream) => unknown = () => 0) {
  const { url } = await serve(async (_request, response) => {
    await tell(new ListenStream(response, 7, filter));
  });
  const text = await (await fetch(url)).text();
  return [...text.matchAll(/data: (.*)/g)].map(([, data = '']) => JSON.parse(data) as unknown);
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 80)); // changes are told together
const acknowledged = (notifications: object) =>
  told('notifications/subscriptions/acknowledged', { notifications });

describe('MCP 2026-07-28: a stream of changes', () => {
  test('says what it is about, and ends at once where that is nothing', async () => {
    expect(await heard({})).toEqual([acknowledged({}), ended]);
  });

  test('tells the changes that were asked for, and no other', async () => {
    const filter = { toolsListChanged: true, resourceSubscriptions: ['n://a'] } as const;
    const messages = await heard(filter, async (stream) => {
      stream.updated('n://a');
      stream.updated('n://b');
      stream.changed('notifications/prompts/list_changed');
      stream.changed('notifications/tools/list_changed');
      await settled();
      stream.end();
    });
    expect(messages).toEqual([
      acknowledged(filter),
      told('notifications/resources/updated', { uri: 'n://a' }),
      told('notifications/tools/list_changed'),
      ended,
    ]);
  });

  test('tells all of them where nobody knows what has changed', async () => {
    const filter = { toolsListChanged: true, promptsListChanged: true } as const;
    const messages = await heard(filter, async (stream) => {
      stream.listsChanged();
      await settled();
      stream.end();
    });
    expect(messages.slice(1)).toEqual([
      told('notifications/tools/list_changed'),
      told('notifications/prompts/list_changed'),
      ended,
    ]);
  });
});
