import type { Clock } from '../../core/lib/clock.js';
import { UnknownResourceError } from '../../core/errors/request-errors.js';
import { NO_PARAMS, type PathParams } from '../../core/names/path-template.js';
import type { AuthplaneResource } from '../../core/resource.js';
import { resourceMetadataPaths, ROOT_METADATA_PATH } from '../../core/resource-metadata.js';
import { joinedUrl, type ResolvedNames } from '../../core/names/settings.js';
import type { FrameworkRequest } from '../http/request.js';
import { rawRequest } from '../http/request.js';
import { BaseUrls } from './by-name.js';
import { belowBase, ResourcePaths, sentPath } from './by-path.js';

const MAX_RESOURCES = 1000;

/** One resource of many, and what is asked of its requests. */
interface Member {
  readonly resource: AuthplaneResource;
}

interface Surroundings<One extends Member> {
  readonly names: ResolvedNames;
  readonly clock: Clock;
  /** The one with this URI. */
  readonly make: (uri: string, params: PathParams) => One;
}

/**
 * The resources that one entry of the configuration stands for: one for each host name, for each path, or
 * both. Made when a request asks for one; 1000 are kept, and those that were not used for longest go.
 * Nothing that must last hangs on them: sessions are bound to the URI.
 */
export class ManyResources<One extends Member> {
  readonly #names: ResolvedNames;
  readonly #baseUrls: BaseUrls;
  readonly #paths: ResourcePaths | undefined;
  readonly #make: (uri: string, params: PathParams) => One;
  readonly #members = new Map<string, One>();
  /** For the guards of one request it is one object, whatever goes meanwhile. */
  readonly #ofRequests = new WeakMap<object, One>();

  constructor({ names, clock, make }: Surroundings<One>) {
    const { template, isResource } = names;
    this.#names = names;
    this.#baseUrls = new BaseUrls(names, clock);
    this.#paths = template && new ResourcePaths(template, isResource, clock);
    this.#make = make;
  }

  /** Resources in memory. */
  get size(): number {
    return this.#members.size;
  }

  /** Whether one of those in memory has this URI. */
  has(uri: string): boolean {
    return this.#members.has(uri);
  }

  /** Whether the host name of a request counts. */
  get hasNames(): boolean {
    return typeof this.#names.baseUrls !== 'string';
  }

  /**
   * The one that the request was sent to.
   *
   * @throws UnknownResourceError, CallbackError
   */
  async of(request: FrameworkRequest): Promise<One> {
    const raw = rawRequest(request);
    const known = this.#ofRequests.get(raw);
    if (known !== undefined) return known;
    const found = await this.#find(request);
    this.#ofRequests.set(raw, found);
    return found;
  }

  async #find(request: FrameworkRequest): Promise<One> {
    const baseUrl = await this.#baseUrls.find(request);
    if (baseUrl === undefined) throw new UnknownResourceError('the host name is none of ours');
    if (this.#paths === undefined) {
      return this.#member(joinedUrl(baseUrl, this.#names.mcpPath), NO_PARAMS);
    }
    const match = this.#paths.match(request, baseUrl);
    if (match === undefined || !(await this.#paths.has(match))) {
      throw new UnknownResourceError(`the path is none of ${this.#names.mcpPath}`);
    }
    return this.#member(joinedUrl(baseUrl, match.path), match.params);
  }

  /** Whether it is sent to one of them, or to what would be one, as far as the path tells. */
  isAtEndpoint(request: FrameworkRequest): boolean {
    const path = sentPath(request);
    return this.#paths === undefined
      ? path.endsWith(this.#names.mcpPath)
      : path.includes(this.#paths.template.prefix);
  }

  /**
   * The resource whose metadata document is at this path.
   *
   * @throws UnknownResourceError, CallbackError
   */
  async describedBy(request: FrameworkRequest, path: string): Promise<One['resource']> {
    const baseUrl = await this.#baseUrls.find(request);
    if (baseUrl === undefined) throw new UnknownResourceError('the host name is none of ours');
    const one = await this.#describedUnder(baseUrl, path);
    if (one === undefined) throw new UnknownResourceError('no resource has its metadata there');
    return one.resource;
  }

  /** Whether one of them would have its metadata document there, as far as the path tells. */
  hasMetadataAt(path: string): boolean {
    if (!path.startsWith(ROOT_METADATA_PATH)) return false;
    const rest = path.slice(ROOT_METADATA_PATH.length);
    return this.#paths === undefined
      ? rest.endsWith(this.#names.mcpPath)
      : rest.includes(this.#paths.template.prefix);
  }

  async #describedUnder(baseUrl: string, path: string): Promise<One | undefined> {
    const { mcpPath } = this.#names;
    if (this.#paths === undefined) {
      const uri = joinedUrl(baseUrl, mcpPath);
      const isThere = path === ROOT_METADATA_PATH || resourceMetadataPaths(uri).includes(path);
      return isThere ? this.#member(uri, NO_PARAMS) : undefined;
    }
    const match = this.#paths.template.match(
      belowBase(path.slice(ROOT_METADATA_PATH.length), baseUrl),
    );
    if (match === undefined || match.isBelow) return undefined;
    const uri = joinedUrl(baseUrl, match.path);
    const isThere = resourceMetadataPaths(uri).includes(path) && (await this.#paths.has(match));
    return isThere ? this.#member(uri, match.params) : undefined;
  }

  #member(uri: string, params: PathParams): One {
    const known = this.#members.get(uri);
    this.#members.delete(uri);
    const member = known ?? this.#make(uri, params);
    const [oldest] = this.#members.keys();
    if (this.#members.size >= MAX_RESOURCES && oldest !== undefined) this.#members.delete(oldest);
    this.#members.set(uri, member); // used last
    return member;
  }
}
