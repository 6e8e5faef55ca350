import { isJsonObject, member, memberOf } from '../../core/lib/members.js';
import type { ShownOperation } from '../options/view.js';
import type { GatewayCaller } from '../options/gateway-caller.js';
import type { TokenStrategy } from '../options/token-strategy.js';
import { RpcError, UpstreamError } from '../wire/gateway-errors.js';
import { INTERNAL_ERROR } from '../wire/json-rpc-answer.js';
import { MODERN } from '../wire/modern-request.js';
import { parsed, readResponse, readText, UnreadableAnswer } from '../wire/read-message.js';
import { outgoingRequest } from '../wire/upstream-request.js';
import type { Upstream, UpstreamReply } from './upstream.js';
import type { HeldTokens } from './upstream-tokens.js';

/** For whom something is asked, and until when. */
export interface Asking {
  readonly caller: GatewayCaller;
  readonly callerKey: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** In place of the one of the upstream: for what is asked for no caller. */
  readonly strategy?: TokenStrategy | undefined;
  /** What there is at the URL of the request; everything where it is left out. */
  readonly isShown?: ShownOperation | undefined;
  /** Of the call that it is a part of. */
  readonly held?: HeldTokens | undefined;
  /** Told which upstream an operation is for, once that is known. */
  readonly onRoute?: ((upstream: string) => void) | undefined;
}

const MAX_BYTES = 10_485_760;
const MAX_ERROR_BYTES = 1_048_576;

/** In which a server of 2026-07-28 says, with such a status, what it misses: a header, a capability, a method, a parameter. */
const OWN_CODES: ReadonlySet<unknown> = new Set([-32020, -32021, -32601, -32602]);

/** The gateway asks in its own name, and can do nothing that a server may ask of a client. */
export const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': { name: 'authplane-nestjs', version: '0' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/**
 * The result of one request to an upstream of 2026-07-28 that changes nothing, read as a whole.
 *
 * @throws RpcError what the upstream answers with a JSON-RPC error, with its HTTP status
 * @throws UpstreamError, and what the token strategy throws
 */
export async function askModern(
  upstream: Upstream,
  method: string,
  params: Readonly<Record<string, unknown>>,
  asking: Asking,
): Promise<Readonly<Record<string, unknown>>> {
  const id = 1;
  const reply = await upstream.call({
    ...asking,
    ...outgoingRequest({ id, method, params: { ...params, _meta: META } }),
    method: 'POST',
    strategy: strategyOf(asking, upstream),
    operation: { method },
    isRepeatable: true,
  });
  return resultOf(upstream, reply, id);
}

/**
 * The result of a request, read as a whole.
 *
 * @throws RpcError for the error that the upstream states, UpstreamError for what is neither
 */
export async function resultOf(
  upstream: Upstream,
  reply: UpstreamReply,
  id: number | string,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await readReply(upstream, reply, id);
  const error = member(response, 'error');
  if (isJsonObject(error)) throw rpcErrorOf(error, reply.status);
  const result = member(response, 'result');
  if (isJsonObject(result)) return result;
  throw upstream.error('upstream_failed', 'its answer has no result', {});
}

/** Where the token comes from of what is about no tool, prompt or resource. */
export function strategyOf(
  { strategy }: Pick<Asking, 'strategy'>,
  { options }: Pick<Upstream, 'options'>,
): TokenStrategy {
  return strategy ?? options.token;
}

/** @throws UpstreamError for what is no JSON-RPC response. */
export async function readReply(
  upstream: Upstream,
  { status, body, isEvents }: UpstreamReply,
  id: number | string,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    if (status === 200) return await readResponse(body, { isEvents, id, maxBytes: MAX_BYTES });
    const message = parsed(await readText(body, MAX_ERROR_BYTES));
    noteMisunderstanding(upstream, status, message);
    if (isRpcError(message)) return message;
    throw new UnreadableAnswer(`status ${status} without a JSON-RPC error`);
  } catch (error) {
    body.destroy();
    if (error instanceof UpstreamError) throw error;
    const isRefusal = status >= 400 && status < 500;
    const reason = isRefusal ? `it answers ${status}` : 'its answer cannot be read';
    throw upstream.error('upstream_failed', reason, { cause: error, status });
  }
}

/** A transport of an earlier revision does not take the request; 401, 403 and 408 say nothing of it. */
export function isOlder(status: number): boolean {
  return [400, 404, 405, 406, 415].includes(status);
}

/**
 * A server that was of 2026-07-28 may have been replaced by an older one, which says so with its status, and not in
 * the words of this revision: whoever asks next what it speaks asks it.
 */
export function noteMisunderstanding(upstream: Upstream, status: number, answer: unknown): void {
  const error = isRpcError(answer) ? member(answer, 'error') : undefined;
  if (isOlder(status) && !OWN_CODES.has(memberOf(error, 'code'))) upstream.misunderstandings++;
}

export function isRpcError(value: unknown): value is Record<string, unknown> {
  return isJsonObject(value) && member(value, 'jsonrpc') === '2.0' && 'error' in value;
}

export function rpcErrorOf(error: Readonly<Record<string, unknown>>, status: number): RpcError {
  const code = member(error, 'code');
  const message = member(error, 'message');
  return new RpcError(status, {
    code: Number.isSafeInteger(code) ? (code as number) : INTERNAL_ERROR,
    message: typeof message === 'string' ? message : '',
    data: member(error, 'data'),
  });
}
