import type { ServerResponse } from 'node:http';
import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import { requestIdIn } from '../../core/mcp/json-rpc.js';
import type { UpstreamRegistry } from '../listing/upstream-registry.js';
import { RpcError } from '../wire/gateway-errors.js';
import {
  ACCEPTED,
  errorAnswer,
  INVALID_REQUEST,
  type RequestId,
  type RpcAnswer,
  sendAnswer,
} from '../wire/json-rpc-answer.js';
import { BatchStream } from './batch.js';
import { legacyFailure } from './legacy-answer.js';
import type { LegacyInbound, LegacyServer } from './legacy-server.js';
import { type MessageSink, MessageStream } from './message-stream.js';

/** A body of a client of the 2025 revisions. */
export interface LegacyRequest extends LegacyInbound {
  readonly body: unknown;
  /** Told why it is not answered as it was asked. */
  readonly onFailure: (error: unknown) => void;
}

/** Sends the answer. */
export type Send = (response: ServerResponse) => Promise<void>;

/** The one revision in which several messages may come together. */
const WITH_BATCHES = '2025-03-26';

/** From a body to what is sent: one message, or a batch. */
export class LegacyEndpoint {
  readonly #server: LegacyServer;
  readonly #registry: UpstreamRegistry;

  constructor(server: LegacyServer, registry: UpstreamRegistry) {
    this.#server = server;
    this.#registry = registry;
  }

  /** @throws what the application's filters answer */
  async serve(request: LegacyRequest): Promise<Send> {
    const { body } = request;
    const id = requestIdIn(body) ?? null;
    try {
      if (Array.isArray(body)) return await this.#batch(body, request);
      const { answer } = await this.#server.answer(body, request);
      if (typeof answer !== 'function') return sending(answer);
      return async (response) => {
        const stream = new MessageStream(response);
        try {
          await answer(stream);
        } catch (error) {
          if (request.asking.signal.aborted || id === null) throw error;
          await stream.end(this.#failure(error, id, request, true) ?? {});
        }
      };
    } catch (error) {
      if (error instanceof RpcError) return sending(errorAnswer(id, error.rpc, error.status));
      const failure = id === null ? undefined : this.#failure(error, id, request, false);
      if (failure === undefined) throw error;
      return sending({ status: 200, text: JSON.stringify(failure) });
    }
  }

  /** Its requests run at the same time, as if each had come by itself. */
  async #batch(messages: readonly unknown[], request: LegacyRequest): Promise<Send> {
    const { headers, asking } = request;
    const { version } = this.#server.sessions.get(headers['mcp-session-id'], asking.callerKey);
    const isWrong = messages.some((one) => memberOf(one, 'method') === 'initialize');
    if (version !== WITH_BATCHES || messages.length === 0 || isWrong) throw invalidRequest();
    const answered = messages.filter(wantsAnswer);
    const silent = messages.filter((one) => !wantsAnswer(one));
    await Promise.all(silent.map((one) => this.#server.answer(one, request)));
    if (answered.length === 0) return sending(ACCEPTED);
    return async (response) => {
      const stream = new MessageStream(response);
      stream.begin();
      const { sink } = new BatchStream(stream, answered.length);
      await Promise.all(answered.map((one) => this.#inBatch(one, sink, { ...request, body: one })));
    };
  }

  async #inBatch(message: unknown, sink: MessageSink, request: LegacyRequest): Promise<void> {
    const id = requestIdIn(message) ?? null;
    try {
      const { answer } = await this.#server.answer(message, request);
      if (typeof answer === 'function') await answer(sink);
      else await sink.end(JSON.parse(answer.text) as object); // of a request
    } catch (error) {
      if (request.asking.signal.aborted) throw error;
      const isRpc = error instanceof RpcError;
      const failure = id === null || isRpc ? undefined : this.#failure(error, id, request, true);
      const { rpc } = isRpc ? error : invalidRequest();
      await sink.end(failure ?? { jsonrpc: '2.0', id, error: rpc });
    }
  }

  #failure(
    error: unknown,
    id: RequestId,
    { body, headers, asking, onFailure }: LegacyRequest,
    hasBegun: boolean,
  ): object | undefined {
    onFailure(error);
    const method = memberOf(body, 'method');
    const { sub, clientId } = asking.caller.claims;
    return legacyFailure(error, {
      id,
      method: typeof method === 'string' ? method : '',
      capabilities: this.#server.sessions.peek(headers['mcp-session-id'])?.client.capabilities,
      caller: { subject: sub, clientId },
      consent: this.#registry.consentPolicy,
      hasBegun,
    });
  }
}

/** Neither a notification nor an answer; what is neither is answered with an error. */
function wantsAnswer(message: unknown): boolean {
  if (!isJsonObject(message) || member(message, 'jsonrpc') !== '2.0') return true;
  return typeof member(message, 'method') === 'string' && Object.hasOwn(message, 'id');
}

function sending(answer: RpcAnswer): Send {
  return (response) => {
    sendAnswer(response, answer);
    return Promise.resolve();
  };
}

function invalidRequest(): RpcError {
  return new RpcError(400, { code: INVALID_REQUEST, message: 'Invalid Request' });
}
