import type { Clock } from '../../core/lib/clock.js';
import { Lookups } from '../../core/names/lookups.js';
import type { PathMatch, PathParams, PathTemplate } from '../../core/names/path-template.js';
import type { ResourceLookup } from '../../core/names/settings.js';
import { type FrameworkRequest, sentUrl } from '../http/request.js';

/** Which of the paths of an application a request was sent to. */
export class ResourcePaths {
  readonly #lookups: Lookups<boolean>;

  constructor(
    readonly template: PathTemplate,
    private readonly isResource: ResourceLookup,
    clock: Clock,
  ) {
    this.#lookups = new Lookups({ name: 'isResource', clock, isYes: (answer) => answer });
  }

  /**
   * By the path as it was sent, below that of the base URL, which a proxy may have taken off. The router
   * must have read the same in it.
   */
  match(request: FrameworkRequest, baseUrl: string): PathMatch | undefined {
    const found = this.template.match(belowBase(sentPath(request), baseUrl));
    return found && isReadAlike(request, found.params) ? found : undefined;
  }

  /** @throws CallbackError where the application cannot tell. */
  has({ path, params }: PathMatch): boolean | Promise<boolean> {
    return this.#lookups.find(path, async () => (await this.isResource(params)) === true);
  }
}

/** Of the request target; an absolute one (RFC 9112 §3.2.2) is no path of ours. */
export function sentPath(request: FrameworkRequest): string {
  const url = sentUrl(request);
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

export function belowBase(path: string, baseUrl: string): string {
  const base = new URL(baseUrl).pathname.replace(/\/$/, '');
  return base !== '' && path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

/** Whatever the router calls by one of these names has the same value; a handler reads that one. */
function isReadAlike(
  { params: given }: FrameworkRequest & { readonly params?: unknown },
  params: PathParams,
): boolean {
  if (typeof given !== 'object' || given === null) return true;
  const read = given as Readonly<Record<string, unknown>>;
  return Object.entries(params).every(
    ([name, value]) => !Object.hasOwn(read, name) || read[name] === value,
  );
}
