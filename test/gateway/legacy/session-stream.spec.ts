import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { SessionStream } from '../../../src/gateway/legacy/session-stream.js';
import { cleanUp, serve } from '../../support/servers/http-servers.js';

const streams: SessionStream[] = [];
afterEach(() => streams.splice(0).forEach((stream) => stream.end()));
afterAll(cleanUp);

async function opened() {
  const { url } = await serve((_request, response) => {
    streams.push(new SessionStream(response));
  });
  const response = await fetch(url);
  const [stream] = streams;
  if (stream === undefined) throw new Error('no stream');
  return { response, stream };
}

const messagesIn = (text: string): unknown[] =>
  [...text.matchAll(/data: (.*)/g)].map(([, data = '']) => JSON.parse(data) as unknown);

describe('SessionStream', () => {
  test('tells what belongs to no call', async () => {
    const { response, stream } = await opened();
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    stream.updated('notes://a');
    stream.send({ id: 5, method: 'ping' });
    stream.changed('notifications/tools/list_changed');
    stream.changed('notifications/tools/list_changed');
    await new Promise((resolve) => setTimeout(resolve, 80)); // changes are told together
    stream.end();
    expect(messagesIn(await response.text())).toEqual([
      {
        ...{ jsonrpc: '2.0', method: 'notifications/resources/updated' },
        params: { uri: 'notes://a' },
      },
      { jsonrpc: '2.0', id: 5, method: 'ping' },
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
    ]);
  });

  test('is over when it ends, or the client goes', async () => {
    const { response, stream } = await opened();
    expect([stream.isOpen, stream.signal.aborted]).toEqual([true, false]);
    await response.body?.cancel();
    await stream.closed;
    expect([stream.isOpen, stream.signal.aborted]).toEqual([false, true]);
    expect(() => stream.updated('notes://a')).not.toThrow();
  });
});
