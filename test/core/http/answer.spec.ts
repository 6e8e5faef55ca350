import { describe, expect, it } from 'vitest';
import {
  type Call,
  CappedBody,
  lowerCaseNames,
  refuseUnusable,
  toAnswer,
} from '../../../src/core/http/answer.js';
import { CallStop } from '../../../src/core/http/call-stop.js';
import { OutboundHttpError } from '../../../src/core/http/errors.js';

const call: Call = {
  url: new URL('https://auth.example.com/jwks'),
  init: { method: 'GET', headers: {} },
  stop: new CallStop(),
  maxBytes: 10,
  ownConnection: false,
};

const answerOf = (text: string, contentType?: string) =>
  toAnswer({
    status: 200,
    headers: contentType === undefined ? {} : { 'content-type': contentType },
    bytes: Buffer.from(text),
  });

describe('an answer', () => {
  it.each([
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/jwk-set+json',
    'application/problem+json; profile=x',
  ])('RFC 6839 §3.1: %s is JSON', (type) => {
    expect(answerOf('{"a":1}', type).json).toEqual({ a: 1 });
  });

  it.each([
    [undefined, 'no media type'],
    ['', 'unreadable media type'],
    ['json', 'unreadable media type'],
    ['text/html', 'media type text/html'],
    ['text/json', 'media type text/json'],
    ['application/jsonp', 'media type application/jsonp'],
    ['application/json; charset=latin1', 'charset other than utf-8'],
  ])('under %p there is no JSON: %s', (type, why) => {
    expect(answerOf('{"a":1}', type)).toMatchObject({ json: undefined, notJson: why });
  });

  it.each([
    ['', 'empty body'],
    ['{"a":1', 'not valid JSON'],
    ['{"a":1,"a":2}', 'a member is named twice'],
  ])('%p is none: %s', (text, why) => {
    expect(answerOf(text, 'application/json')).toMatchObject({ json: undefined, notJson: why });
  });

  it('a redirect, an encoding and a length above the limit are refused before the body', () => {
    for (const [status, headers] of [
      [302, {}],
      [200, { 'content-encoding': 'gzip' }],
      [200, { 'content-length': '11' }],
    ] as const) {
      expect(() => refuseUnusable(call, status, headers)).toThrow(OutboundHttpError);
    }
    refuseUnusable(call, 200, { 'content-encoding': 'identity', 'content-length': '10' });
  });

  it('a body is counted while it arrives', () => {
    const body = new CappedBody(call);
    body.add(Buffer.from('01234'));
    body.add(Buffer.from('56789'));
    expect(body.bytes().toString()).toBe('0123456789');
    expect(() => body.add(Buffer.from('x'))).toThrow(OutboundHttpError);
    expect(() => new CappedBody(call).add('text')).toThrow(TypeError);
  });

  it('header names are in lower case, and have no prototype', () => {
    const headers = lowerCaseNames([
      ['Content-Type', 'a'],
      ['__proto__', 'b'],
    ]);
    expect(Object.entries(headers)).toEqual([
      ['content-type', 'a'],
      ['__proto__', 'b'],
    ]);
    expect(headers['constructor']).toBeUndefined();
  });
});
