import { Injectable } from '@nestjs/common';
import { NoAccessTokenError } from '../core/errors/configuration-error.js';
import { NoCallerError, TokenMissingError } from '../core/errors/token-errors.js';
import { NO_PARAMS } from '../core/names/path-template.js';
import type { CalledResource } from '../core/caller-settings.js';
import { type Authentication, type Caller, callerByToken } from '../core/token/caller.js';
import type { VerifiedClaims } from '../core/token/verified-claims.js';
import { missCaller } from './http/running.js';
import { type CallerHolder, requests } from './http/request.js';

/** The caller of one place and moment, for {@link AuthContext.run} elsewhere. */
export class CallerSnapshot {
  readonly #holder: CallerHolder | undefined;

  /** @internal Made by `AuthContext.snapshot()`. */
  constructor(holder: CallerHolder | undefined) {
    this.#holder = holder;
  }

  /** Who it is; `undefined` where there is none. */
  get current(): Authentication | undefined {
    return authenticationOf(this.#holder?.current);
  }

  /** @internal */
  enter<T>(callback: () => T): T {
    return requests.run(this.#holder, callback);
  }
}

/**
 * Who is calling: in guards behind ours, interceptors, filters, handlers, the services below them, and
 * in MCP tools that an SDK server runs for the request.
 *
 * Follows the asynchronous call (`AsyncLocalStorage`). What runs inside the call of **another** request
 * sees that one's caller: jobs of a queue or pool that both share, operators of a shared observable,
 * listeners of a shared emitter. Take `@Claims()`, {@link bind} or {@link snapshot} before you hand work
 * to one of those.
 */
@Injectable()
export class AuthContext<User = unknown> {
  /**
   * Claims and token together; `undefined` where there is no caller. Never throws. The token is `''` for a
   * caller who has shown another credential: `claims.method` tells.
   */
  get current(): Authentication | undefined {
    return authenticationOf(running()?.current);
  }

  /**
   * The verified claims. With `mcp.authentication: 'when-needed'` they are `undefined` in a request without
   * any credential, which the type does not say: read `current?.claims` there.
   * @throws NoCallerError where there is no caller.
   */
  get claims(): VerifiedClaims {
    return isAnonymous() ? (undefined as unknown as VerifiedClaims) : this.#known().claims;
  }

  /**
   * The inbound access token, for token exchange. It was issued for this server: never send it to
   * another one.
   * @throws NoAccessTokenError for a caller who has shown another credential (`otherCredentials`).
   * @throws NoCallerError where there is no caller.
   */
  get token(): string {
    const token = isAnonymous() ? '' : this.#known().token;
    if (token === '') throw new NoAccessTokenError();
    return token;
  }

  /**
   * Who it is in this application: what the option `user` has given. Say of which type where you inject it,
   * `AuthContext<AppUser>`; nothing checks that. @throws NoCallerError where there is no caller.
   */
  get user(): User {
    if (!isAnonymous()) this.#known();
    return running()?.user as User;
  }

  /**
   * The resource that the caller was let in for: its URI, and what the parameters of its path stand for
   * (`mcpPath: '/mcp/:profile'`; none otherwise). @throws NoCallerError where there is no caller.
   */
  get resource(): CalledResource {
    const holder = running();
    const uri = holder?.isAnonymous ? holder.resource?.resource : holder?.current?.resource;
    if (uri === undefined) throw new NoCallerError();
    return { uri, params: holder?.resource?.params ?? NO_PARAMS };
  }

  /**
   * For requirements that only the handler knows.
   * @throws InsufficientScopeError
   * @throws TokenMissingError in a request without any credential.
   * @throws NoCallerError where there is no caller.
   */
  requireScope(scope: string): void {
    if (isAnonymous()) throw new TokenMissingError();
    this.claims.requireScope(scope);
  }

  /** Runs `callback`, and all it starts, as this caller. */
  run<T>(caller: Authentication | CallerSnapshot, callback: () => T): T {
    if (caller instanceof CallerSnapshot) return caller.enter(callback);
    return requests.run({ current: callerByToken(caller) }, callback);
  }

  /** The caller of here and now, for {@link run}. Where there is none, it is a snapshot of nobody. */
  snapshot(): CallerSnapshot {
    return new CallerSnapshot(running());
  }

  /** The function, running as the caller of here and now, whoever calls it, whenever. */
  bind<This, Args extends unknown[], Result>(
    callback: (this: This, ...args: Args) => Result,
  ): (this: This, ...args: Args) => Result {
    const holder = running();
    return function (this: This, ...args: Args): Result {
      return requests.run(holder, () => callback.apply(this, args));
    };
  }

  #known(): Authentication {
    const { current } = this;
    if (current === undefined) throw new NoCallerError();
    return current;
  }
}

/** Let in without any credential: see `mcp.authentication`. */
function isAnonymous(): boolean {
  return running()?.isAnonymous === true;
}

function authenticationOf(caller: Caller | undefined): Authentication | undefined {
  if (caller === undefined || caller.authentication !== undefined) return caller?.authentication;
  return { claims: caller.claims, token: '', scheme: 'Bearer', responseHeaders: {} };
}

function running(): CallerHolder | undefined {
  const holder = requests.getStore();
  if (holder === undefined) missCaller();
  return holder;
}
