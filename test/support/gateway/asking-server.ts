import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface AskedMessage {
  readonly method: string;
  readonly session: string | undefined;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly params: any;
}

/** What a task is made with, and what its calls are answered with. */
interface ScriptedTask {
  status: string;
  ttl: number | null;
  result: object;
}

/** A server of 2025-11-25 with sessions, written by hand: it says what a test makes it say. */
export interface AskingServer {
  readonly url: string;
  readonly asked: AskedMessage[];
  /** What clients have answered. */
  readonly answers: unknown[];
  readonly tasks: Map<string, ScriptedTask>;
  readonly sessions: Set<string>;
  /** Open streams: of `tasks/result`, and of `GET`. The newest is the last. */
  readonly results: ServerResponse[];
  readonly gets: ServerResponse[];
  /** With which answers of clients are answered. Default 202. */
  answerStatus: number;
  /** Asked before a message is answered. */
  before: (method: string) => Promise<void> | void;
  say(stream: ServerResponse | undefined, message: object): void;
  /** Nothing is left, and its tasks are numbered from the beginning. */
  restart(): void;
  stop(): Promise<void>;
}

/** `plan` is its only tool, which runs as a task only. Tasks are `task-1`, `task-2`: anybody's who says so. */
export async function startAskingServer(): Promise<AskingServer> {
  const server: Omit<AskingServer, 'url' | 'stop'> = {
    asked: [],
    answers: [],
    tasks: new Map(),
    sessions: new Set(),
    results: [],
    gets: [],
    answerStatus: 202,
    before: () => undefined,
    say: (stream, message) =>
      void stream?.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`),
    restart: () => {
      server.sessions.clear();
      server.tasks.clear();
      http.closeAllConnections();
    },
  };
  const tool = { name: 'plan', inputSchema: { type: 'object' } };
  const open = (streams: ServerResponse[], response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    streams.push(response);
    response.once('close', () => streams.splice(streams.indexOf(response), 1));
  };
  const http = createServer((request, response) => {
    void (async () => {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      const message = text === '' ? {} : JSON.parse(text);
      const { id, method = request.method, params = {} } = message;
      const session = request.headers['mcp-session-id'] as string | undefined;
      const isAnswer = 'result' in message || 'error' in message;
      server.asked.push({ method: isAnswer ? 'answer' : method, session, params });
      await server.before(isAnswer ? 'answer' : method);
      const isNew = method === 'initialize' || method === 'server/discover';
      if (!isNew && !server.sessions.has(session ?? '')) return void response.writeHead(404).end();
      const answer = (more: object, headers = {}) => {
        response.writeHead(200, { 'content-type': 'application/json', ...headers });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...more }));
      };
      const shown = (taskId: string) => {
        const now = new Date().toISOString();
        const { status, ttl } = server.tasks.get(taskId)!;
        const times = { createdAt: now, lastUpdatedAt: now, ttl, pollInterval: 20 };
        return { taskId, status, ...times };
      };
      const task = server.tasks.get(params.taskId);
      if (isAnswer) {
        if (server.answerStatus < 400) server.answers.push(message);
        return void response.writeHead(server.answerStatus).end();
      }
      if (method === 'GET') return open(server.gets, response);
      if (method === 'DELETE') {
        server.sessions.delete(session ?? '');
        return void response.writeHead(200).end();
      }
      if (method === 'server/discover') return void response.writeHead(400).end();
      if (method === 'initialize') {
        const opened = crypto.randomUUID();
        server.sessions.add(opened);
        const tasks = { cancel: {}, requests: { tools: { call: {} } } };
        const result = { protocolVersion: '2025-11-25', capabilities: { tasks, tools: {} } };
        return answer({ result }, { 'mcp-session-id': opened });
      }
      if (id === undefined) return void response.writeHead(202).end();
      if (method === 'tools/list')
        return answer({ result: { tools: [{ ...tool, execution: { taskSupport: 'required' } }] } });
      if (method === 'tools/call') {
        const taskId = `task-${server.tasks.size + 1}`;
        server.tasks.set(taskId, { status: 'working', ttl: params.task.ttl, result: {} });
        return answer({ result: { task: shown(taskId) } });
      }
      if (task === undefined) return answer({ error: { code: -32602, message: 'no such task' } });
      if (method === 'tasks/cancel') task.status = 'cancelled';
      if (method !== 'tasks/result') return answer({ result: shown(params.taskId) });
      if (task.status === 'completed') return answer({ result: task.result });
      return open(server.results, response);
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return Object.assign(server, {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    stop: async () => {
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeAllConnections();
      await closed;
    },
  });
}
