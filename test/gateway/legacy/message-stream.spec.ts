import type { ServerResponse } from 'node:http';
import { afterAll, describe, expect, test } from 'vitest';
import { MessageStream } from '../../../src/gateway/legacy/message-stream.js';
import { cleanUp, serve } from '../../support/servers/http-servers.js';

afterAll(cleanUp);

async function answered(how: (stream: MessageStream, response: ServerResponse) => unknown) {
  const { url } = await serve(async (_request, response) => {
    await how(new MessageStream(response), response);
  });
  const response = await fetch(url);
  return [response.headers.get('content-type'), await response.text()];
}

const event = (message: object) => `event: message\ndata: ${JSON.stringify(message)}\n\n`;

describe('MessageStream', () => {
  test('one message is a document', async () => {
    expect(await answered((stream) => stream.end({ id: 1 }))).toEqual([
      ...['application/json', '{"id":1}'],
    ]);
  });

  test('several are an event stream', async () => {
    const told = await answered(async (stream) => {
      await stream.send({ a: 1 });
      await stream.end({ id: 1 });
    });
    expect(told).toEqual(['text/event-stream', event({ a: 1 }) + event({ id: 1 })]);
  });

  test('and so is one, where that was begun', async () => {
    const told = await answered(async (stream) => {
      stream.begin();
      stream.begin();
      await stream.end({ id: 1 });
    });
    expect(told).toEqual(['text/event-stream', event({ id: 1 })]);
  });

  test('waits for a client that reads slowly, and not for one that has gone', async () => {
    const large = { text: 'x'.repeat(5_000_000) };
    const [type, text] = await answered(async (stream) => {
      await stream.send(large);
      await stream.end({ id: 1 });
    });
    expect([type, text?.length]).toEqual([
      ...['text/event-stream', event(large).length + event({ id: 1 }).length],
    ]);
    let isDone: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (isDone = resolve));
    const { url } = await serve(async (_request, response) => {
      const sending = new MessageStream(response).send(large);
      response.destroy();
      await sending;
      isDone();
    });
    await fetch(url).then(
      (response) => response.text().catch(() => ''),
      () => '',
    );
    await done;
  });

  test('14.8b: of a client that is slow for long nothing is left behind', async () => {
    const large = { text: 'x'.repeat(2_000_000) };
    let listeners: readonly number[] = [];
    const [, text] = await answered(async (stream, response) => {
      const counted = () => ['close', 'drain', 'error'].map((name) => response.listenerCount(name));
      const before = counted();
      for (let times = 0; times < 5; times++) await stream.send(large);
      listeners = counted().map((count, at) => count - (before[at] ?? 0));
      await stream.end({ id: 1 });
    });
    expect(text?.length).toBeGreaterThan(10_000_000);
    expect(listeners).toEqual([0, 0, 0]);
  });
});
