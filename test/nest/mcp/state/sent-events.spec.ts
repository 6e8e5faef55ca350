import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/server';
import { SentEvents } from '../../../../src/nest/mcp/state/sent-events.js';
import { platforms } from '../../../support/nest/start-app.js';
import { until } from '../../../support/time/until.js';
import {
  Host,
  type McpApp,
  type McpHost,
  request,
  startMcpApp,
} from '../../../support/nest/mcp-app.js';
import { settled } from '../../../support/time/settled.js';

interface Session {
  readonly transport: {
    handleRequest(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>;
  };
  notify(text: string): Promise<void>;
}

/** As the examples of the SDKs, which fail for the stream of a GET. */
class InMemoryEventStore {
  readonly #events: { streamId: string; message: never }[] = [];

  storeEvent(streamId: string, message: unknown): Promise<string> {
    return Promise.resolve(`event-${this.#events.push({ streamId, message: message as never })}`);
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: never) => Promise<void> },
  ): Promise<string> {
    const last = Number(lastEventId.slice('event-'.length));
    const streamId = this.#events[last - 1]?.streamId ?? '';
    for (const [at, event] of this.#events.entries()) {
      if (at >= last && event.streamId === streamId) await send(`event-${at + 1}`, event.message);
    }
    return streamId;
  }
}

type Open = (opened: (id: string) => void, eventStore: InMemoryEventStore) => Promise<Session>;

const INFO = { name: 'server', version: '1' };
const OPTIONS = { capabilities: { logging: {} } };
const note = (text: string) => ({ level: 'info' as const, data: text });

const sdks: Record<string, Open> = {
  'SDK v1': async (onsessioninitialized, eventStore) => {
    const server = new McpServerV1(INFO, OPTIONS);
    const sessionIdGenerator = () => crypto.randomUUID();
    const options = { sessionIdGenerator, onsessioninitialized, eventStore };
    const transport = new StreamableHTTPServerTransport(options);
    await server.connect(transport);
    return { transport, notify: (text) => server.server.sendLoggingMessage(note(text)) };
  },
  'SDK v2': async (onsessioninitialized, eventStore) => {
    const server = new McpServer(INFO, OPTIONS);
    const sessionIdGenerator = () => crypto.randomUUID();
    const options = { sessionIdGenerator, onsessioninitialized, eventStore } as never;
    const transport = new NodeStreamableHTTPServerTransport(options);
    await server.connect(transport);
    return {
      transport,
      notify: (text) =>
        server.server.notification({ method: 'notifications/message', params: note(text) }),
    };
  },
};

/** The mistake: one store of events for the sessions of all callers. */
class SharedStoreHost {
  readonly #store = new InMemoryEventStore();
  readonly #sessions = new Map<string, Session>();

  constructor(private readonly open: Open) {}

