import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../../src/core/errors/server-errors.js';
import { type LocalTool, LocalTools } from '../../../src/gateway/local/local-tools.js';
import { toolSchema } from '../../../src/gateway/local/tool-schema.js';
import { readText } from '../../../src/gateway/wire/read-message.js';

const caller = { token: '', claims: {} } as never;

function toolsOf(runs: Readonly<Record<string, LocalTool['run']>>) {
  const faults: unknown[] = [];
  const tools = new LocalTools(
    Object.entries(runs).map(([name, run]) => ({ options: { name }, schema: toolSchema(), run })),
    (...fault) => faults.push(fault),
  );
  const send = (method: string, params: object = {}, signal = new AbortController().signal) =>
    tools.send({
      ...{ method: 'POST', headers: {}, caller, signal },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }),
    });
  const ask = async (...args: Parameters<typeof send>) =>
    JSON.parse(await readText(await send(...args), 10_000));
  return { tools, faults, send, ask };
}

describe('14.1: tools of the gateway, asked as an upstream', () => {
  test('lists them for everybody, calls them, and knows nothing else', async () => {
    const { tools, ask } = toolsOf({ a: async () => 'text', b: async () => ({ content: [] }) });
    expect(tools.names).toEqual(['a', 'b']);
    expect((await ask('tools/list')).result).toMatchObject({
      cacheScope: 'public',
      tools: [{ name: 'a', inputSchema: { type: 'object' } }, { name: 'b' }],
    });
    expect(await ask('tools/call', { name: 'a' })).toMatchObject({
      id: 7,
      result: { content: [{ text: 'text' }] },
    });
    for (const name of ['c', '__proto__', 'toString', undefined]) {
      expect((await ask('tools/call', { name })).error.code).toBe(-32602);
    }
    expect((await ask('resources/list')).error.code).toBe(-32601);
    tools.close();
  });

  test('an error of this package is answered as that of an upstream, any other is told here', async () => {
    const own = new ProtocolError('what the authorization server said');
    const fault = new Error('swordfish');
    const { ask, faults } = toolsOf({
      own: () => Promise.reject(own),
      fault: () => Promise.reject(fault),
    });
    await expect(ask('tools/call', { name: 'own' })).rejects.toBe(own);
    expect(faults).toEqual([]);
    expect((await ask('tools/call', { name: 'fault' })).result.isError).toBe(true);
    expect(faults).toEqual([['fault', fault]]);
  });

  test('what is thrown after the first progress ends the stream with it', async () => {
    const own = new ProtocolError('too late for a status');
    const { ask } = toolsOf({
      late: async (_, { progress }) => {
        progress({ progress: 1 });
        throw own;
      },
    });
    await expect(ask('tools/call', { name: 'late', _meta: { progressToken: 1 } })).rejects.toBe(
      own,
    );
  });

  test('one that goes on when nobody waits any more is waited for no longer', async () => {
    const { send } = toolsOf({ deaf: () => new Promise(() => undefined) });
    const stop = new AbortController();
    const waiting = send('tools/call', { name: 'deaf' }, stop.signal);
    const reason = new Error('gone');
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(send('tools/call', { name: 'deaf' }, stop.signal)).rejects.toBe(reason);
  });
});
