import cluster from 'node:cluster';
import type { AuthplaneClient } from '../../core/client.js';
import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { AuthplaneError } from '../../core/errors/authplane-error.js';
import type { ResolvedModuleOptions } from '../../core/options.js';
import type { ProtocolEra } from '../../mcp/answers/consent.js';
import { PackageLogger } from '../../nest/log/package-logger.js';
import { SparseWarnings } from '../../nest/log/sparse-warnings.js';
import { Catalogue, type ListReader, type ReadList } from './catalogue.js';
import { KeptTasks } from './kept-tasks.js';
import { type ListKind, LISTS, type ListShape } from './list-kinds.js';
import { type ListPage, listPage } from './list-page.js';
import { type RawList, readList } from './list-reader.js';
import { mergedList } from './merged-list.js';
import { RoutingTable } from './routing-table.js';
import { legacyText } from './stored-list.js';
import { TaskRouter } from './task-router.js';
import { GatewayScopes } from '../names/gateway-scopes.js';
import { ownNameProblems, type ResolvedGateway } from '../options/gateway-options.js';
import { pinOf } from '../options/pins.js';
import { requireNoCredentials } from '../options/token-strategy.js';
import { resolveUpstream, type ResolvedUpstream } from '../options/upstream-options.js';
import type { LocalTools } from '../local/local-tools.js';
import { LegacySession } from '../upstream/legacy-session.js';
import { type Asking, askModern } from '../upstream/modern-rpc.js';
import { Upstream } from '../upstream/upstream.js';
import { HeldTokens } from '../upstream/upstream-tokens.js';
import { UpstreamEra } from '../upstream/upstream-era.js';
import { RpcError, UpstreamError } from '../wire/gateway-errors.js';
import { TaskIds } from '../wire/task-ids.js';
import { METHOD_NOT_FOUND } from '../wire/json-rpc-answer.js';
import { MODERN } from '../wire/modern-request.js';

const NO_SECRET =
  'gateway: secret: set the same in all processes, or each knows the tasks of its own clients only';

/** It neither fails nor forgets as a server does; how many calls it can take, its tools know best. */
const OWN = {
  era: MODERN,
  listsAre: 'public',
  breaker: false,
  maxInFlight: 10_000,
  maxQueued: 10_000,
} as const;

interface Registered {
  readonly upstream: Upstream;
  readonly era: UpstreamEra;
}

/** The upstreams of one gateway, what they offer, and where operations go. */
export class UpstreamRegistry {
  readonly options: ResolvedGateway;
  readonly consentPolicy: AuthplaneClient;
  readonly warnings: SparseWarnings;
  readonly catalogue: Catalogue;
  readonly routes: RoutingTable;
  readonly scopes: GatewayScopes;
  readonly tasks: TaskIds;
  readonly taskRoutes: TaskRouter;
  readonly kept = new KeptTasks();
  readonly #logger = new PackageLogger('AuthplaneGateway');
  readonly #client: AuthplaneClient;
  readonly #module: Pick<ResolvedModuleOptions, 'client'>;
  readonly #registered = new Map<string, Registered>();
  readonly #listeners = new Set<() => void>();
  /** Names of the tools of the gateway itself. */
  ownTools: readonly string[] = [];
  #own: Upstream | undefined;

