import { describe, expect, test } from 'vitest';
import {
  answerTo,
  legacyResult,
  modernResult,
  withoutReserved,
} from '../../../src/gateway/legacy/reserved-meta.js';

const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'com.example/a': 1 };

describe('what belongs to one hop of the protocol', () => {
  test('does not go on; all other metadata does', () => {
    expect(withoutReserved({ a: 1, _meta: meta })).toEqual({ a: 1, _meta: { 'com.example/a': 1 } });
    const reserved = { 'io.modelcontextprotocol/x': 1 };
    expect(withoutReserved({ a: 1, _meta: reserved })).toEqual({ a: 1 });
    for (const params of [{ a: 1 }, { _meta: 'x' }, { _meta: null }]) {
      expect(withoutReserved(params)).toBe(params);
    }
  });
});

describe('answers of a client', () => {
  const question = {
    params: { _meta: { 'io.modelcontextprotocol/related-task': { taskId: 't' } } },
  };
  const result = { action: 'accept', _meta: meta };

  test('are of the task of the question; errors go on as they came', () => {
    expect(answerTo(question, { result })).toEqual({
      result: { action: 'accept', _meta: { ...question.params._meta, 'com.example/a': 1 } },
    });
    expect(answerTo({}, { result })).toEqual({
      result: { action: 'accept', _meta: { 'com.example/a': 1 } },
    });
    const error = { error: { code: -1, message: 'no' } };
    for (const answer of [error, { result: null }]) expect(answerTo(question, answer)).toBe(answer);
  });
});

describe('results', () => {
  test('of 2026-07-28, for a client of an earlier revision', () => {
    const result = { content: [], resultType: 'complete', ttlMs: 5, cacheScope: 'public' };
    expect(legacyResult({ ...result, _meta: meta })).toEqual({
      ...{ content: [], _meta: { 'com.example/a': 1 } },
    });
  });

  test('of an earlier revision, for a client of 2026-07-28; a resource that is read is its caller’s', () => {
    expect(modernResult({ content: [] }, 'tools/call')).toEqual({
      ...{ resultType: 'complete', content: [] },
    });
    expect(modernResult({ contents: [], _meta: meta }, 'resources/read')).toEqual({
      ...{ resultType: 'complete', ttlMs: 0, cacheScope: 'private', contents: [] },
      _meta: { 'com.example/a': 1 },
    });
  });
});
