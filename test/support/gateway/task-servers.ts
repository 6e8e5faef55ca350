import type { ServerResponse } from 'node:http';
import {
  InMemoryTaskMessageQueue,
  InMemoryTaskStore,
} from '@modelcontextprotocol/sdk/experimental/tasks';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type CallToolResult, ElicitResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { McpServer as ModernMcpServer } from '@modelcontextprotocol/server';
import { type RunningUpstream, startUpstream } from './upstream-servers.js';

const EXTENSION = 'io.modelcontextprotocol/tasks';
/** What a client of 2026-07-28 declares that can handle tasks. */
export const TASKS = { extensions: { [EXTENSION]: {} } };

/** Tasks of a server of 2025-11-25 that go on when a test says so. */
export class TaskControls {
  readonly made: string[] = [];
  readonly answers: unknown[] = [];
  readonly #waiting: ((result: CallToolResult) => void)[] = [];

  /** The oldest task that runs ends with this. */
  finish(result: CallToolResult = { content: [{ type: 'text', text: 'done' }] }): void {
    this.#waiting.shift()?.(result);
  }

  next(): Promise<CallToolResult> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/**
 * A server of 2025-11-25, made with SDK v1: `plan` runs as a task only and asks its user, `wait` runs as one if it is
 * asked to and until the test lets it go, `plain` never.
 */
export function legacyTaskServer(controls: TaskControls): McpServer {
  const server = new McpServer(
    { name: 'old', version: '1' },
    {
      capabilities: { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
      taskStore: new InMemoryTaskStore(),
      taskMessageQueue: new InMemoryTaskMessageQueue(),
    },
  );
  const register = (
    name: string,
    taskSupport: 'required' | 'optional',
    run: (extra: never, taskId: string) => Promise<CallToolResult>,
  ) => {
    server.experimental.tasks.registerToolTask(
      name,
      { description: `${name}s`, execution: { taskSupport } },
      {
        createTask: async (extra) => {
          const ttl = extra.taskRequestedTtl ?? 60_000;
          const task = await extra.taskStore.createTask({ ttl, pollInterval: 20 });
          controls.made.push(task.taskId);
          const ended = run(extra as never, task.taskId).then(async (result) => {
            const status = result.isError === true ? 'failed' : 'completed';
            await extra.taskStore.storeTaskResult(task.taskId, status, result);
          });
          ended.catch(() => undefined); // was cancelled before
          return { task };
        },
        getTask: (extra) => extra.taskStore.getTask(extra.taskId),
        getTaskResult: (extra) => extra.taskStore.getTaskResult(extra.taskId) as never,
      },
    );
  };
  register('plan', 'required', async (extra: TaskExtra, taskId) => {
    const requestedSchema = { type: 'object' as const, properties: {} };
    const params = { message: 'when?', requestedSchema };
    const relatedTask = { taskId };
    await extra.taskStore.updateTaskStatus(taskId, 'input_required');
    const answer = await extra.sendRequest(
      { method: 'elicitation/create', params },
      ElicitResultSchema,
      { relatedTask },
    );
    controls.answers.push(answer);
    const text = `planned for ${JSON.stringify(answer.content)}`;
    return { content: [{ type: 'text', text }] };
  });
  register('wait', 'optional', () => controls.next());
  server.registerTool('plain', { description: 'Runs at once' }, () => ({
    content: [{ type: 'text', text: 'plain ran' }],
  }));
  return server;
}

interface TaskExtra {
  readonly taskStore: InstanceType<typeof InMemoryTaskStore>;
  sendRequest(
    request: object,
    schema: typeof ElicitResultSchema,
    options: object,
  ): Promise<{ content?: unknown }>;
}

/** A task of 2026-07-28. */
export interface ModernTask {
  readonly taskId: string;
  status: string;
  readonly [more: string]: unknown;
}

/** A server of 2026-07-28 with the extension for tasks. */
export interface TaskUpstream extends RunningUpstream {
  readonly tasks: Map<string, ModernTask>;
  /** What `tasks/update` has brought. */
  readonly updates: unknown[];
  /** The next state of a task, told to whoever listens to it. */
  put(taskId: string, more: object): void;
  /** Says something to all who listen, asked for or not. */
  tell(params: object): void;
  /** Streams that listen to tasks, with the ids that they listen to. */
  readonly listening: Map<ServerResponse, readonly string[]>;
}

/**
 * Written by hand as the extension says it, because no SDK has a server for it yet: `later` makes a task where the
 * client can handle one, and says what it needs where not; `now` never does; all others are those of the SDK.
 */
export async function startTaskUpstream(): Promise<TaskUpstream> {
  const running = await startUpstream(() => {
    const capabilities = { extensions: { [EXTENSION]: {} } };
    const server = new ModernMcpServer({ name: 'young', version: '1' }, { capabilities });
    for (const name of ['later', 'now'])
      server.registerTool(name, { description: name }, () => ({
        content: [{ type: 'text', text: `${name} ran` }],
      }));
    return server;
  });
  const tasks = new Map<string, ModernTask>();
  const listening = new Map<ServerResponse, readonly string[]>();
  const updates: unknown[] = [];
  const event = (stream: ServerResponse, message: object) =>
    stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
  const news = (params: object) => ({ method: 'notifications/tasks', params });
  running.intercept = (_request, response, body) => {
    const { id, method, params = {} } = JSON.parse(body === '' ? '{}' : body);
    const declared = params._meta?.['io.modelcontextprotocol/clientCapabilities']?.extensions;
    const isAble = declared?.[EXTENSION] !== undefined;
    const isOfTasks = String(method).startsWith('tasks/');
    const answer = (more: object, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...more }));
      return true;
    };
    const ids = params.notifications?.taskIds;
    const needsTasks =
      isOfTasks || ids !== undefined || (method === 'tools/call' && params.name === 'later');
    if (!needsTasks) return false;
    if (!isAble) {
      const data = { requiredCapabilities: TASKS };
      return answer({ error: { code: -32021, message: 'needs tasks', data } }, 400);
    }
    if (ids !== undefined) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const { notifications } = params;
      event(response, {
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications },
      });
      listening.set(response, ids);
      response.once('close', () => listening.delete(response));
      return true;
    }
    if (method === 'tools/call') {
      const createdAt = new Date().toISOString();
      const taskId = `task-${tasks.size + 1}`;
      const times = { createdAt, lastUpdatedAt: createdAt, ttlMs: 60_000, pollIntervalMs: 20 };
      tasks.set(taskId, { taskId, status: 'working', ...times });
      return answer({ result: { resultType: 'task', ...tasks.get(taskId) } });
    }
    const task = tasks.get(params.taskId);
    if (task === undefined) return answer({ error: { code: -32602, message: 'Task not found' } });
    if (method === 'tasks/get') return answer({ result: { resultType: 'complete', ...task } });
    if (method === 'tasks/update') updates.push(params.inputResponses);
    return answer({ result: { resultType: 'complete' } });
  };
  return Object.assign(running, {
    tasks,
    updates,
    listening,
    put: (taskId: string, more: object) => {
      const before = { ...tasks.get(taskId)!, inputRequests: undefined };
      const next = { ...before, lastUpdatedAt: new Date().toISOString(), ...more };
      tasks.set(taskId, next);
      for (const [stream, ids] of listening) if (ids.includes(taskId)) event(stream, news(next));
    },
    tell: (params: object) => {
      for (const stream of listening.keys()) event(stream, news(params));
    },
  });
}
