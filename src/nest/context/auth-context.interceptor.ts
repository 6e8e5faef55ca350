import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { Observable } from 'rxjs';
import { type CallerHolder, callerOf, requestOf, requests, requestState } from '../http/request.js';

/**
 * For MCP libraries, whose handlers Nest runs without a route: where one of them has lost the asynchronous
 * call, it goes on from here; and what ends a stream (`finalize`) runs for its caller, whoever ends it.
 */
@Injectable()
export class AuthContextInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const holder = holderOf(context);
    if (holder === undefined) return next.handle();
    return new Observable((subscriber) => {
      const subscription = requests.run(holder, () =>
        next.handle().subscribe({
          next: (value) => subscriber.next(value),
          error: (error: unknown) => subscriber.error(error),
          complete: () => subscriber.complete(),
        }),
      );
      return () => requests.run(holder, () => subscription.unsubscribe());
    });
  }
}

/** In an RPC context what runs already is the right one, where it is known: see `callerOf`. */
function holderOf(context: ExecutionContext): CallerHolder | undefined {
  const current = callerOf(context);
  const running = requests.getStore();
  if (current !== undefined && running?.current === current) return running;
  const request = requestOf(context);
  const state = request && requestState(request);
  return current === undefined && state?.isAnonymous !== true ? undefined : state;
}
