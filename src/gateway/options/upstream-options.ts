import {
  booleanProblem,
  type Check,
  count,
  functionProblem,
  isTable,
  mapOf,
  nested,
  oneOf,
  orFalse,
  problemsOf,
  publicUrlProblem,
  scopeListProblem,
  seconds,
  textProblem,
} from '../../core/lib/option-checks.js';
import { requirementProblem, type RequiredScopes } from '../../core/mcp/scope-requirement.js';
import type { ProtocolEra } from '../../mcp/answers/consent.js';
import type { InMemoryServer } from './in-memory-server.js';
import type { PinMode } from './pins.js';
import {
  type ClientCredentialsStrategy,
  none,
  type NoTokenStrategy,
  type TokenStrategy,
} from './token-strategy.js';

/** Tokens for what the gateway asks by itself, when nobody calls. */
export type WatchStrategy = ClientCredentialsStrategy | NoTokenStrategy;

/** What is said about tools or prompts of an upstream. */
export interface OperationRule {
  /** The whole exposed name, without a prefix. Not with a glob. Default: prefix and own name. */
  readonly as?: string;
  /** What callers of the gateway need. Those of all rules that fit add up. Default: nothing more. */
  readonly scopes?: RequiredScopes;
  /** Where the token for this operation comes from. Default: `token` of the upstream. */
  readonly token?: TokenStrategy;
  /** Milliseconds for one call. Default: `timeoutMs` of the upstream. */
  readonly timeoutMs?: number;
  /** Replaces the upstream's description in lists. Default: that one. */
  readonly description?: string;
}

/** What is said about resources of an upstream; they keep their URIs. */
export type ResourceRule = Omit<OperationRule, 'as'>;

/** By the upstream's own name, or a glob with `*`. `false`: not offered. The nearest one counts. */
export type OperationRules<Rule = OperationRule> = Readonly<Record<string, Rule | false>>;

/** When an upstream that fails is left alone for a while. */
export interface UpstreamBreakerOptions {
  /** Failures in a row that open it: no connection, no answer in time, status 5xx, no JSON. Default 5. */
  readonly threshold?: number;
  /** How long it stays open. Default 30. */
  readonly cooldownSeconds?: number;
}

/** One MCP server behind the gateway. */
export interface UpstreamOptions {
  /**
   * Its Streamable HTTP endpoint: https, with `devMode` also http. Redirects are not followed. Default: none; required
   * without `server`.
   */
  readonly url?: string;
  /**
   * Makes a server of either MCP SDK that runs in this process: one for each session of a client, and for each call
   * of one of 2026-07-28. Its tools get no token; who calls is in `authInfo`. Default: none; not with `url`.
   */
  readonly server?: () => InMemoryServer | Promise<InMemoryServer>;
  /** Its resource URI at the authorization server. Default: `url`. */
  readonly resource?: string;
  /**
   * Where its tokens come from: `exchange`, `clientCredentials`, `none`, or a function. Default: the provider
   * `UPSTREAM_TOKEN_STRATEGY`; required where there is none.
   */
  readonly token?: TokenStrategy;
  /** `true`: its address may be any; for hosts of a private network. Default `false`. */
  readonly trusted?: boolean;
  /**
   * What its tools and prompts are called: `<prefix>__<name>`. `true` is the name of the upstream,
   * `false` leaves names as they are. Default `true`.
   */
  readonly prefix?: string | boolean;
  /** By own name or glob. Default: all are offered as they are. */
  readonly tools?: OperationRules;
  /** By own name or glob. Default: all are offered as they are. */
  readonly prompts?: OperationRules;
  /** By URI or glob, a template by its text. Default: all are offered as they are. */
  readonly resources?: OperationRules<ResourceRule>;
  /** `false`: only what the rules name is offered. Default `true`. */
  readonly defaultOffered?: boolean;
  /**
   * Which scopes of the upstream one of the gateway stands for, to lead a client on when the upstream
   * lacks one. Default: from rules that have both `scopes` and `exchange({ scope })`.
   */
  readonly scopeMap?: Readonly<Record<string, readonly string[]>>;
  /** `'public'`: its lists are the same for everybody. Default: as its answers say, else private. */
  readonly listsAre?: 'public' | 'private';
  /**
   * What becomes of a tool whose name, description or schema is not the one in the file `pins` of the gateway:
   * `'warn'` says so in the log, `'block'` shows it to nobody and answers its calls with 503. Default `'off'`.
   */
  readonly pin?: PinMode;
  /** Which MCP revision it speaks; `'auto'` asks it. Default `'auto'`. */
  readonly era?: 'auto' | ProtocolEra;
  /**
   * How long a session with it lasts, where it is of a revision that has sessions: `'downstream'`, as long as the one
   * of the client; `'call'`, for one call, so that nothing is left there of the calls before. Never longer, and never
   * for a second client. Default `'downstream'`.
   */
  readonly session?: 'downstream' | 'call';
  /**
   * When it is listened to for changes of its lists: `'streams'`, while a client listens here; `clientCredentials(…)`,
   * or `none()`, always, with that token. Default `'streams'`.
   */
  readonly watch?: 'streams' | WatchStrategy;
  /** Milliseconds until the answer begins; then each byte may take as long. Default 60,000. */
  readonly timeoutMs?: number;
  /** Milliseconds for a whole list, all pages. Default 3,000. */
  readonly listTimeoutMs?: number;
  /** Milliseconds to find out what the upstream speaks. Default 3,000. */
  readonly connectTimeoutMs?: number;
  /** Calls at once. Default 64. */
  readonly maxInFlight?: number;
  /** Calls that wait for their turn; further ones are refused at once. Default 128. */
  readonly maxQueued?: number;
  /** `false`: it is asked whatever happens. Default: 5 failures, 30 seconds. */
  readonly breaker?: UpstreamBreakerOptions | false;
}

