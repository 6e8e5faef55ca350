import { afterAll, describe, expect, it } from 'vitest';
import { json, type Reply, send, sendTruncated, text } from '../../../src/testing/http/reply.js';
import { cleanUp, serve } from '../../support/servers/http-servers.js';

afterAll(cleanUp);

async function answered(reply: Reply, how = send): Promise<Response> {
  const { url } = await serve((_request, response) => how(response, reply));
  return fetch(url);
}

it('json and text have their types, which may be replaced', () => {
  expect(json(201, { a: 1 })).toEqual({
    ...{ status: 201, headers: { 'Content-Type': 'application/json' }, body: '{"a":1}' },
  });
  expect(json(200, {}, { 'Content-Type': 'x', A: 'b' }).headers).toEqual({
    ...{ 'Content-Type': 'x', A: 'b' },
  });
  expect(text(404, 'no', { Allow: 'GET' })).toEqual({
    status: 404,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', Allow: 'GET' },
    body: 'no',
  });
});

describe('send', () => {
  it('with the length in bytes', async () => {
    const response = await answered(text(200, 'ü'));
    expect(response.headers.get('content-length')).toBe('2');
    expect(await response.text()).toBe('ü');
  });

  it('RFC 9110 §8.6: 204 has no length', async () => {
    const response = await answered({ status: 204 });
    expect([response.status, response.headers.get('content-length')]).toEqual([204, null]);
  });

  it('an empty body has length 0', async () => {
    expect((await answered({ status: 200 })).headers.get('content-length')).toBe('0');
  });
});

it('sendTruncated promises the whole and gives the first half', async () => {
  const response = await answered(text(200, 'abcdef'), sendTruncated);
  expect(response.headers.get('content-length')).toBe('6');
  let seen = '';
  const read = async () => {
    for await (const part of response.body ?? []) seen += Buffer.from(part).toString();
  };
  await expect(read()).rejects.toThrow();
  expect(['', 'abc']).toContain(seen);
});
