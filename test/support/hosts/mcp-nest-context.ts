/** What MCP-Nest 2 hands to filters and interceptors; MCP-Nest itself is met in `test/e2e/operations`. */

/** `_meta` of a request of 2026-07-28 whose client opens URLs. */
export const MODERN_ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } },
};

export function rpcHost(context: unknown) {
  return { getType: () => 'rpc', switchToRpc: () => ({ getContext: () => context }) } as never;
}

export function mcpContext(request: object, method = 'tools/call') {
  const sdkContext = { mcpReq: { id: 1, method, ...request } };
  return {
    mcpServer: { server: { getClientCapabilities: () => undefined } },
    mcpRequest: { method },
    getArgByIndex: (index: number) => (index === 4 ? sdkContext : undefined),
  };
}
