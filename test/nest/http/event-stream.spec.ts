import { describe, expect, it, test } from 'vitest';
import fc from 'fast-check';
import { EventStream, type RewriteEvent } from '../../../src/nest/http/event-stream.js';
import { workOf } from '../../support/hostile/work-of.js';

const MESSAGE = { result: { tools: ['shown', 'secret'] } };
const SHOWN = '{"result":{"tools":["shown"]}}';

/** As the filter of lists does: text that is no JSON stays as it is. */
function withoutSecret(data: string): string {
  try {
    const { result } = JSON.parse(data) as typeof MESSAGE;
    return JSON.stringify({ result: { tools: result.tools.filter((one) => one !== 'secret') } });
  } catch {
    return data;
  }
}

function sent(pieces: readonly string[], rewrite: RewriteEvent = withoutSecret): string {
  const stream = new EventStream(rewrite);
  return pieces.map((piece) => stream.push(piece)).join('') + stream.end();
}

/** All ways to cut the text in two, and one character at a time. */
function cuts(text: string): string[][] {
  const inTwo = [...text].map((_, at) => [text.slice(0, at), text.slice(at)]);
  return [...inTwo, text.split(''), text.split('').flatMap((one) => [one, ''])];
}

interface Parsed {
  readonly data: string;
  readonly type: string;
  readonly lastId: string;
}

