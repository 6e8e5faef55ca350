import type { HttpServer } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import { beforeMiddleware, enterRequests, enterRoutes } from '../http/request-context.js';
import type { GuardedApplication } from '../http/request.js';
import { enter } from '../http/running.js';
import { methodsIn } from '../marks/handler-marks.js';
import { HOST_LIBRARIES } from '../mcp/hosts/mcp-hosts.js';
import type { Modules } from '../mcp/hosts/mcp-discovery.js';
import { AuthContextInterceptor } from './auth-context.interceptor.js';
import { asksForCallers, isUsed, type Telling } from './caller-needs.js';
import { JudgedHandlers } from './judged-handlers.js';
import { Lookups } from './lookups.js';

/** Of this package, above what is here. */
interface KnownClasses {
  /** What tells who is calling. */
  readonly telling: readonly Telling[];
  /** What decides in front of all routes, and goes on when the platform has read the body. */
  readonly middleware: Telling;
  /** Whether a guard decides as ours, and nothing else. */
  readonly isGuard: (guard: unknown) => boolean;
}

/** Where Nest notes `@Sse`; part of no public interface. */
const SSE = '__sse__';

/**
 * Finds out, while an application starts, whether its asynchronous calls have to carry their callers, and has
 * them do it. Where it cannot tell they do.
 */
export class CarriedCallers {
  readonly #application: GuardedApplication;
  readonly #modules: Modules;
  readonly #known: KnownClasses;
  readonly #lookups: Lookups;
  #judged: JudgedHandlers | undefined;
  #hideJudged: (() => void) | undefined;
  #adapter: HttpServer | undefined;
  #leave: (() => void) | undefined;

  /** As soon as there are modules: from now on it sees who takes `AuthContext` out of them. */
  constructor(application: GuardedApplication, modules: Modules, known: KnownClasses) {
    this.#application = application;
    this.#modules = modules;
    this.#known = known;
    this.#lookups = new Lookups(modules, [...known.telling, known.middleware], (token) => {
      if (token !== known.middleware) application.carriesCallers = true;
      this.#enterRequests();
    });
  }

  /** In front of all routes, when all guards are in their places. */
  beforeRoutes(adapter: HttpServer, config: ApplicationConfig): void {
    enterRoutes(adapter, this.#application);
    if (this.#application.isEnforced) {
      this.#judged = new JudgedHandlers(
        this.#modules,
        config.getGlobalGuards(),
        this.#known.isGuard,
      );
      this.#hideJudged = this.#judged.show();
    }
    if (this.#hasOtherCalls() && this.#isAsked()) {
      config.getGlobalInterceptors().unshift(new AuthContextInterceptor());
    }
    this.#adapter = adapter;
    this.#enterWhereNeeded();
    beforeMiddleware(adapter, () => this.#enterWhereNeeded());
  }

  /** Now all modules are there, with their middleware. */
  afterRoutes(): void {
    this.#hideJudged?.();
    this.#application.carriesCallers = this.#isAsked();
    this.#enterWhereNeeded();
  }

  /** From now on methods with marks run for callers only. */
  begin(): void {
    this.#leave = enter(this.#application);
  }

  end(): void {
    this.#lookups.stop();
    this.#leave?.();
  }

  #isAsked(): boolean {
    const judged = this.#judged;
    return (
      judged === undefined ||
      !judged.areAll ||
      this.#known.telling.some((one) => this.#lookups.isFound(one)) ||
      asksForCallers(this.#modules, this.#known.telling, judged.types)
    );
  }

  #enterRequests(): void {
    if (this.#adapter !== undefined) enterRequests(this.#adapter, this.#application);
  }

  /** Nothing runs in front of the routes of an application that neither asks nor goes on there. */
  #enterWhereNeeded(): void {
    const { middleware } = this.#known;
    const goesOn = this.#lookups.isFound(middleware) || isUsed(this.#modules, middleware);
    if (goesOn || this.#isAsked()) this.#enterRequests();
  }

  /** Handlers that no route runs, and streams that a socket ends, which may serve several requests. */
  #hasOtherCalls(): boolean {
    const modules = this.#modules;
    return HOST_LIBRARIES.some((library) => library.isThere(modules)) || hasStreams(modules);
  }
}

/** Whether a controller has a method with `@Sse`. */
function hasStreams(modules: Modules): boolean {
  return [...modules.values()]
    .flatMap(({ controllers }) => [...controllers.values()])
    .flatMap(({ metatype }) => (typeof metatype === 'function' ? methodsIn(metatype) : []))
    .some((method) => Reflect.hasMetadata(SSE, method));
}
