import { expect, test } from 'vitest';
import { BatchStream } from '../../../src/gateway/legacy/batch.js';

test('MCP 2025-03-26: answers come as they are there, and the last of them ends the stream', async () => {
  const sent: [string, object][] = [];
  const stream = {
    send: async (message: object) => void sent.push(['send', message]),
    end: async (message: object) => void sent.push(['end', message]),
  };
  const batch = new BatchStream(stream, 3);
  const [one, two, three] = [batch.sink, batch.sink, batch.sink];
  await two.send({ progress: 2 });
  await two.end({ id: 2 });
  await one.end({ id: 1 });
  await three.send({ progress: 3 });
  await three.end({ id: 3 });
  expect(sent).toEqual([
    ['send', { progress: 2 }],
    ['send', { id: 2 }],
    ['send', { id: 1 }],
    ['send', { progress: 3 }],
    ['end', { id: 3 }],
  ]);
});
