import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { messagesOf, responseOf } from '../../../src/gateway/upstream/reply-messages.js';
import { upstreamAt } from '../../support/gateway/upstream-objects.js';

const upstream = upstreamAt('https://cal.example.com/mcp');

async function messages(text: string, isEvents = false): Promise<unknown[]> {
  const body = Object.assign(Readable.from([Buffer.from(text)]), { headers: {} });
  const all: unknown[] = [];
  for await (const message of messagesOf(upstream, { body, isEvents } as never)) all.push(message);
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

test('14.8c: what is nested too deeply to be written again cannot be read', async () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const message = (depth: number) => `{"id":1,"result":{"x":${nested(depth)}}}`;
  expect(await messages(message(400))).toHaveLength(1);
  for (const isEvents of [false, true]) {
    const text = isEvents ? `data: ${message(100_000)}\n\n` : message(100_000);
    await expect(messages(text, isEvents)).rejects.toThrow(/cal: its answer cannot be read/);
  }
});

test('14.8c: a response has a result or an error, and nothing else', () => {
  const error = { code: 5, message: 'no' };
  const of = (more: object) => responseOf(upstream, { id: 7, secret: 1, ...more });
  expect(of({ result: { a: 1 } })).toEqual({ jsonrpc: '2.0', id: 7, result: { a: 1 } });
  expect(of({ result: { a: 1 }, error })).toEqual({ jsonrpc: '2.0', id: 7, error });
  expect(of({ error: { code: Infinity } })).toMatchObject({ error: { code: -32603, message: '' } });
  for (const none of [{}, { result: 'x' }, { result: [] }, { error: 'x' }, { result: null }]) {
    expect(() => of(none)).toThrow(/cal: its answer has no result/);
  }
});
