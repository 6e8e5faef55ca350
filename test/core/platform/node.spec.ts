import { availableParallelism } from 'node:os';
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import cluster from 'node:cluster';
import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import { INSPECT, node } from '../../../src/core/platform/node.js';

describe('modules of Node', () => {
  test('are those that an import has', () => {
    expect(node.buffer.isAscii(Buffer.from('text'))).toBe(true);
    expect(node.crypto.createHash).toBe(createHash);
    expect(node.net.isIP).toBe(isIP);
    expect(node.os.availableParallelism()).toBe(availableParallelism());
    expect(node.util.inspect).toBe(inspect);
    expect(node.isClusterWorker).toBe(cluster.isWorker);
  });

  test('are looked for once', () => {
    const { getBuiltinModule } = process;
    process.getBuiltinModule = () => expect.unreachable();
    try {
      expect(node.crypto).toBe(node.crypto);
      expect(node.util).toBe(node.util);
    } finally {
      process.getBuiltinModule = getBuiltinModule;
    }
  });

  test('INSPECT is the name that inspect looks for', () => {
    expect(INSPECT).toBe(inspect.custom);
    expect(inspect({ [INSPECT]: () => 'shown' })).toBe('shown');
  });
});