  readonly handle: McpHost = async (incoming, response, body) => {
    const id = incoming.headers['mcp-session-id'];
    const known = this.#sessions.get(String(id));
    const session: Session =
      known ?? (await this.open((opened) => this.#sessions.set(opened, session), this.#store));
    await session.transport.handleRequest(incoming, response, body);
  };

  async notify(sessionId: string, text: string): Promise<void> {
    await this.#sessions.get(sessionId)?.notify(text);
  }
}

const cases = platforms.flatMap((platform) => Object.keys(sdks).map((sdk) => ({ platform, sdk })));

describe.each(cases)('resumed streams, $sdk on $platform', ({ platform, sdk }) => {
  let host: SharedStoreHost;
  let server: McpApp;

  beforeAll(async () => {
    host = new SharedStoreHost(sdks[sdk] as Open);
    server = await startMcpApp({
      platform,
      metadata: { providers: [{ provide: Host, useValue: new Host(host.handle) }] },
    });
  });
  afterAll(() => server.close());

  async function openSession(sub: string): Promise<string> {
    const initialize = request('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    });
    const opened = await server.post(initialize, { claims: { sub } });
    return String(opened.headers.get('mcp-session-id'));
  }

  /** An open stream, and what has come of it so far. */
  async function stream(sub: string, sessionId: string, lastEventId?: string) {
    const aborter = new AbortController();
    const response = await fetch(server.mcpUrl, {
      signal: aborter.signal,
      headers: {
        accept: 'text/event-stream',
        authorization: await server.bearer('', { sub }),
        'mcp-session-id': sessionId,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
    });
    expect(response.status).toBe(200);
    const seen = {
      text: '',
      ids: () => [...seen.text.matchAll(/^id: ?(.+)$/gm)].map(([, id]) => id),
    };
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const reading = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        seen.text += value;
      }
    })().catch(() => undefined);
    const untilSeen = (text: string) => until(() => seen.text.includes(text));
    const close = async () => {
      aborter.abort();
      await reading;
      await settled(); // the server hears of it
    };
    return { seen, untilSeen, close };
  }

  it('9.9b: a caller resumes after an event that he was sent', async () => {
    const session = await openSession('alice');
    const first = await stream('alice', session);
    await host.notify(session, 'one');
    await first.untilSeen('one');
    await first.close();
    await host.notify(session, 'two');
    const second = await stream('alice', session, first.seen.ids().at(-1));
    await second.untilSeen('two');
    expect(second.seen.text).not.toContain('one');
    await second.close();
  });

  it('9.9b: the event id of somebody else is dropped', async () => {
    const ofAlice = await openSession('alice');
    const alices = await stream('alice', ofAlice);
    await host.notify(ofAlice, 'first of alice');
    await alices.untilSeen('first of alice');
    await host.notify(ofAlice, 'secret of alice');
    await alices.untilSeen('secret of alice');
    const ofBob = await openSession('bob');
    const bobs = await stream('bob', ofBob, alices.seen.ids()[0]);
    await host.notify(ofBob, 'for bob');
    await bobs.untilSeen('for bob');
    expect(bobs.seen.text).not.toContain('alice');
    await bobs.close();
    await alices.close();
  });

  it('9.9b: events of somebody else that follow one’s own are not sent again', async () => {
    const ofBob = await openSession('bob');
    const bobs = await stream('bob', ofBob);
    await host.notify(ofBob, 'for bob');
    await bobs.untilSeen('for bob');
    await bobs.close();
    const ofAlice = await openSession('alice');
    const alices = await stream('alice', ofAlice);
    await host.notify(ofAlice, 'secret of alice');
    await alices.untilSeen('secret of alice');
    const again = await stream('bob', ofBob, bobs.seen.ids().at(-1));
    await host.notify(ofBob, 'more for bob');
    await again.untilSeen('more for bob');
    expect(again.seen.text).not.toContain('secret');
    await again.close();
    await alices.close();
  });
});

describe('SentEvents', () => {
  function sent(chunks: readonly (string | Uint8Array)[], type = 'text/event-stream') {
    const events = new SentEvents();
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    events.watch(response, 'alice');
    response.writeHead(200, { 'Content-Type': type });
    for (const chunk of chunks) response.write(chunk);
    response.end();
    return (id: string) => [events.wasSent(id, 'alice'), events.wasSent(id, 'bob')];
  }

  it.each([
    [['id: a\ndata: x\n\n']],
    [['id:a\r\ndata: x\r\n\r\n']],
    [['data: x\rid: a\r\r']],
    [['data: x\n', 'i', 'd', ':', ' a', '\n\n']],
    [[Buffer.from('id: a\n'), 'data: x\n\n']],
    [[`data: ${'x'.repeat(10_000)}`, 'id: no\n', 'id: a\n\n']],
  ])('learns the ids in a stream: %j', (chunks) => {
    expect(sent(chunks)('a')).toEqual([true, false]);
  });

  it.each([
    [['id: \n\n'], ''],
    [['data: id: a\n\n'], 'a'],
    [['idea: a\n\n'], 'a'],
    [[`id: ${'a'.repeat(2000)}\n\n`], 'a'.repeat(2000)],
    [['data: x', 'id: a\n\n'], 'a'],
  ])('and nothing else: %j', (chunks, id) => {
    expect(sent(chunks)(id)).toEqual([false, false]);
  });

  it('only of event streams', () => {
    expect(sent(['id: a\n\n'], 'text/plain')('a')).toEqual([false, false]);
  });

  it('an id in other letters is compared as Node reads the header', () => {
    expect(sent(['id: ä\n\n'])('Ã¤')).toEqual([true, false]);
  });

  it('drops a foreign id from every copy of the headers', () => {
    const events = new SentEvents();
    events.remember('own', 'alice');
    for (const [id, owner, isDropped] of [
      ['own', 'alice', false],
      ['own', 'bob', true],
      ['other', 'alice', true],
      ['own, own', 'alice', true],
    ] as const) {
      const asked = new IncomingMessage(new Socket());
      asked.headers = { 'last-event-id': id, accept: 'a' };
      asked.rawHeaders = ['Last-Event-ID', id, 'Accept', 'a', 'last-event-id', id];
      expect(events.dropForeign(asked, owner)).toBe(isDropped);
      expect('last-event-id' in asked.headers).toBe(!isDropped);
      expect(asked.rawHeaders).toHaveLength(isDropped ? 2 : 6);
    }
  });

  it('is bounded: the oldest of one, and all of whoever was quiet for longest', () => {
    const events = new SentEvents({ maxEvents: 6, maxEventsOfOne: 3 });
    for (const owner of ['a', 'b', 'c']) {
      for (let index = 0; index < 5; index++) events.remember(`${owner}${index}`, owner);
    }
    const known = (owner: string) =>
      [0, 1, 2, 3, 4].filter((index) => events.wasSent(`${owner}${index}`, owner));
    expect([known('a'), known('b'), known('c')]).toEqual([[], [2, 3, 4], [2, 3, 4]]);
  });
});
