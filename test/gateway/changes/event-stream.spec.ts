import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EventStream } from '../../../src/gateway/changes/event-stream.js';

describe('EventStream', () => {
  let response: ServerResponse;
  let written: string[];
  let told: string[];
  let stream: EventStream;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    [written, told] = [[], []];
    response = new ServerResponse(new IncomingMessage(new Socket()));
    response.write = (text: string) => written.push(text) > 0;
    stream = new EventStream(response, (method) => told.push(method));
  });
  afterEach(() => {
    response.destroy();
    vi.useRealTimers();
  });

  test('is one from its head on, and no proxy holds it back', () => {
    expect(response.statusCode).toBe(200);
    expect([response.headersSent, stream.isOpen]).toEqual([true, true]);
    stream.send({ a: 1 });
    expect(written).toEqual(['event: message\ndata: {"a":1}\n\n']);
  });

  test('a change is told once, however many upstreams say it in a moment', () => {
    for (const method of ['a', 'b', 'a']) stream.changed(method);
    vi.advanceTimersByTime(49);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(['a', 'b']);
    stream.changed('a');
    vi.advanceTimersByTime(50);
    expect(told).toEqual(['a', 'b', 'a']);
  });

  test('is kept alive every 15 seconds', () => {
    vi.advanceTimersByTime(30_000);
    expect(written).toEqual([': keep-alive\n\n', ': keep-alive\n\n']);
  });

  test('a client that does not read loses it', () => {
    Object.defineProperty(response, 'writableLength', { value: 1_048_577 });
    stream.send({ a: 1 });
    expect([response.destroyed, stream.isOpen]).toEqual([true, false]);
  });

  test('when it is closed nothing is said any more', async () => {
    stream.changed('a');
    response.emit('close');
    await stream.closed;
    vi.advanceTimersByTime(60_000);
    expect([written, told]).toEqual([[], []]);
    stream.end();
    stream.send({ a: 1 });
    stream.end();
    expect([written, stream.isOpen]).toEqual([[], false]);
  });
});
