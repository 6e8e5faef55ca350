import { Injectable } from '@nestjs/common';
import type { Modules } from '../mcp/hosts/mcp-discovery.js';

/**
 * A provider that nobody takes out of a module: whoever reads it reads all providers, as the hooks of Nest and
 * libraries do that look for their decorators.
 */
@Injectable()
export class Unasked {}

/** Sees an application take a provider by itself: `app.get(AuthContext)`. */
export class Lookups {
  readonly #reads = new Map<unknown, number>();
  readonly #found = new Set<unknown>();
  readonly #stops: readonly (() => void)[];

  /** @param onFound called soon after the first one of each. */
  constructor(modules: Modules, tokens: readonly unknown[], onFound: (token: unknown) => void) {
    const tell = (token: unknown): void => {
      if (this.#found.has(token) || !this.isFound(token)) return;
      this.#found.add(token);
      if (this.#found.size === tokens.length) this.stop();
      onFound(token);
    };
    const read = (token: unknown): void => {
      this.#reads.set(token, this.#countOf(token) + 1);
      if (token !== Unasked) queueMicrotask(() => tell(token));
    };
    this.#stops = [...modules.values()]
      .map(({ providers }) => new Map<unknown, object>(providers))
      .filter((providers) => providers.has(Unasked))
      .flatMap((providers) =>
        [Unasked, ...tokens].flatMap((token) => {
          const wrapper = providers.get(token);
          return wrapper === undefined ? [] : [watchInstance(wrapper, () => read(token))];
        }),
      );
  }

  /** Whether there was one of it: it was read more often than the one that nobody takes. */
  isFound(token: unknown): boolean {
    return this.#found.has(token) || this.#countOf(token) > this.#countOf(Unasked);
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #countOf(token: unknown): number {
    return this.#reads.get(token) ?? 0;
  }
}

/** Over the accessor of Nest's `InstanceWrapper`, by which providers are read, but not injected. */
function watchInstance(wrapper: object, listener: () => void): () => void {
  const prototype = Object.getPrototypeOf(wrapper) as object;
  Object.defineProperty(wrapper, 'instance', {
    configurable: true,
    get: () => {
      listener();
      return Reflect.get(prototype, 'instance', wrapper) as unknown;
    },
    set: (value) => Reflect.set(prototype, 'instance', value, wrapper),
  });
  return () => Reflect.deleteProperty(wrapper, 'instance');
}