  constructor(
    options: ResolvedGateway,
    client: AuthplaneClient,
    module: Pick<ResolvedModuleOptions, 'client'>,
  ) {
    this.options = options;
    this.consentPolicy = client;
    this.#client = client;
    this.#module = module;
    this.warnings = new SparseWarnings(this.#logger);
    this.catalogue = new Catalogue(this.#read, module.client.clock, this.warnings, options.pins);
    this.routes = new RoutingTable((kind) => this.offering(kind), this.catalogue);
    this.tasks = new TaskIds(options.secret);
    this.taskRoutes = new TaskRouter(this.tasks, (name) => this.get(name));
    this.scopes = new GatewayScopes(() => this.all.map(({ names }) => names));
    for (const upstream of options.upstreams) this.put(upstream);
    if (options.secret === undefined && cluster.isWorker) this.#logger.warn(NO_SECRET);
  }

  /** Whoever has something of this kind: of tools the gateway itself, in front of all upstreams. */
  offering(kind: ListKind): readonly Upstream[] {
    return kind !== 'tools' || this.#own === undefined ? this.all : [this.#own, ...this.all];
  }

  /** In the order of the options. */
  get all(): readonly Upstream[] {
    return [...this.#registered.values()].map(({ upstream }) => upstream);
  }

  /**
   * Adds an upstream, or takes the place of the one of that name, whose calls go on.
   *
   * @throws ConfigurationError for one whose tokens nobody could get
   */
  put(options: ResolvedUpstream): void {
    const { clock, authentication } = this.#module.client;
    if (authentication === undefined) requireNoCredentials(options);
    const upstream = this.#made(options);
    this.#registered.get(options.name)?.upstream.close();
    this.#registered.set(options.name, { upstream, era: new UpstreamEra(upstream, clock) });
  }

  /**
   * From now on they stand in front of all others.
   *
   * @throws ConfigurationError for a name that an upstream has been given with `as`
   */
  putOwn(tools: LocalTools): void {
    const clashes = ownNameProblems(
      tools.names,
      this.all.map((one) => one.options),
    );
    if (clashes.length > 0) throw new ConfigurationError(clashes.map((one) => `gateway: ${one}`));
    this.ownTools = tools.names;
    const options = { ...OWN, url: 'memory:gateway', prefix: false } as const;
    this.#own = this.#made(resolveUpstream('gateway', options), tools);
  }

  #made(options: ResolvedUpstream, local?: LocalTools): Upstream {
    const { clock, dpop } = this.#module.client;
    const { devMode, perCallerInFlight, maxNameLength } = this.options;
    const shared = { client: this.#client, clock, dpop, devMode, perCallerInFlight, maxNameLength };
    return new Upstream(options, shared, local);
  }

  get(name: string): Upstream | undefined {
    return this.#registered.get(name)?.upstream;
  }

  /** Calls that are under way go on. */
  remove(name: string): void {
    this.#registered.get(name)?.upstream.close();
    this.#registered.delete(name);
  }

  /** Whatever is known of it is asked anew. */
  forget(upstream: Upstream): void {
    this.catalogue.forget(upstream);
    LegacySession.forget(upstream);
    this.#registered.get(upstream.name)?.era.forget();
  }

  /** Told when upstreams came, went or changed. @returns stops it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /**
   * One page of what all upstreams offer this caller.
   *
   * @throws RpcError for a cursor that is not of this list
   */
  async page(shape: ListShape, cursor: unknown, reader: ListReader): Promise<ListPage> {
    const { catalogue, warnings } = this;
    const upstreams = this.offering(shape.kind);
    const merged = await mergedList(upstreams, shape, reader, { catalogue, warnings });
    for (const { error } of merged.unavailable) this.log(error);
    const { isShown } = reader;
    const items =
      isShown === undefined
        ? merged.items
        : merged.items.filter(({ name }) => isShown(name, shape.kind));
    const textOf = reader.capabilities === undefined ? undefined : legacyText;
    return listPage({ ...merged, items }, shape, cursor, this.options.pageSize, textOf);
  }

  /** Of the tools that an upstream offers this caller, whatever is pinned. */
  async toolPins(
    upstream: Upstream,
    reader: ListReader,
  ): Promise<Readonly<Record<string, string>>> {
    const { entries } = await this.#read(upstream, LISTS.tools, reader);
    return Object.fromEntries(entries.map((tool) => [String(tool['name']), pinOf(tool)]));
  }

  async eraOf(upstream: Upstream, asking: Omit<Asking, 'timeoutMs'>): Promise<ProtocolEra> {
    const { era } = upstream.options;
    if (era !== 'auto') return era;
    const registered = this.#registered.get(upstream.name);
    if (registered?.upstream === upstream) return registered.era.find(asking);
    return new UpstreamEra(upstream, this.#module.client.clock).find(asking); // replaced meanwhile
  }

  /** Whether one of 2026-07-28 may answer calls of its tools with tasks. */
  async offersTasks(upstream: Upstream, asking: Omit<Asking, 'timeoutMs'>): Promise<boolean> {
    const registered = this.#registered.get(upstream.name);
    return registered?.upstream === upstream && registered.era.offersTasks(asking);
  }

  /** As far as anybody has asked it. */
  knownEraOf({ name }: Upstream): ProtocolEra | undefined {
    return this.#registered.get(name)?.era.known;
  }

  /** Of a moment of the monotonic clock. */
  dateOf(elapsed: number): Date {
    const { clock } = this.#module.client;
    return new Date((clock.now() - clock.elapsed() + elapsed) * 1000);
  }

  close(): void {
    for (const { upstream } of this.#registered.values()) upstream.close();
  }

  /** What a tool of the gateway has thrown, which its callers do not get to know. */
  logFault(tool: string, fault: unknown): void {
    this.#logger.error(`the tool ${tool} failed`, fault);
  }

  /** What operators have to hear of, once a minute; refusals of callers are none of it. */
  log(error: unknown): void {
    if (error instanceof UpstreamError) {
      this.warnings.warn(`${error.upstream} ${error.code}`, `${error.code}: ${error.message}`);
    } else if (error instanceof AuthplaneError) {
      this.#logger.debug(`${error.code}: ${error.message}`);
    }
  }

  /** Each page has what is left of the time for all. */
  readonly #read: ReadList = async (upstream, shape, reader) => {
    const end = performance.now() + upstream.options.listTimeoutMs;
    const era = await this.eraOf(upstream, reader);
    const left = () => Math.max(1, Math.ceil(end - performance.now()));
    if (era !== MODERN) return this.#readInSession(upstream, shape, reader, left);
    const raw = await readList(shape, (params) =>
      this.#listed(upstream, shape.method, () =>
        askModern(upstream, shape.method, params, { ...reader, timeoutMs: left() }),
      ),
    );
    const mayBeTasks = shape.kind === 'tools' && (await this.offersTasks(upstream, reader));
    const everyTool = { execution: mayBeTasks ? { taskSupport: 'optional' } : undefined };
    return { ...raw, everyTool };
  };

  /** A session for the list alone: what it shows may depend on what the client declares. */
  async #readInSession(
    upstream: Upstream,
    shape: ListShape,
    reader: ListReader,
    left: () => number,
  ): Promise<RawList> {
    const { capabilities = {} } = reader;
    const client = { capabilities, clientInfo: undefined };
    const asking = { ...reader, held: new HeldTokens() };
    const session = await LegacySession.open(upstream, client, asking);
    try {
      return await readList(shape, (params) =>
        this.#listed(upstream, shape.method, () =>
          session.ask(shape.method, params, { ...asking, timeoutMs: left() }),
        ),
      );
    } finally {
      void session.close(asking);
    }
  }

  async #listed(
    upstream: Upstream,
    method: string,
    ask: () => Promise<Readonly<Record<string, unknown>>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof RpcError) return this.#unlisted(upstream, method, error);
      throw error;
    }
  }

  /** A server that has none of a kind need not know how to list it. */
  #unlisted(
    upstream: Upstream,
    method: string,
    { rpc, status }: RpcError,
  ): Readonly<Record<string, unknown>> {
    if (rpc.code === METHOD_NOT_FOUND) return {};
    const reason = `it answers ${method} with error ${rpc.code}`;
    throw upstream.error('upstream_failed', reason, { status });
  }
}
