import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { requirementProblem, type RequiredScopes } from '../../core/mcp/scope-requirement.js';
import { GATEWAY_TOOL } from '../../nest/marks/handler-marks.js';
import type { GatewayCaller } from '../options/gateway-caller.js';
import type { StandardSchema } from './tool-schema.js';

/** What a tool of the gateway is told of its call. */
export interface GatewayToolCall {
  /** Who calls, as `McpGateway.call` takes it. */
  readonly caller: GatewayCaller;
  /** Aborted when nobody waits for the result any more. */
  readonly signal: AbortSignal;
  /** Tells the client how far it is, if it wants to know. */
  readonly progress: (progress: GatewayToolProgress) => void;
}

/** How far a call is (MCP, `notifications/progress`). */
export interface GatewayToolProgress {
  /** Grows with each. */
  readonly progress: number;
  /** Where it ends. Default: nobody knows. */
  readonly total?: number;
  /** In words. Default: none. */
  readonly message?: string;
}

/** A `CallToolResult` of MCP with content for models. */
export interface GatewayToolContent {
  /** Texts, images, links. */
  readonly content: readonly unknown[];
}

/** One with an object for programs. */
export interface GatewayToolStructure {
  /** As a schema of its output would say. */
  readonly structuredContent: object;
}

/** What a tool gives: a text, or a result; members that MCP adds may stand in it, too. */
export type GatewayToolResult = string | GatewayToolContent | GatewayToolStructure;

/** Options of {@link GatewayTool}. */
export interface GatewayToolOptions<Schema extends StandardSchema = StandardSchema> {
  /** What clients call it: letters, digits, `_`, `-` and `.`, without a prefix. */
  readonly name: string;
  /** For people. Default: the name. */
  readonly title?: string;
  /** For models. Default: none. */
  readonly description?: string;
  /** What its arguments have to be like, who are checked before the method runs. Default: there are none. */
  readonly inputSchema?: Schema;
  /** Hints of MCP, such as `{ readOnlyHint: true }`. Default: none. */
  readonly annotations?: Readonly<Record<string, unknown>>;
  /** What callers need, beside what `@Scopes` and `@AnyScope` say at method and class. Default: nothing more. */
  readonly scopes?: RequiredScopes;
}

/** What a method gets: what its schema makes of the arguments. */
type ArgumentsOf<Schema> = Schema extends StandardSchema<infer Output> ? Output : never;

/** A method that can be one. */
type ToolMethod<Schema> = (
  args: ArgumentsOf<Schema>,
  call: GatewayToolCall,
) => GatewayToolResult | Promise<GatewayToolResult>;

const NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/**
 * The method, of a provider, is a tool of the gateway itself: it stands in the lists beside those of the upstreams,
 * and a call of it leaves the process only if the method says so. The guard asks for its scopes; its name wins
 * over one that an upstream offers.
 *
 * With `@UseResource(name)` at the method or its class it belongs to the gateway of that name.
 *
 * @throws ConfigurationError for a wrong name or wrong scopes, and on what is no method. A wrong schema, and a name
 * that is there twice, are reported at boot.
 */
export function GatewayTool<Schema extends StandardSchema = StandardSchema<never>>(
  options: GatewayToolOptions<Schema>,
): <Method extends ToolMethod<Schema>>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<Method>,
) => void {
  const { name, scopes } = options;
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new ConfigurationError(
      '@GatewayTool: name: must be a name of letters, digits, "_", "-" and "."',
    );
  }
  const problem = scopes === undefined ? undefined : scopesProblem(scopes);
  if (problem !== undefined) throw new ConfigurationError(`@GatewayTool: scopes: ${problem}`);
  return (target, key, descriptor) => {
    if (typeof (descriptor as PropertyDescriptor | undefined)?.value !== 'function') {
      throw new ConfigurationError(
        `@GatewayTool on ${String(key)}, which is no method: put it on a method of a provider`,
      );
    }
    Reflect.defineMetadata(GATEWAY_TOOL, Object.freeze({ ...options }), target, key);
  };
}

/** Of the method of that name, also one that a base class has marked. */
export function gatewayToolAt(prototype: object, key: string): GatewayToolOptions | undefined {
  return Reflect.getMetadata(GATEWAY_TOOL, prototype, key) as GatewayToolOptions | undefined;
}

function scopesProblem(scopes: unknown): string | undefined {
  return typeof scopes === 'function'
    ? 'must name scopes; take @Allow for a rule'
    : requirementProblem(scopes);
}
