import type { ArgumentsHost } from '@nestjs/common';
import { memberOf } from '../../core/lib/members.js';
import { type McpCall, mcpCall } from '../answers/call.js';

/** What is used of MCP-Nest's `McpContext`. */
interface McpContextLike {
  readonly mcpServer: { readonly server: { getClientCapabilities(): unknown } };
  readonly mcpRequest: unknown;
  getArgByIndex(index: number): unknown;
}

/** Position of the SDK's context in MCP-Nest 2, which offers only parts of it by name. */
const SDK_CONTEXT = 4;

/** The MCP call that MCP-Nest runs a handler for; `undefined` in any other microservice. */
export function mcpNestCall(host: Pick<ArgumentsHost, 'switchToRpc'>): McpCall | undefined {
  const context = host.switchToRpc().getContext<unknown>();
  if (!isMcpContext(context)) return undefined;
  const method = memberOf(context.mcpRequest, 'method');
  return mcpCall({
    sdkContext: context.getArgByIndex(SDK_CONTEXT),
    method: typeof method === 'string' ? method : undefined,
    sessionCapabilities: context.mcpServer.server.getClientCapabilities(),
  });
}

function isMcpContext(context: unknown): context is McpContextLike {
  return (
    typeof context === 'object' &&
    context !== null &&
    'mcpServer' in context &&
    'mcpRequest' in context &&
    'getArgByIndex' in context
  );
}
