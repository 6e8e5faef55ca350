import { describe, expect, it } from 'vitest';
import { hostsProblem } from '../../../src/core/mcp/mcp-host.js';

class TheLibraryModule {}

const host = { name: 'library', owner: TheLibraryModule, operations: () => [] };

describe('mcp.hosts', () => {
  it.each([
    [[]],
    [[host]],
    [
      [
        { ...host, owner: 'TOKEN' },
        { ...host, owner: Symbol('token') },
      ],
    ],
    [[{ ...host, owner: [TheLibraryModule, 'TOKEN'] }]],
  ])('takes %p', (hosts) => {
    expect(hostsProblem(hosts)).toBeUndefined();
  });

  it.each([[host], [{}], ['library'], [null]])('%p is no list', (hosts) => {
    expect(hostsProblem(hosts)).toBe('must be a list of hosts');
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['a hole', undefined],
    ['no name', { ...host, name: undefined }],
    ['no owner', { ...host, owner: undefined }],
    ['an empty list of owners', { ...host, owner: [] }],
    ['an owner that is an instance', { ...host, owner: new TheLibraryModule() }],
    ['one good and one bad owner', { ...host, owner: ['TOKEN', 5] }],
    ['operations that are a list', { ...host, operations: [] }],
  ])('%s is named by its place', (_name, bad) => {
    expect(hostsProblem([host, bad])).toMatch(/^entry 1: must have name, owner .* operations/);
  });
});