/** An upstream with all its defaults. */
export interface ResolvedUpstream extends Required<
  Omit<UpstreamOptions, 'prefix' | 'breaker' | 'listsAre' | 'server'>
> {
  readonly server: UpstreamOptions['server'];
  readonly name: string;
  readonly prefix: string | false;
  readonly listsAre: 'public' | 'private' | undefined;
  readonly breaker: Required<UpstreamBreakerOptions> | false;
}

const PREFIX = /^[a-z0-9][a-z0-9-]{0,23}$/;
const EXPOSED_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const LONGEST_CALL_MS = 600_000;

/** What is said of all upstreams. */
export interface UpstreamSurroundings {
  readonly devMode: boolean;
  /** For those without `token`. */
  readonly strategy?: TokenStrategy | undefined;
}

/** @returns every problem, each with the option's name in front. */
export function upstreamProblems(
  name: string,
  given: unknown,
  { devMode, strategy }: UpstreamSurroundings,
): string[] {
  if (!isTable(given)) return [`upstreams.${name}: must be an object`];
  const options: Record<string, unknown> = {
    ...(strategy === undefined ? {} : { token: strategy }),
    ...given,
  };
  const problems = problemsOf(options, upstreamChecks, devMode);
  const isHere = options['server'] !== undefined;
  for (const required of isHere ? [] : ['url', 'token']) {
    if (options[required] === undefined) problems.unshift(`${required}: is required`);
  }
  if (isHere && options['url'] !== undefined) problems.push('server: not with url');
  if ((options['prefix'] ?? true) === true && !PREFIX.test(name)) {
    problems.push(
      `prefix: the name "${name}" cannot be one (lower-case letters, digits and "-", at most 24): name one`,
    );
  }
  return problems.map((problem) => `upstreams.${name}.${problem}`);
}

/** @param options that have been checked. */
export function resolveUpstream(
  name: string,
  options: UpstreamOptions,
  strategy: TokenStrategy = none(),
): ResolvedUpstream {
  const { prefix = true, breaker = {}, url = `memory:${name}` } = options;
  return {
    name,
    url,
    server: options.server,
    resource: options.resource ?? url,
    token: options.token ?? (options.server === undefined ? strategy : none()),
    trusted: options.trusted ?? false,
    prefix: prefix === true ? name : prefix,
    tools: options.tools ?? {},
    prompts: options.prompts ?? {},
    resources: options.resources ?? {},
    defaultOffered: options.defaultOffered ?? true,
    scopeMap: options.scopeMap ?? {},
    listsAre: options.listsAre,
    pin: options.pin ?? 'off',
    session: options.session ?? 'downstream',
    watch: options.watch ?? 'streams',
    era: options.era ?? (options.server === undefined ? 'auto' : '2025-11-25'),
    timeoutMs: options.timeoutMs ?? 60_000,
    listTimeoutMs: options.listTimeoutMs ?? 3000,
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    maxInFlight: options.maxInFlight ?? 64,
    maxQueued: options.maxQueued ?? 128,
    breaker: breaker && {
      threshold: breaker.threshold ?? 5,
      cooldownSeconds: breaker.cooldownSeconds ?? 30,
    },
  };
}

