import { ConfigurationError } from '../../core/errors/configuration-error.js';
import {
  type Check,
  count,
  isTable,
  nested,
  problemsOf,
  textProblem,
} from '../../core/lib/option-checks.js';
import { type PinFile, readPins } from './pins.js';
import type { GatewayView } from './view.js';
import type { TokenStrategy } from './token-strategy.js';
import {
  resolveUpstream,
  type ResolvedUpstream,
  type UpstreamOptions,
  type UpstreamSurroundings,
  upstreamProblems,
} from './upstream-options.js';

/** Streams of changes (`subscriptions/listen`) that may be open at once. */
export interface ListenStreamOptions {
  /** Of one caller. Default 4. */
  readonly perCaller?: number;
  /** Of all together. Default 1024. */
  readonly total?: number;
}

/** Options of a gateway. */
export interface AuthplaneGatewayOptions {
  /** The MCP servers behind it, by name. More can be added while it runs. */
  readonly upstreams: Readonly<Record<string, UpstreamOptions>>;
  /** Longer exposed names are shortened; many models take no more than 64 characters. Default 64. */
  readonly maxNameLength?: number;
  /** File of reviewed definitions, for upstreams with `pin`; made by `GatewayUpstreams.pins`. Default: none. */
  readonly pins?: string;
  /** Entries of one page of a list; many clients ask for no second page. Default 1000. */
  readonly pageSize?: number;
  /** Calls of one caller that are under way on one upstream at once; further ones wait. Default 16. */
  readonly perCallerInFlight?: number;
  /** Default: 4 for each caller, 1024 together. */
  readonly listenStreams?: ListenStreamOptions;
  /** Sessions of clients of the revisions up to 2025-11-25; the oldest make room. Default 10,000. */
  readonly maxSessions?: number;
  /** Milliseconds after which an unused session ends. Default 600,000. */
  readonly sessionIdleMs?: number;
  /** Milliseconds that running calls get when the application stops. Default 10,000. */
  readonly shutdownTimeoutMs?: number;
  /**
   * For ids of tasks, which are good for the caller alone whose call has made the task: the same in all processes,
   * at least 32 characters. Default: a random one of each process.
   */
  readonly secret?: string;
  /** What is there for a request, by caller and URL. Default: everything. */
  readonly view?: GatewayView;
  /** What the gateway calls itself to MCP clients. Default `authplane-gateway`. */
  readonly serverName?: string;
}

/** Options with all their defaults. */
export interface ResolvedGateway {
  readonly upstreams: readonly ResolvedUpstream[];
  readonly maxNameLength: number;
  readonly pins: PinFile | undefined;
  readonly pageSize: number;
  readonly perCallerInFlight: number;
  readonly listenStreams: Required<ListenStreamOptions>;
  readonly maxSessions: number;
  readonly sessionIdleMs: number;
  readonly shutdownTimeoutMs: number;
  readonly strategy: TokenStrategy | undefined;
  readonly secret: string | undefined;
  readonly view: GatewayView | undefined;
  readonly serverName: string;
  readonly devMode: boolean;
}

const upstreamsProblem: Check = (value) => (isTable(value) ? undefined : 'must be a table');

const secretProblem: Check = (value) =>
  typeof value === 'string' && value.length >= 32 ? undefined : 'must have at least 32 characters';

export const gatewayChecks: Record<keyof AuthplaneGatewayOptions, Check> = {
  upstreams: upstreamsProblem,
  maxNameLength: count(40, 128),
  pins: textProblem,
  pageSize: count(1, 100_000),
  perCallerInFlight: count(1, 10_000),
  listenStreams: nested({ perCaller: count(1, 10_000), total: count(1, 1_000_000) }),
  maxSessions: count(1, 1_000_000),
  sessionIdleMs: count(1000, 86_400_000),
  shutdownTimeoutMs: count(0, 600_000),
  secret: secretProblem,
  view: (value) => (typeof value === 'function' ? undefined : 'must be a function'),
  serverName: textProblem,
};

