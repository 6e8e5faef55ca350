import { afterEach, describe, expect, it } from 'vitest';
import { createServer, get, IncomingMessage, type Server, ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import {
  rewriteEvents,
  type RewriteMessage,
  rewriteMessages,
} from '../../../src/nest/http/response-rewrite.js';

let server: Server | undefined;
afterEach(() => void server?.close());

const inPlace = (json: string) => json.replaceAll('secret', 'x');
/** As the filter of lists does. */
const whole = (json: string) =>
  JSON.stringify(JSON.parse(json, (_, value: unknown) => (value === 'secret' ? 'x' : value)));

async function answer(
  respond: (response: ServerResponse) => void,
  rewrite: RewriteMessage = inPlace,
  install = rewriteMessages,
) {
  server?.close(); // of the answer before
  server = createServer((_, response) => {
    install(response, rewrite);
    respond(response);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}`);
  return { text: await response.text(), status: response.status, headers: response.headers };
}

const JSON_TYPE = 'application/json; charset=utf-8';
const EVENTS = 'text/event-stream';
const bytes = Buffer.from('{"a":"sécret secret"}');

describe('rewriteMessages', () => {
  it.each([
    ['an object', { 'Content-Type': JSON_TYPE, 'Content-Length': bytes.length }],
    ['a flat list', ['content-type', JSON_TYPE, 'CONTENT-LENGTH', String(bytes.length)]],
  ])('a document, with its head as %s', async (_, head) => {
    const { text, headers, status } = await answer((response) => {
      response.writeHead(201, head as never);
      response.write(bytes.subarray(0, 8)); // inside a character
      response.end(bytes.subarray(8));
    });
    expect([status, text]).toEqual([201, '{"a":"sécret x"}']);
    expect(headers.get('content-length')).toBe(String(Buffer.byteLength(text)));
  });

  it.each([
    ['in the head', true],
    ['set before', false],
  ])('9.9b: what was computed from the body before does not go along: %s', async (_, isInHead) => {
    for (const type of [JSON_TYPE, EVENTS]) {
      const { headers } = await answer((response) => {
        const head = { 'Content-Type': type, ETag: 'W/"70-x"', 'Content-Digest': 'sha-256=:x:' };
        if (!isInHead)
          for (const [name, value] of Object.entries(head)) response.setHeader(name, value);
        response.writeHead(200, isInHead ? head : {}).end('{}');
      });
      expect([headers.get('etag'), headers.get('content-digest')]).toEqual([null, null]);
      expect(headers.get('content-type')).toBe(type);
    }
  });

  it('9.9: a refusal as problem details is read as well', async () => {
    const { text } = await answer((response) => {
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      response.end('{"title":"no secret"}');
    });
    expect(text).toBe('{"title":"no x"}');
  });

  it('a document with headers set before, and callbacks', async () => {
    const called: string[] = [];
    const { text, headers } = await answer((response) => {
      response.setHeader('content-type', JSON_TYPE).setHeader('content-length', bytes.length);
      response.flushHeaders();
      response.write('{"a":"sécret ', () => called.push('write'));
      response.end('secret"}', 'utf8', () => called.push('end'));
    });
    expect(text).toBe('{"a":"sécret x"}');
    expect(headers.get('content-length')).toBe('17');
    expect(called).toEqual(['write', 'end']);
  });

  it('a document without length, and one that stays as it is', async () => {
    const plain = await answer((response) => {
      response.writeHead(200, 'Fine', { 'content-type': JSON_TYPE });
      response.end(Buffer.from(bytes).toString('latin1'), 'latin1');
    });
    expect(plain.text).toBe('{"a":"sécret x"}');
    const same = await answer((response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE, 'content-length': 2 }).end('{}');
    });
    expect(same.text).toBe('{}');
  });

  it('events, however they are cut, one by one as they come', async () => {
    const { text } = await answer((response) => {
      response.writeHead(200, { 'content-type': EVENTS });
      response.flushHeaders();
      const stream = Buffer.from(
        ': comment secret\n\nevent: message\nid: 1\ndata: {"a":"sécret secret"}\n\ndata:"secret"\r\n\r\ndata: "secret',
      );
      const send = (index: number) => {
        if (index >= stream.length) return void response.end('"');
        response.write(stream.subarray(index, index + 7), () => send(index + 7));
      };
      send(0);
    });
    expect(text).toBe(
      ': comment secret\n\nevent: message\nid: 1\ndata: {"a":"sécret x"}\n\ndata:"x"\r\n\r\ndata: "x"',
    );
  });

  it('hardening: a message in several data lines is one message', async () => {
    const { text } = await answer((response) => {
      response.writeHead(200, { 'content-type': EVENTS });
      response.end('id: 1\r\ndata: {\r\ndata:   "a": "secret"\r\ndata: }\r\nretry: 5\r\n\r\n');
    }, whole);
    expect(text).toBe('id: 1\r\ndata: {"a":"x"}\r\nretry: 5\r\n\r\n');
  });

  it('events whose length is announced', async () => {
    const body = 'data: "secret"\n\n';
    const { text, headers } = await answer((response) => {
      response.writeHead(200, { 'content-type': EVENTS, 'content-length': body.length });
      response.write(body);
      response.end();
    });
    expect(text).toBe('data: "x"\n\n');
    expect(headers.get('content-length')).toBe('11');
  });

  it.each<[string, Record<string, string>]>([
    ['plain text', { 'content-type': 'text/plain; charset=utf-8', 'content-length': '8' }],
    ['an unknown type', { 'content-type': 'x/y' }],
    ['no type', {}],
  ])('9.9: a document of another type: %s', async (_, head) => {
    const { text } = await answer((response) => response.writeHead(400, head).end('a secret'));
    expect(text).toBe('a x');
  });

  it('what is no text, or empty, is left alone', async () => {
    const sent = Buffer.from([...Buffer.from('secret'), 0xff]);
    const { text } = await answer((response) => response.end(sent));
    expect(text).toBe('secret\ufffd');
    const empty = await answer((response) => response.writeHead(204).end());
    expect([empty.status, empty.text]).toEqual([204, '']);
  });
});

describe('rewriteEvents', () => {
  it('events, with their type', async () => {
    const types: unknown[] = [];
    const { text } = await answer(
      (response) => {
        response.writeHead(200, { 'content-type': EVENTS });
        response.write('event: endpoint\ndata: secret\n\n');
        response.end('data: secret\n\n');
      },
      (json, type) => (types.push(type), inPlace(json)),
      rewriteEvents,
    );
    expect(text).toBe('event: endpoint\ndata: x\n\ndata: x\n\n');
    expect(types).toEqual(['endpoint', '']);
  });

  it.each<[string, Record<string, string>]>([
    ['a document', { 'content-type': JSON_TYPE }],
    ['bytes', { 'content-type': 'application/octet-stream' }],
    ['a compressed stream', { 'content-type': EVENTS, 'content-encoding': 'x-none' }],
  ])('leaves %s alone, every byte and as it comes', async (_, head) => {
    const sent = Buffer.from([...Buffer.from('data: "secret"\n\n'), 0xff, 0xfe]);
    server = createServer((_, response) => {
      rewriteEvents(response, inPlace);
      response.writeHead(200, head);
      expect(response.write(sent.subarray(0, 3))).toBe(true);
      setTimeout(() => response.end(sent.subarray(3)), 50);
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const chunks = await new Promise<Buffer[]>((resolve, reject) => {
      get({ port, host: '127.0.0.1' }, (response) => {
        const seen: Buffer[] = [];
        response.on('data', (chunk: Buffer) => seen.push(chunk));
        response.on('end', () => resolve(seen));
      }).on('error', reject);
    });
    expect(chunks[0]).toEqual(sent.subarray(0, 3));
    expect(Buffer.concat(chunks)).toEqual(sent);
  });
});

describe('13.5: what is not rewritten is passed on as it came', () => {
  const start = (passes: () => boolean = () => true) => {
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    const sent: unknown[] = [];
    response.write = ((chunk: unknown) => sent.push(chunk) < 4) as never;
    const seen: string[] = [];
    rewriteEvents(
      response,
      (data) => {
        seen.push(data);
        return data.replace('secret', 'x');
      },
      passes,
    );
    response.writeHead(200, { 'content-type': EVENTS });
    response.write('data: first\n\n');
    return { response, sent, seen };
  };

  it('13.5: the very chunk, and the answer of the socket', () => {
    const { response, sent, seen } = start();
    const chunks = [Buffer.from('data: é secret\n\n'), 'data: a\n\ndata: b\n\n'];
    expect(chunks.map((chunk) => response.write(chunk))).toEqual([true, true]);
    expect(sent[1]).toBe(chunks[0]);
    expect(sent[2]).toBe(chunks[1]);
    expect(seen).toEqual([]);
    expect(response.write('data: c\n\n')).toBe(false); // back-pressure
  });

  it.each<[string, (string | Buffer)[], string]>([
    ['half an event', ['data: se', 'cret\n\n'], 'data: x\n\n'],
    [
      'half a line end',
      ['data: a\r', '\n\r\n', 'data: secret\r\n\r\n'],
      'data: a\r\n\r\ndata: x\r\n\r\n',
    ],
    [
      'half a character',
      [Buffer.from('data: a\n\ndata: \u00e9').subarray(0, -1), Buffer.from([0xa9, 10, 10])],
      'data: a\n\ndata: \u00e9\n\n',
    ],
    [
      'an event in front of half of one',
      ['data: secret\n\ndata: se', 'cret\n\n'],
      'data: x\n\ndata: x\n\n',
    ],
  ])('13.5: but not %s, nor what belongs to it', (_, chunks, whole) => {
    const { response, sent } = start();
    for (const chunk of chunks) response.write(chunk);
    expect(sent.slice(1).map(String).join('')).toBe(whole);
  });

  it('13.5: each chunk is asked about anew', () => {
    let passes = true;
    const { response, sent } = start(() => passes);
    response.write('data: secret\n\n');
    passes = false;
    response.write('data: secret\n\n');
    passes = true;
    response.write('data: secret\n\n');
    expect(sent.slice(1)).toEqual(['data: secret\n\n', 'data: x\n\n', 'data: secret\n\n']);
  });
});
