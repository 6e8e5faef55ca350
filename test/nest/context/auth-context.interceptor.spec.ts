import { expect, test } from 'vitest';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { ExecutionContext } from '@nestjs/common';
import { lastValueFrom, Observable, of } from 'rxjs';
import { AuthContextInterceptor } from '../../../src/nest/context/auth-context.interceptor.js';
import { requests, requestState } from '../../../src/nest/http/request.js';

const interceptor = new AuthContextInterceptor();

function contextOf(request: object): ExecutionContext {
  const http = { getRequest: () => request };
  return { getType: () => 'http', switchToHttp: () => http } as unknown as ExecutionContext;
}

test('a handler, and what ends its stream, runs for the caller of its request', async () => {
  const request = new IncomingMessage(new Socket());
  const state = requestState(request);
  state.isAnonymous = true;
  const seen: unknown[] = [];
  const source = new Observable((subscriber) => {
    seen.push(requests.getStore());
    subscriber.next(1);
    return () => seen.push(requests.getStore());
  });
  const stream = interceptor.intercept(contextOf(request), { handle: () => source });
  stream.subscribe().unsubscribe();
  expect(seen).toEqual([state, state]);
});

test('a request that no guard has let in goes on as it came', async () => {
  const stream = of(1);
  const request = new IncomingMessage(new Socket());
  const passed = interceptor.intercept(contextOf(request), { handle: () => stream });
  expect(passed).toBe(stream);
  await expect(lastValueFrom(passed)).resolves.toBe(1);
});
