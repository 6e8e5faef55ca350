import type { McpOperation } from '../core/mcp/json-rpc.js';
import { requireAllowed } from '../nest/callers/allow-rule.js';
import { requests, type RulesAsked } from '../nest/http/request.js';
import type { ProtectedResource } from '../nest/resources/protected-resources.js';
import type { DiscoveredTool } from './local/tool-discovery.js';
import type { GatewayCaller } from './options/gateway-caller.js';

/**
 * What `@Allow` says of tools of the gateway where they are about to run: with the arguments that their schema has
 * made, and for the caller of the call, which may be one of the application itself and for somebody else.
 */
export class AllowedCalls {
  readonly #protectedBy: () => ProtectedResource;

  constructor(protectedBy: () => ProtectedResource) {
    this.#protectedBy = protectedBy;
  }

  /** The tool, asking before it runs. What it throws then: OperationRefusedError, CallbackError. */
  checked(tool: DiscoveredTool): DiscoveredTool {
    const { needs, options } = tool;
    const { rules } = needs;
    if (rules === undefined) return tool;
    return {
      ...tool,
      run: async (args, call) => {
        const { name } = options;
        const params = { name, arguments: args };
        const operation: McpOperation = { kind: 'tool', method: 'tools/call', name, params };
        const asked: RulesAsked = { rules, operation };
        await this.#require(asked, call.caller);
        return noted(asked, () => tool.run(args, call));
      },
    };
  }

  async #require(asked: RulesAsked, { claims }: GatewayCaller): Promise<void> {
    const { users, resource: own } = this.#protectedBy();
    const running = requests.getStore();
    const isRunning = running?.current?.claims === claims;
    const resource = (isRunning ? running.resource : undefined) ?? own;
    const user = isRunning ? running.user : await users?.of({ claims });
    await requireAllowed([asked], { claims, resource: resource.resource }, { user, resource });
  }
}

/** The method asks its rules once more, for what the running request is known to have asked them. */
async function noted(asked: RulesAsked, run: () => Promise<unknown>): Promise<unknown> {
  const running = requests.getStore();
  if (running === undefined) return run();
  running.asked = [...(running.asked ?? []), asked];
  try {
    return await run();
  } finally {
    running.asked = running.asked.filter((one) => one !== asked);
  }
}