const strategyProblem: Check = (value) => {
  if (typeof value === 'function') return undefined;
  if (!isTable(value)) return STRATEGIES;
  const { kind, scope, resource, actor } = value;
  if (kind === 'none') return undefined;
  if (kind !== 'exchange' && kind !== 'clientCredentials') return STRATEGIES;
  if (typeof scope !== 'string' || scope.trim() === '') return `${kind}: scope: is required`;
  const problem = scopeListProblem(scope.split(' ').filter((one) => one !== ''));
  if (problem !== undefined) return `${kind}: scope: ${problem}`;
  if (resource !== undefined && (typeof resource !== 'string' || resource === '')) {
    return `${kind}: resource: must be a string`;
  }
  return actor === undefined || ['string', 'function'].includes(typeof actor)
    ? undefined
    : `${kind}: actor: must be a token or a function`;
};

const STRATEGIES = 'must be exchange(…), clientCredentials(…), none() or a function';

export const ruleChecks: Record<keyof ResourceRule, Check> = {
  scopes: (value) =>
    typeof value === 'function'
      ? 'must name scopes: rules that are functions belong into mcp of AuthplaneModule'
      : requirementProblem(value),
  token: strategyProblem,
  timeoutMs: count(1, LONGEST_CALL_MS),
  description: textProblem,
};

/** Not `prefix__name`: that would be the name of something else. */
const exposedNameProblem: Check = (value) =>
  typeof value === 'string' && EXPOSED_NAME.test(value)
    ? undefined
    : 'must be a name of letters, digits, "_", "-" and "."';

const rulesProblem: Check = (value, devMode) => {
  const problem = mapOf(orFalse(nested({ ...ruleChecks, as: exposedNameProblem })))(value, devMode);
  if (problem !== undefined) return problem;
  const entries = Object.entries(value as OperationRules);
  const glob = entries.find(([name, rule]) => name.includes('*') && rule && rule.as !== undefined);
  return glob === undefined ? undefined : `"${glob[0]}": a glob cannot have one name (as)`;
};

export const upstreamChecks: Record<keyof UpstreamOptions, Check> = {
  url: publicUrlProblem,
  server: functionProblem,
  resource: (value) =>
    typeof value === 'string' && value !== '' && !value.includes('#')
      ? undefined
      : 'must be a resource URI or slug without a fragment',
  token: strategyProblem,
  trusted: booleanProblem,
  prefix: (value) =>
    typeof value === 'boolean' || (typeof value === 'string' && PREFIX.test(value))
      ? undefined
      : 'must be true, false, or lower-case letters, digits and "-" (at most 24)',
  tools: rulesProblem,
  prompts: rulesProblem,
  resources: mapOf(orFalse(nested(ruleChecks))),
  defaultOffered: booleanProblem,
  scopeMap: mapOf(scopeListProblem),
  listsAre: oneOf('public', 'private'),
  pin: oneOf('off', 'warn', 'block'),
  era: oneOf('auto', '2026-07-28', '2025-11-25'),
  session: oneOf('downstream', 'call'),
  watch: (value, devMode) => {
    if (value === 'streams') return undefined;
    const isOwn =
      isTable(value) && (value['kind'] === 'clientCredentials' || value['kind'] === 'none');
    return isOwn
      ? strategyProblem(value, devMode)
      : "must be 'streams', clientCredentials(…) or none(): nobody calls whose token could be exchanged";
  },
  timeoutMs: count(1, LONGEST_CALL_MS),
  listTimeoutMs: count(1, LONGEST_CALL_MS),
  connectTimeoutMs: count(1, LONGEST_CALL_MS),
  maxInFlight: count(1, 10_000),
  maxQueued: count(0, 100_000),
  breaker: orFalse(nested({ threshold: count(1, 1000), cooldownSeconds: seconds(1, 3600) })),
};
