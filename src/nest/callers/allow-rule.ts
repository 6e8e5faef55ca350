import type { CalledResource } from '../../core/caller-settings.js';
import { OperationRefusedError } from '../../core/errors/request-errors.js';
import type { AccessRule, ScopeNeeds } from '../../core/lib/scopes.js';
import { NO_PARAMS } from '../../core/names/path-template.js';
import { quoted } from '../../core/lib/text.js';
import type { McpOperation } from '../../core/mcp/json-rpc.js';
import { copyForRule } from '../../core/mcp/rule-copy.js';
import type { Caller } from '../../core/token/caller.js';
import type { VerifiedClaims } from '../../core/token/verified-claims.js';
import type { CallerHolder, RulesAsked } from '../http/request.js';
import { askApplication } from './callback.js';
import { placeOf } from './caller-place.js';

/** Whom an {@link AllowRule} is asked about. */
export interface AllowedCaller<User = unknown> {
  /** What is verified of them, or what `otherCredentials` has said. */
  readonly claims: VerifiedClaims;
  /**
   * Who it is in the application, by the option `user`; `undefined` without it. What the application has
   * given itself, and no copy.
   */
  readonly user: User;
  /** What the request is for. */
  readonly resource: CalledResource;
}

/**
 * Whether a caller may go on: only `true` is yes. It has 5 seconds; what it throws is a 503.
 *
 * `operation` is what an MCP client asks for, with a copy of its arguments as they were sent, which nobody
 * has validated; `undefined` for a handler.
 */
export type AllowRule<User = unknown> = (
  caller: AllowedCaller<User>,
  operation?: McpOperation,
) => boolean | Promise<boolean>;

const NONE: readonly RulesAsked[] = [];

/** Those of the handler, and those of the operations; nothing that was asked for this request already. */
export function rulesToAsk(
  { rules }: ScopeNeeds,
  ofOperations: readonly RulesAsked[],
  { asked = NONE }: Pick<CallerHolder, 'asked'>,
): readonly RulesAsked[] {
  if (rules === undefined) return ofOperations;
  const open = unasked(rules, asked);
  return open.length === 0
    ? ofOperations
    : [{ rules: open, operation: undefined }, ...ofOperations];
}

/** Of those of the handler. */
function unasked(rules: readonly AccessRule[], asked: readonly RulesAsked[]): AccessRule[] {
  const known = asked
    .filter(({ operation }) => operation === undefined)
    .flatMap((one) => one.rules);
  return rules.filter((rule) => !known.includes(rule));
}

/** @throws OperationRefusedError, CallbackError; InvalidRequestError for arguments that no rule can look at */
export async function requireAllowed(
  asked: readonly RulesAsked[],
  { claims, resource: uri }: Pick<Caller, 'claims' | 'resource'>,
  { user, resource }: Pick<CallerHolder, 'user' | 'resource'>,
): Promise<void> {
  const place = { resource: uri, params: resource?.params ?? NO_PARAMS };
  const answers = asked.flatMap(({ rules, operation }) =>
    rules.map((rule) => {
      const caller: AllowedCaller = { claims, user, ...placeOf(place) };
      return requireOne(rule as AllowRule, caller, operation);
    }),
  );
  await Promise.all(answers);
}

/**
 * What has been asked for a request is not asked once more by its next guard.
 *
 * @throws OperationRefusedError, CallbackError
 */
export async function requireOnce(
  rules: readonly RulesAsked[],
  caller: Pick<Caller, 'claims' | 'resource'>,
  state: CallerHolder,
): Promise<void> {
  await requireAllowed(rules, caller, state);
  state.asked = [...(state.asked ?? []), ...rules];
}

/** What the second look asks: for the operations of the request that this rule belongs to, if there are any. */
export function askedAgain(
  rules: readonly AccessRule[],
  { asked = NONE }: Pick<CallerHolder, 'asked'>,
): readonly RulesAsked[] {
  return rules.flatMap((rule): readonly RulesAsked[] => {
    const before = asked.filter((one) => one.rules.includes(rule));
    const operations = before.length === 0 ? [undefined] : before.map((one) => one.operation);
    return operations.map((operation) => ({ rules: [rule], operation }));
  });
}

async function requireOne(
  rule: AllowRule,
  caller: AllowedCaller,
  operation: McpOperation | undefined,
): Promise<void> {
  const asked = shown(operation);
  const answer: unknown = await askApplication('@Allow', () => rule(caller, asked));
  if (answer === true) return;
  const what =
    operation === undefined ? 'the handler' : `${operation.method} ${quoted(operation.name)}`;
  throw new OperationRefusedError(`${what}: @Allow refuses this caller`);
}

/** Without what the guard knows besides. */
function shown(operation: McpOperation | undefined): McpOperation | undefined {
  if (operation === undefined) return undefined;
  const { kind, method, name, params } = operation;
  return copyForRule({ kind, method, name, params });
}
