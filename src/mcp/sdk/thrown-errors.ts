import { memberOf, putMember } from '../../core/lib/members.js';
import type { JsonRpcError } from '../../nest/refusals/json-rpc-error.js';
import { type Callable, isCallable, isMethods, type Methods } from './sdk-server.js';

interface RunningRequest {
  readonly requestId: string | number | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * JSON-RPC errors that were thrown into an SDK and have not been sent yet, by JSON-RPC request id.
 *
 * v1's `McpServer` turns what a tool throws into an `isError` result unless it is an instance of its
 * own `McpError`, and the package has two copies of that class, one for each module format. So the
 * answer is put right where it leaves, which needs no class.
 */
export class ThrownErrors {
  readonly #thrown = new Map<string | number, JsonRpcError>();

  /** The next answer to this request is the error. */
  remember(error: JsonRpcError, { requestId, signal }: RunningRequest): void {
    if (requestId === undefined || signal?.aborted === true) return; // nothing will be sent
    this.#thrown.set(requestId, error);
    signal?.addEventListener('abort', () => this.#thrown.delete(requestId), { once: true });
  }

  /** Watches what this protocol object sends from now on. */
  watch(protocol: Methods): void {
    const { connect } = protocol;
    if (!isCallable(connect)) return;
    putMember(protocol, 'connect', (transport: unknown) => {
      this.#watchTransport(transport);
      return connect.call(protocol, transport);
    });
    this.#watchTransport(protocol['transport']); // of a server that is connected already
  }

  #watchTransport(transport: unknown): void {
    if (!isMethods(transport) || !isCallable(transport['send'])) return;
    const send: Callable = transport['send'];
    putMember(transport, 'send', (message: unknown, ...rest: unknown[]) =>
      send.call(transport, this.#outgoing(message), ...rest),
    );
  }

  #outgoing(message: unknown): unknown {
    const id = memberOf(message, 'id');
    if (memberOf(message, 'method') !== undefined) return message; // our own request to the client
    if (typeof id !== 'string' && typeof id !== 'number') return message;
    const thrown = this.#thrown.get(id);
    this.#thrown.delete(id);
    if (thrown === undefined || memberOf(message, 'result') === undefined) return message;
    const { code, message: text, data } = thrown;
    return { jsonrpc: '2.0', id, error: { code, message: text, data } };
  }
}
