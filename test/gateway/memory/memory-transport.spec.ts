import { text } from 'node:stream/consumers';
import { McpServer as ServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { McpServer as ServerV2 } from '@modelcontextprotocol/server';
import { describe, expect, test } from 'vitest';
import { MemoryAnswer, MemoryTransport } from '../../../src/gateway/memory/memory-transport.js';

const initialize = {
  ...{ jsonrpc: '2.0', id: 'first', method: 'initialize' },
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'c', version: '1' },
  },
};
const called = (id: number, name: string) => ({
  ...{ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } },
});

/** A server of one tool, which tells something before it answers. */
const servers = {
  v1: () => {
    const server = new ServerV1({ name: 'v1', version: '1' }, { capabilities: { logging: {} } });
    server.registerTool('tell', {}, async (extra) => {
      await extra.sendNotification(logged('on the way'));
      return { content: [{ type: 'text', text: 'v1' }] };
    });
    return server;
  },
  v2: () => {
    const server = new ServerV2({ name: 'v2', version: '1' }, { capabilities: { logging: {} } });
    server.registerTool('tell', {}, async (ctx) => {
      await ctx.mcpReq.notify(logged('on the way'));
      return { content: [{ type: 'text', text: 'v2' }] };
    });
    return server;
  },
};
const logged = (data: string) => ({
  ...{ method: 'notifications/message' as const, params: { level: 'info' as const, data } },
});

describe.each(['v1', 'v2'] as const)('MemoryTransport: a server of SDK %s', (sdk) => {
  async function connected() {
    const [server, transport] = [servers[sdk](), new MemoryTransport()];
    await server.connect(transport); // of either SDK
    const send = (message: { readonly id: unknown }) => {
      const answer = new MemoryAnswer(200);
      transport.answer(message.id, answer);
      transport.onmessage?.(message);
      return answer;
    };
    return { server, transport, send };
  }

  test('an answer has all that is about its request, and ends with the response', async () => {
    const { send } = await connected();
    expect(await text(send(initialize))).toMatch(/^data: .*"id":"first"/);
    const [one, two] = [send(called(1, 'tell')), send(called(2, 'tell'))];
    for (const [id, answer] of [
      [1, one],
      [2, two],
    ] as const) {
      const events = (await text(answer)).trim().split('\n\n');
      const [told, response] = events.map((event) => JSON.parse(event.slice('data: '.length)));
      expect([told.params.data, response.id, response.result.content[0].text]).toEqual([
        ...['on the way', id, sdk],
      ]);
      expect(answer.socket.bytesRead).toBeGreaterThan(0);
    }
  });

  test('what is about no request is told to whoever listens, and to nobody else', async () => {
    const { server, transport, send } = await connected();
    await text(send(initialize));
    await server.server.notification(logged('to nobody'));
    const stream = new MemoryAnswer(200);
    transport.standalone = stream;
    await server.server.notification(logged('to whoever listens'));
    stream.end();
    expect(await text(stream)).toMatch(/^data: \{[^\n]*to whoever listens[^\n]*\n\n$/);
  });

  test('its end is that of the server, of open answers and of the stream', async () => {
    const { server, transport, send } = await connected();
    await text(send(initialize));
    let closed = 0;
    server.server.onclose = () => closed++;
    const [open, stream] = [new MemoryAnswer(200), new MemoryAnswer(200)];
    transport.answer(9, open);
    transport.standalone = stream;
    await server.close();
    expect([closed, open.destroyed, stream.destroyed]).toEqual([1, true, true]);
  });
});

test('MemoryAnswer: what is told to nobody any more is dropped', async () => {
  const answer = new MemoryAnswer(202, { a: 'b' });
  expect([answer.statusCode, answer.headers]).toEqual([202, { a: 'b' }]);
  answer.destroy(new Error('gone')); // and nobody is told of it
  answer.tell({ a: 1 });
  await new Promise((resolve) => answer.once('close', resolve));
  expect(answer.readableLength).toBe(0);
});