/** WHATWG HTML §9.2.5 and §9.2.6, line by line of the specification. */
function parse(stream: string): Parsed[] {
  const events: Parsed[] = [];
  let [data, type, lastId] = ['', '', ''];
  const ended = /^[^]*[\r\n]/.exec(stream.replace(/^\ufeff/, ''))?.[0] ?? '';
  for (const line of ended.split(/\r\n|\r|\n/).slice(0, -1)) {
    if (line === '') {
      if (data !== '') events.push({ data: data.slice(0, -1), type, lastId });
      [data, type] = ['', ''];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data += `${value}\n`;
    if (field === 'event') type = value;
    if (field === 'id') lastId = value;
  }
  return events;
}

describe('EventStream', () => {
  it.each([
    ['LF', '\n'],
    ['CRLF', '\r\n'],
    ['CR', '\r'],
  ])('a message in several data lines is one, however it is cut: %s', (_, end) => {
    const lines = JSON.stringify(MESSAGE, undefined, 2).split('\n');
    const text = [
      ': comment',
      'event: message',
      'id: 1',
      `data: ${lines[0]}`,
      'retry: 5',
      ...lines.slice(1).map((line) => `data:${line}`),
      'id: 2',
      '',
      'data: plain',
      '',
      '',
    ].join(end);
    const expected = [
      ': comment',
      'event: message',
      'id: 1',
      `data: ${SHOWN}`,
      'retry: 5',
      'id: 2',
      '',
      'data: plain',
      '',
      '',
    ].join(end);
    for (const pieces of cuts(text)) expect(sent(pieces)).toBe(expected);
  });

  it.each([
    ['after a byte order mark', `\ufeffdata: ${JSON.stringify(MESSAGE)}\n\n`],
    [
      'with a line separator in a string',
      `data: {"x":"\u2028",${JSON.stringify(MESSAGE).slice(1)}\n\n`,
    ],
    ['with an empty line of data', `data\ndata: ${JSON.stringify(MESSAGE)}\ndata:\n\n`],
    ['with a comment in it', `data: {\n: comment\ndata: ${JSON.stringify(MESSAGE).slice(1)}\n\n`],
    ['without its end', `data: ${JSON.stringify(MESSAGE)}`],
    ['without its last end of line', `data: {\ndata: ${JSON.stringify(MESSAGE).slice(1)}`],
    ['at the second of two marks only', `\ufeffdata: 1\n\ndata: ${JSON.stringify(MESSAGE)}\n\n`],
  ])('a message is found %s', (_, text) => {
    for (const pieces of cuts(text)) {
      expect(sent(pieces)).not.toContain('secret');
      expect(sent(pieces)).toContain(SHOWN);
    }
  });

  it('what needs no change keeps its bytes', () => {
    const text =
      '\ufeff:c\r\n\r\ndata:{\ndata:  "a": 1}\r\rdata\n\n\n\nDATA: {}\ndatab: {}\nid\n data: {}\n \n';
    for (const pieces of cuts(text)) expect(sent(pieces)).toBe(text);
  });

  it('clients get the same events, with their data rewritten', () => {
    const rewrite = (data: string) => data.replaceAll('secret', 'x');
    const part = fc.constantFrom(
      ...['\n', '\r', '\r\n', '\n\n', 'data', 'data:', 'data: secret', 'secret', ':', ' '],
      ...['event: e', 'id: 7', 'retry: 5', '\ufeff', 'é', 'data:  a'],
    );
    fc.assert(
      fc.property(fc.array(fc.array(part, { maxLength: 6 }), { maxLength: 12 }), (pieces) => {
        const chunks = pieces.map((parts) => parts.join(''));
        const expected = parse(chunks.join('')).map((one) => ({ ...one, data: rewrite(one.data) }));
        expect(parse(sent(chunks, rewrite))).toEqual(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it('nothing waits but an event with data, and that for its end only', () => {
    const stream = new EventStream(withoutSecret);
    expect(stream.push(': ping\n')).toBe(': ping\n');
    expect(stream.push('event: message\r')).toBe('event: message\r');
    expect(stream.push('\n')).toBe('\n');
    expect(stream.push('data: a\n')).toBe('');
    expect(stream.push('\n')).toBe('data: a\n\n');
    expect(stream.push('data: b\r\r')).toBe('data: b\r\r');
  });

  it('hardening: a long line in small pieces is not read again with each of them', async () => {
    const stream = new EventStream((data) => data);
    const piece = 'x'.repeat(1000);
    const pieces = 16_000;
    const { characters } = await workOf(() => {
      stream.push('data: ');
      for (let index = 0; index < pieces; index++) stream.push(piece);
      expect(stream.push('\n\n')).toHaveLength(pieces * piece.length + 8);
    });
    expect(characters).toBeGreaterThan(pieces * piece.length);
    expect(characters).toBeLessThan(100 * pieces * piece.length);
  });

  it.each([
    ['event: endpoint\ndata: x\n\n', 'endpoint', ''],
    ['data: x\nevent:endpoint\n\n', 'endpoint', ''],
    ['event: first\r\nevent: last\r\ndata: x\r\n\r\n', 'last', ''],
    ['event: endpoint\n\ndata: x\n\n', '', ''],
    ['event: endpoint\ndata: y\n\ndata: x\n\n', '', ''],
    ['event: endpoint\ndata: x\nevent\n\n', '', ''],
    ['data: x', '', ''],
    ['id: 1\nevent: e\ndata: x\n\n', 'e', '1'],
    ['data: x\nid:1\n\n', '', '1'],
    ['id: 1\ndata: y\n\ndata: x\n\n', '', ''],
  ])('tells type and id of an event: %j', (text, ...expected) => {
    for (const pieces of cuts(text)) {
      const seen: string[][] = [];
      sent(pieces, (...event: string[]) => (seen.push(event), event[0] ?? ''));
      expect(seen.at(-1)).toEqual(['x', ...expected]);
    }
  });

  it('9.9b: takes the data out of an event, which is then none for a client', () => {
    const text = 'id: 1\nevent: e\ndata: a\ndata: b\nretry: 5\n\nid: 2\ndata: c\n\n';
    for (const pieces of cuts(text)) {
      const kept = sent(pieces, (data, _, id) => (id === '1' ? undefined : data));
      expect(kept).toBe('id: 1\nevent: e\nretry: 5\n\nid: 2\ndata: c\n\n');
    }
  });
});

describe('events that are left out', () => {
  it.each(['\n', '\r\n', '\r'])('9.9b: with lines that end in %j, in whatever pieces', (end) => {
    const lines = ['event: message', 'id: 1', 'data: secret', '', 'data: shown', '', ''];
    const dropping: RewriteEvent = (data) => (data.includes('secret') ? undefined : data);
    for (const pieces of cuts(lines.join(end))) {
      const text = sent(pieces, dropping);
      expect(text).not.toContain('secret');
      expect(text.split(/\r\n|\n|\r/).filter((line) => line !== '')).toEqual([
        'event: message',
        'id: 1',
        'data: shown',
      ]);
      expect(text).toMatch(/id: 1(?:\r\n|\n|\r){2,}data: shown/);
    }
  });
});

test('13.5: behind events that went on without it a byte order mark is none', () => {
  const seen: string[] = [];
  const stream = new EventStream((data) => (seen.push(data), data));
  stream.skip();
  expect(stream.isBetweenEvents).toBe(true);
  expect(stream.push('\ufeffdata: a\n\ndata: b\n\n')).toBe('\ufeffdata: a\n\ndata: b\n\n');
  expect(seen).toEqual(['b']);
});
