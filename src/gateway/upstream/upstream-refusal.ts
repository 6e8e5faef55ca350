import { afterDeadline } from '../../core/lib/deadline.js';
import { InsufficientScopeError } from '../../core/errors/token-errors.js';
import type { GatewayCaller } from '../options/gateway-caller.js';
import type { AnswerBody } from '../wire/answer-head.js';
import { parsed, readText } from '../wire/read-message.js';
import { isRpcError, noteMisunderstanding, rpcErrorOf } from './modern-rpc.js';
import { mappedScopes } from './scope-map.js';
import { callTerms, type Destination } from './call-terms.js';
import type { UpstreamReply } from './upstream.js';
import { isJsonObject, member } from '../../core/lib/members.js';

const MAX_BYTES = 1_048_576;
/** The client has heard nothing yet. */
const PATIENCE_MS = 5_000;

/**
 * What a 4xx of an upstream means: a scope of the gateway that the caller lacks, an error that the upstream
 * states as JSON-RPC, or a failure.
 *
 * @returns InsufficientScopeError, RpcError with the status, or UpstreamError
 */
export async function refusal(
  destination: Destination,
  { status, body }: UpstreamReply,
  caller: GatewayCaller,
): Promise<Error> {
  const { upstream } = destination;
  if (status === 403) {
    const { strategy } = callTerms(destination);
    const challenge = body.headers['www-authenticate'];
    const scopes = mappedScopes(challenge, { upstream, strategy, caller });
    if (scopes !== undefined) {
      body.on('error', () => undefined).destroy();
      if (scopes.length > 0) return new InsufficientScopeError(scopes);
      const details = { maybeExecuted: false };
      return upstream.error('upstream_refused', 'it answers insufficient_scope', details);
    }
  }
  const message = await shortMessage(body);
  noteMisunderstanding(upstream, status, message);
  const error = isRpcError(message) ? member(message, 'error') : undefined;
  if (status >= 400 && isJsonObject(error)) return rpcErrorOf(error, status);
  return upstream.error('upstream_failed', `it answers ${status} without a JSON-RPC message`, {
    status,
  });
}

/** @returns `undefined` for what is none, is too long or does not end. */
async function shortMessage(body: AnswerBody): Promise<unknown> {
  const callOff = afterDeadline(PATIENCE_MS, () => body.destroy(), { unref: true });
  try {
    return parsed(await readText(body, MAX_BYTES));
  } catch {
    return undefined;
  } finally {
    callOff();
  }
}
