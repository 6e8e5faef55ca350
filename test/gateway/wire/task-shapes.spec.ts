import { expect, test } from 'vitest';
import {
  declaresTasks,
  isOver,
  legacyTask,
  modernTask,
  ofTask,
} from '../../../src/gateway/wire/task-shapes.js';

const times = { createdAt: '2026-01-01T00:00:00Z', lastUpdatedAt: '2026-01-01T00:00:01Z' };

test.each([
  [
    { status: 'working', ttlMs: 5, pollIntervalMs: 2 },
    { status: 'working', ttl: 5, pollInterval: 2 },
  ],
  [
    { status: 'working', ttlMs: null },
    { status: 'working', ttl: null },
  ],
  [
    { status: 'input_required', inputRequests: { a: {} }, other: 1 },
    { status: 'input_required', ttl: null, other: 1 },
  ],
  [
    { status: 'completed', result: { isError: true } },
    { status: 'failed', ttl: null },
  ],
  [
    { status: 'completed', result: { isError: false } },
    { status: 'completed', ttl: null },
  ],
  [
    { status: 'failed', error: { code: 1 }, resultType: 'complete', _meta: {} },
    { status: 'failed', ttl: null },
  ],
])('14.2 tasks: %j for a client of 2025-11-25', (modern, legacy) => {
  expect(legacyTask({ ...times, ...modern })).toEqual({ ...times, ...legacy });
});

test.each([
  [
    { status: 'working', ttl: 5, pollInterval: 2 },
    {},
    { status: 'working', ttlMs: 5, pollIntervalMs: 2 },
  ],
  [{ status: 'working', ttl: null }, {}, { status: 'working', ttlMs: 100 }],
  [{ status: 'working', ttl: 101 }, {}, { status: 'working', ttlMs: 100 }],
  [
    { status: 'failed', _meta: {} },
    { result: { isError: true } },
    { status: 'completed', ttlMs: 100, result: { isError: true } },
  ],
  [
    { status: 'failed' },
    { error: { code: 1 } },
    { status: 'failed', ttlMs: 100, error: { code: 1 } },
  ],
])('14.2 tasks: %j with %j for a client of 2026-07-28', (legacy, outcome, modern) => {
  expect(modernTask({ ...times, ...legacy }, 100, outcome)).toEqual({ ...times, ...modern });
});

test('14.2 tasks: three states are the last', () => {
  const states = ['working', 'input_required', 'completed', 'failed', 'cancelled', undefined];
  expect(states.map((status) => isOver({ status }))).toEqual([
    false,
    false,
    true,
    true,
    true,
    false,
  ]);
});

test('14.2 tasks: a result says which task it is of, beside what it says itself', () => {
  expect(ofTask({ content: [], _meta: { a: 1 } }, 't')._meta).toEqual({
    a: 1,
    'io.modelcontextprotocol/related-task': { taskId: 't' },
  });
});

test.each([
  [{}, false],
  [{ extensions: null }, false],
  [{ tasks: {} }, false],
  [{ extensions: { 'io.modelcontextprotocol/tasks': {} } }, true],
])('14.2 tasks: capabilities %j', (declared, expected) => {
  const params = { _meta: { 'io.modelcontextprotocol/clientCapabilities': declared } };
  expect(declaresTasks(params)).toBe(expected);
});
