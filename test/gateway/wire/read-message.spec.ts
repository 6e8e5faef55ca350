import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import {
  eventsOf,
  readResponse,
  readText,
  UnreadableAnswer,
} from '../../../src/gateway/wire/read-message.js';

async function all(chunks: readonly string[], maxBytes = 1000): Promise<string[]> {
  const events: string[] = [];
  for await (const data of eventsOf(
    Readable.from(chunks.map((one) => Buffer.from(one))),
    maxBytes,
  )) {
    events.push(data);
  }
  return events;
}
const stream = (text: string) => Readable.from([Buffer.from(text)]);

describe('14.B: answers that are read', () => {
  const text = ': hi\r\ndata: a\r\ndata:b\r\n\r\nevent: x\ndata: é\n\ndata: c\r\rdata: lost';

  test('events are the same in whatever pieces they come', async () => {
    const expected = ['a\nb', 'é', 'c'];
    expect(await all([text])).toEqual(expected);
    for (let at = 1; at < text.length; at++) {
      expect(await all([text.slice(0, at), text.slice(at)])).toEqual(expected);
    }
    const bytes = [...Buffer.from(text)].map((byte) => Buffer.from([byte]));
    const events: string[] = [];
    for await (const data of eventsOf(Readable.from(bytes), 100)) events.push(data);
    expect(events).toEqual(expected);
  });

  test('an event, or a line without an end, has a bound', async () => {
    await expect(all([`data: ${'x'.repeat(200)}\n\n`], 100)).rejects.toThrow(UnreadableAnswer);
    await expect(all(Array(30).fill('data: xxxxxxx\n') as string[], 100)).rejects.toThrow(
      UnreadableAnswer,
    );
    await expect(all(Array(30).fill('xxxxxxx') as string[], 100)).rejects.toThrow(UnreadableAnswer);
    expect(await all(Array(300).fill('data: x\n\n') as string[], 100)).toHaveLength(300);
  });

  test('the response is the one with our id', async () => {
    const events =
      'data: {"jsonrpc":"2.0","method":"x","id":1}\n\ndata: no\n\ndata: {"jsonrpc":"2.0","id":2,"result":{}}\n\n' +
      'data: {"jsonrpc":"2.0","id":1,"result":{"a":1}}\n\n';
    const asked = { isEvents: true, id: 1, maxBytes: 1000 };
    expect(await readResponse(stream(events), asked)).toMatchObject({ result: { a: 1 } });
    await expect(readResponse(stream('data: {}\n\n'), asked)).rejects.toThrow(UnreadableAnswer);
    const json = { ...asked, isEvents: false };
    expect(await readResponse(stream('{"id":1,"result":{}}'), json)).toMatchObject({ result: {} });
    for (const bad of ['{"id":2}', '<p>', '[]', '']) {
      await expect(readResponse(stream(bad), json)).rejects.toThrow(UnreadableAnswer);
    }
    await expect(readText(stream('12345'), 4)).rejects.toThrow(UnreadableAnswer);
  });
});
