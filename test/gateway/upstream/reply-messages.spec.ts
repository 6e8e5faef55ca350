import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { messagesOf } from '../../../src/gateway/upstream/reply-messages.js';

async function messages(text: string, isEvents = false): Promise<unknown[]> {
  const body = Object.assign(Readable.from([Buffer.from(text)]), { headers: {} });
  const all: unknown[] = [];
  for await (const message of messagesOf({ body, isEvents } as never)) all.push(message);
  return all;
}

test.each<[string, unknown[]]>([
  ['{"a":1}', [{ a: 1 }]],
  ['[{"a":1},{"b":2}]', [{ a: 1 }, { b: 2 }]], // 2025-03-26
  ['[{"a":1},5,null,[]]', [{ a: 1 }]],
  ['5', []],
  ['', []],
  ['{', []],
])('a document %s has %j', async (text, all) => {
  expect(await messages(text)).toEqual(all);
});

test('an event stream has those of its events; what is no message is left out', async () => {
  const text = 'data: {"a":1}\n\ndata: x\n\nevent: message\ndata: [{"b":2}]\n\n: comment\n\n';
  expect(await messages(text, true)).toEqual([{ a: 1 }, { b: 2 }]);
});
