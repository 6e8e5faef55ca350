import { expect, test } from 'vitest';
import { hostName } from '../../../src/core/names/host-name.js';

test.each([
  ['a.example', 'a.example'],
  ['A.Example', 'a.example'],
  ['a.example:8443', 'a.example'],
  ['localhost:3000', 'localhost'],
  ['127.0.0.1', '127.0.0.1'],
  ['[::1]', '[::1]'],
  ['[::1]:3000', '[::1]'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
])('row 13: %s is the name %s', (host, name) => {
  expect(hostName(host)).toBe(name);
});

test.each([
  ['a trailing dot', 'a.example.'],
  ['a trailing dot and a port', 'a.example.:443'],
  ['an empty label', 'a..example'],
  ['two names', 'a.example,b.example'],
  ['a blank', 'a.example '],
  ['a user', 'user@a.example'],
  ['a path', 'a.example/b'],
  ['a port that is none', 'a.example:x'],
  ['no brackets', '::1'],
  ['an escape', 'a%2eexample'],
  ['letters outside of ASCII', 'bücher.example'],
  ['a letter that is ASCII in lower case', '\u212A.example'],
  ['a name of 10,000 letters', 'a'.repeat(10_000)],
  ['nothing', ''],
  ['no text', undefined],
])('row 13: %s is no name', (_name, host) => {
  expect(hostName(host)).toBeUndefined();
});
