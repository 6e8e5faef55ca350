import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OAuthProblem } from '../../../src/testing/http/oauth-problem.js';
import {
  endpointRequest,
  parameter,
  readForm,
  readJsonObject,
  requiredParameter,
} from '../../../src/testing/http/request.js';
import { cleanUp, sendJson, serve } from '../../support/servers/http-servers.js';

describe('endpointRequest', () => {
  const asked = (url: string) => {
    const { path, query } = endpointRequest({ url } as never);
    return [path, query.toString()];
  };

  it.each([
    ['/a?b=c?d', '/a', 'b=c%3Fd'],
    ['/a', '/a', ''],
    ['//evil.example/a', '//evil.example/a', ''],
    ['/a?', '/a', ''],
    ['*', '*', ''],
  ])('%s is %s with %j', (url, path, query) => {
    expect(asked(url)).toEqual([path, query]);
  });
});

describe('bodies', () => {
  let url: string;
  beforeAll(async () => {
    ({ url } = await serve(async (message, response) => {
      const request = endpointRequest(message);
      try {
        const read =
          request.path === '/form'
            ? Object.fromEntries(await readForm(request))
            : await readJsonObject(request);
        sendJson(response, read);
      } catch (error) {
        if (!(error instanceof OAuthProblem)) throw error;
        sendJson(response, [error.error, error.status, error.message]);
      }
    }));
  });
  afterAll(cleanUp);

  const send = async (path: string, type: string, body: string) => {
    const headers = { 'content-type': type };
    return (await fetch(url + path, { method: 'POST', headers, body })).json();
  };
  const FORM = 'application/x-www-form-urlencoded';

  it('a form, whatever its parameters and case', async () => {
    expect(await send('/form', `${FORM.toUpperCase()} ; charset=UTF-8`, 'a=b+c&d=%26')).toEqual({
      ...{ a: 'b c', d: '&' },
    });
  });

  it('what is no form, or too long', async () => {
    expect(await send('/form', 'application/json', '{}')).toEqual([
      ...['invalid_request', 400, `the body must be ${FORM}`],
    ]);
    expect(await send('/form', FORM, 'a'.repeat(64 * 1024 + 1))).toEqual([
      ...['invalid_request', 413, 'the body exceeds 64 KiB'],
    ]);
    expect(await send('/form', FORM, `a=${'b'.repeat(64 * 1024 - 2)}`)).toHaveProperty('a');
  });

  it('RFC 7591 §3.1: a JSON object', async () => {
    expect(await send('/json', 'application/json', '{"a":1}')).toEqual({ a: 1 });
  });

  it.each(['', '[]', '1', '{"a":1,"a":2}', '{'])('%j is none', async (body) => {
    expect(await send('/json', 'application/json', body)).toEqual([
      ...['invalid_client_metadata', 400, 'the body must be one JSON object'],
    ]);
  });

  it('nor is what does not say so', async () => {
    expect(await send('/json', 'text/plain', '{}')).toEqual([
      ...['invalid_client_metadata', 400, 'the body must be application/json'],
    ]);
  });
});

describe('RFC 6749 §3.1: parameters', () => {
  const parameters = new URLSearchParams('a=1&empty=');

  it('an empty one counts as omitted', () => {
    expect(['a', 'empty', 'none'].map((name) => parameter(parameters, name))).toEqual([
      ...['1', undefined, undefined],
    ]);
  });

  it('some are required', () => {
    expect(requiredParameter(parameters, 'a')).toBe('1');
    for (const name of ['empty', 'none']) {
      expect(() => requiredParameter(parameters, name)).toThrow(`${name} is required`);
    }
  });
});
