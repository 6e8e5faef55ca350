import type { IncomingMessage } from 'node:http';
import { get } from 'node:http';
import { afterAll, describe, expect, test } from 'vitest';
import { discard, mediaType, secondsUntilRetry } from '../../../src/gateway/wire/answer-head.js';
import { cleanUp, serve } from '../../support/servers/http-servers.js';

afterAll(cleanUp);

test.each<[string | undefined, string]>([
  [undefined, ''],
  ['Text/Event-Stream; charset=utf-8', 'text/event-stream'],
  [' application/json ', 'application/json'],
  [';', ''],
])('mediaType: %j is %j', (type, media) => {
  expect(mediaType({ headers: type === undefined ? {} : { 'content-type': type } })).toBe(media);
});

describe('discard', () => {
  const answerOf = async (bytes: number, withLength = true) => {
    const { url } = await serve((_request, response) => {
      if (withLength) response.setHeader('content-length', bytes);
      response.write('x'.repeat(bytes)); // without a length it is sent in pieces
      response.end();
    });
    return new Promise<IncomingMessage>((resolve) => get(url, { agent: false }, resolve));
  };

  test('a short body is read, so that its connection can be used again', async () => {
    const body = await answerOf(10);
    const ended = new Promise((resolve) => body.once('end', resolve));
    discard(body);
    await ended;
    expect(body.complete).toBe(true);
  });

  test.each([
    [20_000, true],
    [10, false],
  ])('one of %i bytes, length said: %s, is let go', async (bytes, withLength) => {
    const body = await answerOf(bytes, withLength);
    discard(body);
    expect(body.destroyed).toBe(true);
  });

  test('an error of it is nobody’s', async () => {
    const body = await answerOf(10);
    discard(body);
    expect(() => body.emit('error', new Error('reset'))).not.toThrow();
  });
});

describe('RFC 9110 §10.2.3: secondsUntilRetry', () => {
  test.each<[string | undefined, number]>([
    [undefined, 1],
    ['', 1],
    ['soon', 1],
    ['0', 1],
    ['-5', 1],
    ['7', 7],
    [' 1.2 ', 2],
    ['1e9', 3600],
    ['Infinity', 1],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 1],
    ['Fri, 31 Dec 2999 23:59:59 GMT', 3600],
  ])('%j is %i', (header, seconds) => {
    expect(secondsUntilRetry(header)).toBe(seconds);
  });

  test('a date is so far away as it is', () => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString();
    const seconds = secondsUntilRetry(inAMinute);
    expect(seconds > 55 && seconds <= 60).toBe(true);
  });
});
