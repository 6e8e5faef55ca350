import { ConfigurationError } from '../../core/errors/configuration-error.js';
import type { OperationKind } from '../../core/mcp/json-rpc.js';
import { memberOf } from '../../core/lib/members.js';

export type Callable = (...args: unknown[]) => unknown;
export type Methods = Record<string, unknown>;

interface Registration {
  readonly kind: OperationKind;
  /** The JSON-RPC method that runs what is registered. */
  readonly method: string;
}

const TOOL: Registration = { kind: 'tool', method: 'tools/call' };
const PROMPT: Registration = { kind: 'prompt', method: 'prompts/get' };
const RESOURCE: Registration = { kind: 'resource', method: 'resources/read' };

/** Public ways to register on `McpServer` of either SDK generation, and what they register. */
export const REGISTRATIONS: Readonly<Record<string, Registration>> = {
  registerTool: TOOL,
  tool: TOOL,
  registerPrompt: PROMPT,
  prompt: PROMPT,
  registerResource: RESOURCE,
  resource: RESOURCE,
};

/**
 * `McpServer` wraps the protocol object, `Server` is one.
 *
 * @throws ConfigurationError for anything else.
 */
export function protocolOf(server: object, caller: string): Methods {
  for (const candidate of [memberOf(server, 'server'), server]) {
    if (isMethods(candidate) && isCallable(candidate['setRequestHandler'])) return candidate;
  }
  throw new ConfigurationError(`${caller}: pass an McpServer or a Server of the MCP SDK`);
}

/** Handlers that exist already cannot be reached any more, which nobody would notice. */
export function hasRegistrations(server: object, protocol: Methods): boolean {
  if (protocol === server) return hasHandlers(protocol);
  return ['Tools', 'Prompts', 'Resources', 'ResourceTemplates'].some((kind) => {
    const registered = memberOf(server, `_registered${kind}`); // no public member tells
    return isMethods(registered) && Object.keys(registered).length > 0;
  });
}

function hasHandlers(protocol: Methods): boolean {
  const { assertCanSetRequestHandler } = protocol;
  if (!isCallable(assertCanSetRequestHandler)) return false;
  try {
    for (const { method } of [TOOL, PROMPT, RESOURCE]) {
      assertCanSetRequestHandler.call(protocol, method);
    }
    return false;
  } catch {
    return true;
  }
}

export function isCallable(value: unknown): value is Callable {
  return typeof value === 'function';
}

export function isMethods(value: unknown): value is Methods {
  return typeof value === 'object' && value !== null;
}
