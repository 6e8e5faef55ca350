import { AuthplaneError } from '../../core/errors/authplane-error.js';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { errorResult } from '../../mcp/answers/consent.js';
import { MemoryAnswer } from '../memory/memory-transport.js';
import type { OutboundRequest } from '../memory/memory-servers.js';
import { INVALID_PARAMS, METHOD_NOT_FOUND } from '../wire/json-rpc-answer.js';
import type { GatewayToolCall, GatewayToolOptions } from './gateway-tool.js';
import type { ToolSchema } from './tool-schema.js';

type Message = Readonly<Record<string, unknown>>;

/** A tool of the gateway itself. */
export interface LocalTool {
  readonly options: GatewayToolOptions;
  readonly schema: ToolSchema;
  run(args: unknown, call: GatewayToolCall): Promise<unknown>;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const EVENTS = { 'content-type': 'text/event-stream' };
const TTL_MS = 600_000;

/**
 * The tools of the gateway itself, asked as an upstream of 2026-07-28 is, so that lists, rules, limits and both
 * kinds of clients are those of every tool.
 */
export class LocalTools {
  readonly #tools: ReadonlyMap<string, LocalTool>;
  readonly #onFailure: (name: string, error: unknown) => void;

  /** @param onFailure told what a tool has thrown that is no error of this package */
  constructor(tools: readonly LocalTool[], onFailure: (name: string, error: unknown) => void) {
    this.#tools = new Map(tools.map((tool) => [tool.options.name, tool]));
    this.#onFailure = onFailure;
  }

  get names(): readonly string[] {
    return [...this.#tools.keys()];
  }

  /** @throws the reason of the signal, and errors of this package that the tool has thrown before it told of progress */
  send({ body = '', caller, signal }: OutboundRequest): Promise<MemoryAnswer> {
    const message = JSON.parse(body) as Message; // made by the gateway itself
    const id = member(message, 'id');
    const method = member(message, 'method');
    const params = member(message, 'params');
    if (method === 'tools/list') return Promise.resolve(answerOf(id, this.#list()));
    if (method !== 'tools/call') return Promise.resolve(refusal(id, METHOD_NOT_FOUND));
    const tool = this.#tools.get(String(memberOf(params, 'name')));
    if (tool === undefined) return Promise.resolve(refusal(id, INVALID_PARAMS));
    return this.#call(tool, id, params, { caller, signal });
  }

  /** Those that are running end with their calls. */
  close(): void {
    // There are no connections to drop.
  }

  #list() {
    const tools = [...this.#tools.values()].map(({ options, schema }) => {
      const { name, title, description, annotations } = options;
      return { name, title, description, inputSchema: schema.json, annotations };
    });
    return { resultType: 'complete', ttlMs: TTL_MS, cacheScope: 'public', tools };
  }

  /** One document, or an event stream from the first progress on. */
  #call(
    tool: LocalTool,
    id: unknown,
    params: unknown,
    { caller, signal }: Pick<GatewayToolCall, 'caller' | 'signal'>,
  ): Promise<MemoryAnswer> {
    const token = memberOf(memberOf(params, '_meta'), 'progressToken');
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      let stream: MemoryAnswer | undefined;
      const abort = (): void => {
        reject(signal.reason);
        stream?.destroy();
      };
      signal.addEventListener('abort', abort, { once: true });
      const progress: GatewayToolCall['progress'] = (said) => {
        if (token === undefined || signal.aborted) return;
        stream ??= new MemoryAnswer(200, EVENTS);
        resolve(stream);
        const method = 'notifications/progress';
        stream.tell({ jsonrpc: '2.0', method, params: { ...said, progressToken: token } });
      };
      const run = this.#result(tool, memberOf(params, 'arguments') ?? {}, {
        caller,
        signal,
        progress,
      });
      void run
        .then(
          (result) => {
            if (stream === undefined) return resolve(answerOf(id, result));
            stream.tell(response(id, result));
            stream.end();
          },
          (error: unknown) =>
            stream === undefined ? reject(error) : stream.destroy(error as Error),
        )
        .finally(() => signal.removeEventListener('abort', abort));
    });
  }

  /** @throws errors of this package: the gateway answers them as it does those of upstreams */
  async #result(tool: LocalTool, given: unknown, call: GatewayToolCall): Promise<Message> {
    const { name } = tool.options;
    try {
      const checked = await tool.schema.check(given);
      if (checked.problem !== undefined) return failed(`Invalid arguments: ${checked.problem}`);
      return resultOf(await tool.run(checked.args, call));
    } catch (error) {
      if (error instanceof AuthplaneError || call.signal.aborted) throw error;
      this.#onFailure(name, error);
      return failed(`${name} failed`);
    }
  }
}

/** @throws TypeError for what is neither a text nor a result */
function resultOf(given: unknown): Message {
  if (typeof given === 'string') return complete({ content: [{ type: 'text', text: given }] });
  const isResult =
    isJsonObject(given) &&
    (Array.isArray(member(given, 'content')) || isJsonObject(member(given, 'structuredContent')));
  if (isResult) return complete({ content: [], ...given });
  throw new TypeError('it gave neither a text nor a result with content');
}

/** As a result of the tool, which models read (MCP 2026-07-28, Tools: error handling). */
function failed(text: string): Message {
  return complete({ ...errorResult(text) });
}

function complete(result: Message): Message {
  return { resultType: 'complete', ...result };
}

function response(id: unknown, result: object): object {
  return { jsonrpc: '2.0', id, result };
}

function answerOf(id: unknown, result: object): MemoryAnswer {
  return new MemoryAnswer(200, JSON_TYPE).end(JSON.stringify(response(id, result)));
}

function refusal(id: unknown, code: number): MemoryAnswer {
  const error = { code, message: 'Not here' };
  return new MemoryAnswer(200, JSON_TYPE).end(JSON.stringify({ jsonrpc: '2.0', id, error }));
}
