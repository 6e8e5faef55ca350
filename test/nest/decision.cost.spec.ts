import { afterEach, describe, expect, it, test, vi } from 'vitest';
import { createHook } from 'node:async_hooks';
import { withNames } from '../../src/core/names/settings.js';
import { AppUsers } from '../../src/nest/callers/app-user.js';
import { OtherCredentialsCheck } from '../../src/nest/callers/other-credentials.js';
import { requestState } from '../../src/nest/http/request.js';
import { ListRulings } from '../../src/nest/mcp/answers/list-rulings.js';
import { ManyResources } from '../../src/nest/resources/many-resources.js';
import {
  type Asked,
  BASE,
  MESSAGES,
  startWarmRequests,
  type WarmRequests,
} from '../support/decision/warm-requests.js';

let warm: WarmRequests | undefined;
afterEach(() => warm?.close());

/** Of an application of its own. */
async function warmRequests(asked: Asked = {}): Promise<WarmRequests> {
  return (warm = await startWarmRequests(asked));
}

/** Promises that are made while the work begins. */
function promisesIn(work: () => unknown): number {
  let count = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') count++;
    },
  }).enable();
  work();
  hook.disable();
  return count;
}

describe('12: an application that uses nothing of it', () => {
  test.each(Object.entries(MESSAGES))(
    '%s makes no promise, and enters nothing of it',
    async (_, body) => {
      const { make, decide } = await warmRequests({ body });
      const entered = [
        vi.spyOn(OtherCredentialsCheck.prototype, 'callerOf'),
        vi.spyOn(AppUsers.prototype, 'of'),
        vi.spyOn(AppUsers.prototype, 'publish'),
        vi.spyOn(ManyResources.prototype, 'of'),
        vi.spyOn(ListRulings.prototype, 'of'),
      ];
      const exchange = make();
      expect(promisesIn(() => decide(exchange))).toBe(0);
      expect(entered.filter(({ mock }) => mock.calls.length > 0)).toEqual([]);
      const { current, users, user, asked, isAnonymous } = requestState(exchange.request);
      expect(current?.claims.sub).toBe('alice');
      expect({ users, user, asked, isAnonymous }).toEqual({});
      for (const spy of entered) spy.mockRestore();
    },
  );
});

describe('12.4: what many names and paths cost', () => {
  it('an application that uses none of them pays nothing', async () => {
    const { decide } = await warmRequests();
    expect(promisesIn(decide)).toBe(0);
  });

  it('one that does pays for finding out which', async () => {
    const { decide } = await warmRequests({ names: withNames({ baseUrl: [BASE] }, true) });
    expect(promisesIn(decide)).toBeGreaterThan(0);
  });
});

test('13.2: a warm request is decided at once', async () => {
  const { decide } = await warmRequests();
  expect(decide()).toBeUndefined();
});