/** @throws ConfigurationError naming every problem of the gateway and its upstreams. */
export function resolveGateway(
  options: AuthplaneGatewayOptions,
  devMode: boolean,
  strategy?: TokenStrategy,
): ResolvedGateway {
  const problems = problemsOf(options, gatewayChecks, devMode);
  const given: unknown = isTable(options) ? options['upstreams'] : undefined;
  if (given === undefined) problems.push('upstreams: is required');
  const upstreams = Object.entries(isTable(given) ? given : {});
  problems.push(
    ...upstreams.flatMap(([name, one]) => upstreamProblems(name, one, { devMode, strategy })),
  );
  if (problems.length === 0) problems.push(...namingProblems(resolveAll(upstreams, strategy)));
  if (problems.length === 0) problems.push(...pinProblems(options));
  if (problems.length > 0) throw new ConfigurationError(problems.map((one) => `gateway: ${one}`));
  return {
    upstreams: resolveAll(upstreams, strategy),
    maxNameLength: options.maxNameLength ?? 64,
    pins: options.pins === undefined ? undefined : readPins(options.pins),
    pageSize: options.pageSize ?? 1000,
    perCallerInFlight: options.perCallerInFlight ?? 16,
    listenStreams: { perCaller: 4, total: 1024, ...options.listenStreams },
    maxSessions: options.maxSessions ?? 10_000,
    sessionIdleMs: options.sessionIdleMs ?? 600_000,
    shutdownTimeoutMs: options.shutdownTimeoutMs ?? 10_000,
    strategy,
    secret: options.secret,
    view: options.view,
    serverName: options.serverName ?? 'authplane-gateway',
    devMode,
  };
}

/** What an upstream must not take away that is added. */
export interface AddedSurroundings extends UpstreamSurroundings {
  readonly others: readonly ResolvedUpstream[];
  /** Names of the tools of the gateway itself. */
  readonly ownTools: readonly string[];
}

/** @throws ConfigurationError naming every problem of an upstream that is added to `others`. */
export function resolveAdded(
  name: string,
  options: UpstreamOptions,
  { others, ownTools, ...surroundings }: AddedSurroundings,
): ResolvedUpstream {
  const problems = upstreamProblems(name, options, surroundings);
  if (problems.length > 0) throw new ConfigurationError(problems.map((one) => `gateway: ${one}`));
  const added = resolveUpstream(name, options, surroundings.strategy);
  const clashes = [...namingProblems([...others, added]), ...ownNameProblems(ownTools, [added])];
  if (clashes.length > 0) throw new ConfigurationError(clashes.map((one) => `gateway: ${one}`));
  return added;
}

function resolveAll(
  upstreams: readonly (readonly [string, unknown])[],
  strategy: TokenStrategy | undefined,
): ResolvedUpstream[] {
  return upstreams.map(
    ([name, options]) => resolveUpstream(name, options as UpstreamOptions, strategy), // checked
  );
}

/** What is pinned to nothing would be pinned to anything. */
function pinProblems({ pins, upstreams }: AuthplaneGatewayOptions): string[] {
  const pinned = Object.entries(upstreams).filter(([, { pin = 'off' }]) => pin !== 'off');
  if (pins === undefined) {
    return pinned.map(([name]) => `upstreams.${name}.pin: needs the file pins of the gateway`);
  }
  try {
    readPins(pins);
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : '';
    return [
      `pins: cannot be read (${reason.slice(0, 200)}); begin with {"version":1,"tools":{}}, and write ` +
        'what GatewayUpstreams.pins gives',
    ];
  }
}

/** Two upstreams under one name would take tools from each other. */
function namingProblems(upstreams: readonly ResolvedUpstream[]): string[] {
  const prefixes = upstreams.flatMap(({ name, prefix }) =>
    prefix === false ? [] : [[prefix, `upstreams.${name}`] as const],
  );
  return [
    ...twice(prefixes, 'the prefix'),
    ...(['tools', 'prompts'] as const).flatMap((kind) =>
      twice(namesAs(upstreams, kind), 'the name'),
    ),
  ];
}

/** What somebody has named `as` a tool of the gateway would never be called. */
export function ownNameProblems(
  ownTools: readonly string[],
  upstreams: readonly ResolvedUpstream[],
): string[] {
  return namesAs(upstreams, 'tools').flatMap(([name, owner]) =>
    ownTools.includes(name)
      ? [`${owner}: the name "${name}" is that of a tool of the gateway (@GatewayTool), too`]
      : [],
  );
}

function namesAs(upstreams: readonly ResolvedUpstream[], kind: 'tools' | 'prompts') {
  return upstreams.flatMap((upstream) =>
    Object.entries(upstream[kind]).flatMap(([own, rule]) =>
      rule === false || rule.as === undefined
        ? []
        : [[rule.as, `upstreams.${upstream.name}.${kind}.${own}`] as const],
    ),
  );
}

function twice(named: readonly (readonly [name: string, owner: string])[], what: string): string[] {
  const owners = new Map<string, string>();
  return named.flatMap(([name, owner]) => {
    const other = owners.get(name);
    owners.set(name, owner);
    return other === undefined ? [] : [`${owner}: ${what} "${name}" is that of ${other}, too`];
  });
}
