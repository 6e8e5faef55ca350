import { expect, test } from 'vitest';
import { EventEmitter } from 'node:events';
import { requests } from '../../../src/nest/http/request.js';
import { runListenersIn } from '../../../src/nest/http/request-context.js';

test('9.1i: listeners of an emitter of the request run in it, whatever emits', () => {
  const emitter = new EventEmitter();
  const holder = {};
  const seen: unknown[] = [];
  emitter.on('close', (...args: unknown[]) => seen.push(requests.getStore(), ...args));
  runListenersIn(holder, emitter);
  expect(requests.run({}, () => emitter.emit('close', 1, 2))).toBe(true);
  expect(emitter.emit('other')).toBe(false);
  expect(seen).toEqual([holder, 1, 2]);
  expect(seen[0]).toBe(holder);
  expect(requests.getStore()).toBeUndefined();
});

test('an error without a listener is thrown, as ever', () => {
  const emitter = new EventEmitter();
  runListenersIn({}, emitter);
  expect(() => emitter.emit('error', new Error('unheard'))).toThrow('unheard');
});
