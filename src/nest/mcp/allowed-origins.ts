import type { McpOptions } from '../../core/mcp/settings.js';
import type { AuthplaneResource } from '../../core/resource.js';

const LOOPBACK = /^https?:\/\/(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/;

/**
 * Which web pages may call an MCP endpoint. Servers have to check the `Origin` of every connection,
 * because a page can give its own name the address of this server: DNS rebinding (MCP, Transports,
 * Security Warning).
 */
export class AllowedOrigins {
  /** What is accepted without a list; `undefined` where the options say what is. */
  readonly byDefault: string | undefined;
  readonly #listed: readonly string[] | false | undefined;
  readonly #devMode: boolean;
  readonly #own: string;

  constructor(
    { resource }: Pick<AuthplaneResource, 'resource'>,
    { allowedOrigins }: McpOptions,
    devMode: boolean,
  ) {
    this.#listed = allowedOrigins;
    this.#devMode = devMode;
    this.#own = new URL(resource).origin;
    this.byDefault = allowedOrigins === undefined ? this.#own : undefined;
  }

  allows(origin: string): boolean {
    if (this.#listed === false) return true;
    if (this.#listed !== undefined) return this.#listed.includes(origin);
    return origin === this.byDefault || (this.#devMode && LOOPBACK.test(origin));
  }

  /** Whether a page there may use what browsers send by themselves: only what is named, and our own. */
  allowsCookies(origin: string): boolean {
    return origin === this.#own || (this.#listed !== false && this.allows(origin));
  }

  /** For the log, at the start; `undefined` where somebody has decided. */
  get announcement(): string | undefined {
    if (this.byDefault === undefined) return undefined;
    const others = this.#devMode ? ' and of this machine' : '';
    return (
      `MCP requests of web pages: only of ${this.byDefault}${others}; others get 403. Name the origins ` +
      `that may call in mcp.allowedOrigins`
    );
  }
}
