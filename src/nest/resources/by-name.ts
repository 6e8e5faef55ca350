import type { Clock } from '../../core/lib/clock.js';
import { hostName } from '../../core/names/host-name.js';
import { Lookups } from '../../core/names/lookups.js';
import { checkedBaseUrl, type ResolvedNames } from '../../core/names/settings.js';
import { type FrameworkRequest, rawHeaders } from '../http/request.js';

/** Under which of the names of an application a request was sent. */
export class BaseUrls {
  readonly #lookups: Lookups<string | undefined>;

  constructor(
    private readonly names: ResolvedNames,
    clock: Clock,
  ) {
    this.#lookups = new Lookups({ name: 'baseUrl', clock, isYes: (url) => url !== undefined });
  }

  /**
   * `undefined` for a name that is none of the application's.
   *
   * @throws CallbackError where the application cannot tell.
   */
  find(request: FrameworkRequest): string | undefined | Promise<string | undefined> {
    const { baseUrls } = this.names;
    if (typeof baseUrls === 'string') return baseUrls;
    const host = hostName(hostOf(request));
    if (host === undefined) return undefined;
    if (typeof baseUrls !== 'function') return baseUrls.get(host);
    return this.#lookups.find(host, async () => checkedBaseUrl(await baseUrls(host), this.names));
  }
}

/**
 * What the platform says, which believes a proxy as far as it was told to. Where there is none, only the
 * `Host` header is left.
 */
function hostOf(request: FrameworkRequest & { readonly hostname?: unknown }): unknown {
  return request.hostname ?? rawHeaders(request).host;
}
