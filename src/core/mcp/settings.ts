import { booleanProblem, mapOf, oneOf, orFalse, originListProblem } from '../lib/option-checks.js';
import { checksOf, type Settings, withDefaults } from '../lib/settings.js';
import type { OperationKind } from './json-rpc.js';
import { hostsProblem, type McpHost } from './mcp-host.js';
import type { OperationRequirement } from './operation-scopes.js';
import { requirementProblem, type ScopeRequirement } from './scope-requirement.js';

/** Options of the MCP endpoint of a resource. */
export interface McpOptions {
  /** Requirements by the name of the tool. They add up with those of decorators. Default none. */
  readonly tools?: Readonly<Record<string, ScopeRequirement>>;
  /**
   * Requirements by URI or URI template (RFC 6570), as the server registers them. A URI needs what all
   * entries say that it matches; any text counts as an expansion of a template. Default none.
   */
  readonly resources?: Readonly<Record<string, ScopeRequirement>>;
  /** Requirements by the name of the prompt. Default none. */
  readonly prompts?: Readonly<Record<string, ScopeRequirement>>;
  /**
   * Requirements by JSON-RPC method, such as `vendor/run`, for methods of the server's own. Also a method
   * of MCP may be named. Never hidden: who lacks a scope gets 403. Default none.
   */
  readonly methods?: Readonly<Record<string, ScopeRequirement>>;
  /**
   * `'refuse'` answers 403 to every JSON-RPC method that neither the MCP specification nor `methods` has.
   * Default `'pass'`: the server decides.
   */
  readonly unknownMethods?: 'pass' | 'refuse';
  /**
   * `'hide'` leaves out of the lists what the caller may not use, and answers its use as if it did not
   * exist. Default `'show'`: the list is complete, because a client asks for more scopes only after it
   * was refused something it had seen. `@Scopes('a', { list: 'hide' })` does it for one operation; what
   * a decorator says wins.
   */
  readonly list?: 'show' | 'hide';
  /**
   * Ties each session (protocol revisions up to 2025-11-25, HTTP+SSE included) to the resource, user and
   * client it was opened for; others get 404 for its id. Ties tasks to the caller whose call made them and
   * to the scopes of that call, and `Last-Event-ID` to the caller who was sent that event. Default `true`.
   * The memory is that of this process: with several, use sticky sessions, which MCP sessions need anyway.
   * It holds 20,000 sessions and 20,000 tasks; then whoever has most loses the oldest. A session id that
   * is not in it gets 404 from then on, whoever asks; a task that is not in it does not exist.
   */
  readonly sessionBinding?: boolean;
  /**
   * `'when-needed'` lets requests without any credential pass to the MCP endpoint, as far as they ask for
   * nothing that needs one: `initialize`, `server/discover`, `ping`, lists, and operations without scopes, rules
   * and `@Allow`. All else is a 401 with the challenge, and so is a credential that is not good. In
   * such a request there is no caller: `AuthContext.current` and `@Claims()` are `undefined`. Default
   * `'required'`, in `forFeature` whatever `forRoot` says: its tables of scopes are not those of another one.
   */
  readonly authentication?: 'required' | 'when-needed';
  /**
   * Origins of web pages that may call the MCP endpoint, such as `https://app.example.com`; a request
   * with another `Origin` gets 403 before anything else (MCP, Transports, Security Warning). Default: the
   * origin of the resource itself, and with `devMode` loopback on every port. `false`: not checked. A
   * request without `Origin` always passes: clients other than browsers send none.
   * Not the origins of consent pages, which are `consent.pageOrigins`.
   */
  readonly allowedOrigins?: readonly string[] | false;
  /** Further libraries that run decorated methods. MCP-Nest 1 and 2 and mcp-nestjs are built in. Default none. */
  readonly hosts?: readonly McpHost[];
}

/** {@link McpOptions} with their defaults. */
export type ResolvedMcp = McpOptions &
  Required<Pick<McpOptions, 'unknownMethods' | 'list' | 'sessionBinding' | 'authentication'>>;

type OwnName = 'tools' | 'resources' | 'prompts' | 'methods' | 'authentication' | 'hosts';

/** What operations need, and whether some need nobody: said for each resource, and no other has it. */
const OWN_SETTINGS: Settings<Pick<ResolvedMcp, OwnName>> = {
  tools: { check: mapOf(requirementProblem) },
  resources: { check: mapOf(requirementProblem) },
  prompts: { check: mapOf(requirementProblem) },
  methods: { check: mapOf(requirementProblem) },
  authentication: { check: oneOf('required', 'when-needed'), byDefault: 'required' },
  hosts: { check: hostsProblem },
};

/** What protects the endpoint as a whole: a further resource has it from the main one. */
const ENDPOINT_SETTINGS: Settings<Omit<ResolvedMcp, OwnName>> = {
  unknownMethods: { check: oneOf('pass', 'refuse'), byDefault: 'pass' },
  list: { check: oneOf('show', 'hide'), byDefault: 'show' },
  sessionBinding: { check: booleanProblem, byDefault: true },
  allowedOrigins: { check: orFalse(originListProblem) },
};

export const mcpChecks = { ...checksOf(OWN_SETTINGS), ...checksOf(ENDPOINT_SETTINGS) };

/** @param main of the main resource. */
export function withMcpDefaults(
  options: McpOptions | false | undefined,
  main: McpOptions | false = {},
): ResolvedMcp | false {
  const given = options ?? (main === false ? false : {});
  if (given === false) return false;
  return {
    ...withDefaults(OWN_SETTINGS, given),
    ...withDefaults(ENDPOINT_SETTINGS, given, main === false ? {} : main),
  };
}

/** The requirements of the options. */
export function requirementsOf(options: McpOptions): OperationRequirement[] {
  const hidden = options.list === 'hide';
  const entries = (kind: OperationKind, map: McpOptions['tools']): OperationRequirement[] =>
    Object.entries(map ?? {}).map(([name, requirement]) => ({ kind, name, requirement, hidden }));
  return [
    ...entries('tool', options.tools),
    ...entries('resource', options.resources),
    ...entries('prompt', options.prompts),
    ...entries('method', options.methods).map((one) => ({ ...one, hidden: false })),
  ];
}
