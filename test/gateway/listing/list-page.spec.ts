import { describe, expect, test } from 'vitest';
import { LISTS } from '../../../src/gateway/listing/list-kinds.js';
import { listPage } from '../../../src/gateway/listing/list-page.js';
import type { Item } from '../../../src/gateway/listing/stored-list.js';
import { RpcError } from '../../../src/gateway/wire/gateway-errors.js';

const items = ['a', 'b', 'c'].map((name) => ({ name, text: `{"name":"${name}"}` }) as Item);
const list = { items, ttlMs: 5, unavailable: [] };
const page = (cursor: unknown, size = 2, of = list) => listPage(of, LISTS.tools, cursor, size);

describe('listPage', () => {
  test('the first, and what follows its cursor', () => {
    const first = page(undefined);
    expect(first).toEqual({
      ...{ entries: '{"name":"a"},{"name":"b"}', nextCursor: expect.any(String) },
      ...{ ttlMs: 5, meta: undefined },
    });
    expect(page(first.nextCursor)).toMatchObject({
      ...{ entries: '{"name":"c"}', nextCursor: undefined },
    });
  });

  test('a page that ends with the list is the last one', () => {
    expect(page(undefined, 3).nextCursor).toBeUndefined();
    expect(page(undefined, 2, { ...list, items: [] })).toMatchObject({
      ...{ entries: '', nextCursor: undefined },
    });
  });

  test('a cursor is good for its list only, and in every process', () => {
    const { nextCursor } = page(undefined, 1);
    expect(page(nextCursor, 1, { ...list, items: [...items] }).entries).toBe('{"name":"b"}');
    const prompts = () => listPage(list, LISTS.prompts, nextCursor, 1);
    expect(prompts).toThrow('Invalid params: the cursor is not of this list');
    for (const wrong of ['x', '', 5, null, {}]) {
      expect(() => page(wrong)).toThrow(RpcError);
      expect(() => page(wrong)).toThrow(
        expect.objectContaining({ status: 200, rpc: expect.objectContaining({ code: -32602 }) }),
      );
    }
  });

  test('names the upstreams that are missing', () => {
    const unavailable = [{ upstream: 'cal', error: new Error('a secret') }];
    expect(page(undefined, 2, { ...list, unavailable } as never).meta).toEqual({
      'ai.authplane/unavailable': ['cal'],
    });
  });
});
