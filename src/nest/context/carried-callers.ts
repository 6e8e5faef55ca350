import type { HttpServer } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import { beforeMiddleware, enterRequests, enterRoutes } from '../http/request-context.js';
import type { GuardedApplication } from '../http/request.js';
import { enter } from '../http/running.js';
import { methodsIn } from '../marks/handler-marks.js';
import { HOST_LIBRARIES } from '../mcp/hosts/mcp-hosts.js';
import type { Modules } from '../mcp/hosts/mcp-discovery.js';
import { AuthContextInterceptor } from './auth-context.interceptor.js';
import { asksForCallers, isTaken, isUsed, type Telling } from './caller-needs.js';
import { JudgedHandlers } from './judged-handlers.js';
import { Lookups } from './lookups.js';
import { OpenHandlers } from './open-handlers.js';

/** Of this package, above what is here. */
interface KnownClasses {
  /** What tells who is calling. */
  readonly telling: readonly Telling[];
  /** What decides in front of all routes, and goes on when the platform has read the body. */
  readonly middleware: Telling;
  /** What decides, for whoever asks it. */
  readonly guard: Telling;
  /** Whether a guard decides as that one, and nothing else. */
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
  readonly #whenRoutesAreMade: (() => void)[] = [];
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
    this.#enterRoutes(adapter, config);
    if (this.#application.isEnforced) {
      this.#judged = new JudgedHandlers(
        this.#modules,
        config.getGlobalGuards(),
        this.#known.isGuard,
      );
      this.#whenRoutesAreMade.push(this.#judged.show());
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
    for (const done of this.#whenRoutesAreMade.splice(0)) done();
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

  /** All but those without a guard in an application where nobody asks who calls. */
  #enterRoutes(adapter: HttpServer, config: ApplicationConfig): void {
    const open = new OpenHandlers(this.#modules, config);
    this.#whenRoutesAreMade.push(open.show());
    let isNeeded: boolean | undefined; // known when the first one is made, with all that is registered
    enterRoutes(adapter, this.#application, (route) => {
      if (!open.isOpen(route)) return false;
      isNeeded ??= this.#isNeededInFront() || isTaken(this.#modules, this.#known.guard);
      return !isNeeded;
    });
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
    if (this.#isNeededInFront()) this.#enterRequests();
  }

  #isNeededInFront(): boolean {
    const { middleware } = this.#known;
    const goesOn = this.#lookups.isFound(middleware) || isUsed(this.#modules, middleware);
    return goesOn || this.#isAsked();
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
