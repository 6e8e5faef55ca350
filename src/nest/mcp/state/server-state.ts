import { McpSessions } from './sessions.js';
import { McpTasks } from './tasks.js';
import { SentEvents } from './sent-events.js';

/**
 * What MCP servers keep for their callers between two requests, and whose it is. One for the whole
 * application, because a server may stand behind several of its resources.
 */
export class McpState {
  readonly sessions = new McpSessions();
  readonly tasks = new McpTasks();
  readonly events = new SentEvents();
}
