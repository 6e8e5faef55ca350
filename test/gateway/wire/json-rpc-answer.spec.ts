import { afterAll, describe, expect, test } from 'vitest';
import {
  ACCEPTED,
  errorAnswer,
  resultAnswer,
  resultTextAnswer,
  type RpcAnswer,
  sendAnswer,
} from '../../../src/gateway/wire/json-rpc-answer.js';
import { cleanUp, serve } from '../../support/servers/http-servers.js';

afterAll(cleanUp);

async function sent(answer: RpcAnswer): Promise<Response> {
  const { url } = await serve((_request, response) => sendAnswer(response, answer));
  return fetch(url);
}

describe('what the gateway answers by itself', () => {
  test('an error, of a request or of nobody’s, with status and headers', async () => {
    const error = { code: -32600, message: 'Invalid Request' };
    const response = await sent(errorAnswer(null, error, 400, { 'Retry-After': '5' }));
    expect([response.status, response.headers.get('retry-after')]).toEqual([400, '5']);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual({ jsonrpc: '2.0', id: null, error });
    expect(errorAnswer('a', error)).toMatchObject({ status: 200, headers: {} });
  });

  test('a result, whose text may be ready', async () => {
    expect(await (await sent(resultAnswer(1, { a: 'ü' }))).json()).toEqual({
      ...{ jsonrpc: '2.0', id: 1, result: { a: 'ü' } },
    });
    const { text } = resultTextAnswer('a"b', '{"a":1.0}');
    expect(text).toBe(String.raw`{"jsonrpc":"2.0","id":"a\"b","result":{"a":1.0}}`);
  });

  test('a notification is accepted, without a body', async () => {
    const response = await sent(ACCEPTED);
    expect([response.status, await response.text()]).toEqual([202, '']);
    expect(response.headers.get('content-type')).toBeNull();
  });
});
