/** An `McpServer` or `Server` of either MCP SDK, before anything is connected to it. */
export interface InMemoryServer {
  /** Called once, with the gateway's end of the session. */
  connect(transport: never): Promise<void>;
  /** Called when the session has ended. */
  close(): Promise<void>;
}
