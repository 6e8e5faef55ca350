import { ConfigurationError } from '../errors/configuration-error.js';
import { InvalidRequestError, OperationRefusedError } from '../errors/request-errors.js';
import { TokenMissingError } from '../errors/token-errors.js';
import { nested } from '../lib/option-checks.js';
import { addScopeNeeds, type ScopeNeeds } from '../lib/scopes.js';
import type { Caller } from '../token/caller.js';
import { ACCESS_TOKEN, type VerifiedClaims } from '../token/verified-claims.js';
import { isOfMcp, type McpOperation, methodsOf, operationsOf } from './json-rpc.js';
import { OperationScopes } from './operation-scopes.js';
import { mcpChecks, type McpOptions, requirementsOf } from './settings.js';

/** What operations need: the members of `McpOptions` that say so. */
export type RequirementTable = Pick<
  McpOptions,
  'tools' | 'resources' | 'prompts' | 'methods' | 'unknownMethods'
>;

/** What the operations of a body need together. */
export interface OperationNeeds {
  /** Every one of these scopes. */
  readonly all: string[];
  /** One scope of each group, the least powerful first. */
  readonly any: string[][];
}

interface ReadTable {
  readonly scopes: OperationScopes;
  readonly refusesUnknown: boolean;
}

const checkTable = nested(mcpChecks);
/** Tables are written once and asked for every request. */
const readTables = new WeakMap<RequirementTable, ReadTable>();

/**
 * The scopes that a JSON-RPC body needs, for servers that Nest's router does not see: ask before the server
 * gets the body, which has to be the very object that it then reads. Single messages and batches;
 * what the table does not name needs nothing. Hides nothing.
 *
 * @param table a constant: it is read once, and later changes of it are not seen.
 * @param body as parsed from the JSON.
 * @param claims of the caller, for requirements that are rules.
 *
 * @throws InvalidRequestError for what cannot be judged: text, bytes or nothing instead of a parsed body, what
 * is no JSON-RPC message, too many operations or too long URIs.
 * @throws TokenMissingError when a rule has to be asked, and there are no `claims`.
 * @throws OperationRefusedError when a rule refuses, or `unknownMethods: 'refuse'` does.
 * @throws CallbackError when an asynchronous rule fails.
 * @throws ConfigurationError for a wrong table.
 *
 * @example
 * const { claims } = await resource.authenticate({ method, url, headers });
 * const { all, any } = await requiredScopes({ tools: { remove: ['notes:write'] } }, body, claims);
 * resource.requireScopes(claims, { all, anyOf: any });
 */
export async function requiredScopes(
  table: RequirementTable,
  body: unknown,
  claims?: VerifiedClaims,
): Promise<OperationNeeds> {
  const { scopes, refusesUnknown } = readTable(table);
  requireMessages(body);
  const operations = [...operationsOf(body), ...methodsOf(body)];
  const asked = operations.map((operation) => {
    if (refusesUnknown && isUnknown(operation, scopes)) {
      throw new OperationRefusedError('a method that nobody knows');
    }
    return needsOf(operation, scopes, claims);
  });
  const { all, anyOf } = addScopeNeeds(...(await Promise.all(asked)));
  return { all: [...all], any: anyOf.map((group) => [...group]) };
}

async function needsOf(
  operation: McpOperation,
  scopes: OperationScopes,
  claims: VerifiedClaims | undefined,
): Promise<ScopeNeeds> {
  if (!scopes.hasRule(operation)) return scopes.staticNeeds(operation);
  if (claims === undefined) {
    throw new TokenMissingError(`what this ${operation.kind} needs depends on who asks`);
  }
  const { needs, refusal } = await scopes.judge(operation, callerWith(claims));
  if (refusal === undefined) return needs;
  throw new OperationRefusedError(refusal.reason, { cause: refusal.fault });
}

function callerWith(claims: VerifiedClaims): Caller {
  return { claims, method: ACCESS_TOKEN, resource: claims.audience[0] ?? '' };
}

function isUnknown(operation: McpOperation, scopes: OperationScopes): boolean {
  return operation.kind === 'method' && !isOfMcp(operation.name) && !scopes.knows(operation);
}

function readTable(table: RequirementTable): ReadTable {
  const known = readTables.get(table);
  if (known !== undefined) return known;
  const problem = checkTable(table, false);
  if (problem !== undefined) throw new ConfigurationError(`the table of scopes: ${problem}`);
  const { tools = {}, resources = {}, prompts = {}, methods = {}, unknownMethods } = table;
  const read = {
    scopes: new OperationScopes(requirementsOf({ tools, resources, prompts, methods })),
    refusesUnknown: unknownMethods === 'refuse',
  };
  readTables.set(table, read);
  return read;
}

/** A body that nobody has parsed, or that a server might read otherwise, needs more than can be told. */
function requireMessages(body: unknown): void {
  const messages: readonly unknown[] = Array.isArray(body) ? body : [body];
  if (messages.every(isMessage)) return;
  throw new InvalidRequestError('no parsed JSON-RPC message, or not only such');
}

/** A request or notification; or an answer to a request of the server, which needs nothing. */
function isMessage(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (Object.hasOwn(value, 'method')) {
    return typeof (value as { readonly method: unknown }).method === 'string';
  }
  return Object.hasOwn(value, 'result') || Object.hasOwn(value, 'error');
}
