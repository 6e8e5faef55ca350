import { firstProblem } from '../lib/option-checks.js';
import type { OperationKind } from './json-rpc.js';

/** A module class, or the injection token of a provider. */
export type HostOwner = string | symbol | (abstract new (...parameters: never[]) => unknown);

/** One thing that a host serves by running a method. */
export interface HostOperation {
  /** What clients call it as. */
  readonly kind: Exclude<OperationKind, 'method'>;
  /** Of a tool or prompt. Default: the name of the method. */
  readonly name?: string;
  /** Of a resource, as the host compares it with the URI that is asked for. */
  readonly uri?: string;
  /** Of a resource template (RFC 6570). */
  readonly uriTemplate?: string;
}

/**
 * A library that runs decorated methods as tools, resources and prompts, besides MCP-Nest and mcp-nestjs,
 * which are built in. It makes `@Scopes` count on such methods: the guard has to know what they are called.
 *
 * @example
 * const host: McpHost = {
 *   name: 'the library',
 *   owner: TheLibraryModule,
 *   operations(handler) {
 *     const tool = Reflect.getMetadata('its:tool', handler) as { name: string } | undefined;
 *     return tool === undefined ? [] : [{ kind: 'tool', name: tool.name }];
 *   },
 * };
 */
export interface McpHost {
  /** For messages. */
  readonly name: string;
  /**
   * What is in the application when the host is: its module class, or the token of one of its providers.
   * Without it nobody is asked for `operations`: metadata keys are no proof, libraries share them.
   */
  readonly owner: HostOwner | readonly HostOwner[];
  /** What the host makes of a method of that class; an empty list for other methods. */
  operations(
    handler: (...parameters: never[]) => unknown,
    metatype: abstract new (...parameters: never[]) => unknown,
  ): readonly HostOperation[];
}

export function hostsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'must be a list of hosts';
  return firstProblem(
    value,
    isHost,
    (_host, at) =>
      `entry ${at}: must have name, owner (a class, a token or a list of them) and operations (a function)`,
  );
}

function isHost(host: unknown): boolean {
  if (typeof host !== 'object' || host === null) return false;
  const { name, owner, operations } = host as Partial<Record<keyof McpHost, unknown>>;
  const owners: readonly unknown[] = Array.isArray(owner) ? owner : [owner];
  return (
    typeof name === 'string' &&
    owners.length > 0 &&
    owners.every((one) => OWNER_TYPES.has(typeof one)) &&
    typeof operations === 'function'
  );
}

const OWNER_TYPES: ReadonlySet<string> = new Set(['string', 'symbol', 'function']);
