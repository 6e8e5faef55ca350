import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { Observable } from 'rxjs';
import { TokenMissingError } from '../core/errors.js';
import type { Authentication } from '../core/resource.js';
import type { VerifiedClaims } from '../core/verified-claims.js';
import { callerOf, callers } from './request.js';

/**
 * Who is calling, anywhere below a guarded handler: in services, and in MCP tools that an SDK server
 * runs for the request. Follows the asynchronous call, so it never shows another caller.
 */
@Injectable()
export class AuthContext {
  /** The verified claims. @throws TokenMissingError outside a guarded handler. */
  get claims(): VerifiedClaims {
    return this.#current().claims;
  }

  /**
   * The inbound access token, for token exchange. It was issued for this server: never send it to
   * another one. @throws TokenMissingError outside a guarded handler.
   */
  get token(): string {
    return this.#current().token;
  }

  /** For requirements that only the handler knows. @throws InsufficientScopeError */
  requireScope(scope: string): void {
    this.claims.requireScope(scope);
  }

  /** Runs `callback`, and all it starts, as this caller. */
  run<T>(authentication: Authentication, callback: () => T): T {
    return callers.run(authentication, callback);
  }

  #current(): Authentication {
    const current = callers.getStore();
    if (current !== undefined) return current;
    throw new TokenMissingError('there is no caller here: no guarded handler is running');
  }
}

/** Carries the caller from the request to {@link AuthContext}. Registered by the module. */
@Injectable()
export class AuthContextInterceptor implements NestInterceptor {
  constructor(private readonly authContext: AuthContext) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const current = callerOf(context);
    if (current === undefined) return next.handle();
    return new Observable((subscriber) =>
      this.authContext.run(current, () => next.handle().subscribe(subscriber)),
    );
  }
}
