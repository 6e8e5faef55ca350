import type { Challenge } from '../../core/challenge.js';
import { isJsonObject, member } from '../../core/lib/members.js';
import { requestIdIn } from '../../core/mcp/json-rpc.js';

/** What of a request decides about the form of its answer. */
export interface RefusedRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** As the body parser has left it. */
  readonly body: unknown;
}

/**
 * Codes of JSON-RPC errors by HTTP status. -32000 is none of them: the SDKs read it as a closed
 * connection.
 */
const CODES: ReadonlyMap<number, number> = new Map([
  [400, -32600],
  [401, -32003],
  [403, -32003],
  [404, -32001],
  [503, -32603],
]);

/**
 * The body of a refusal: a JSON-RPC error for a JSON-RPC request of an MCP client, which shows its
 * message to the user and nothing else; the OAuth object for everybody else.
 */
export function refusalBody(
  { status, body }: Challenge,
  sentence: string,
  request: RefusedRequest,
): Challenge['body'] {
  const isOfTransport = 'jsonrpc' in body; // one of its own answers
  // A 404 of any other kind is not about a session, and there is no server to speak for.
  const code = status === 404 && !isOfTransport ? undefined : CODES.get(status);
  const id = isMcpClient(request) ? requestId(request.body) : undefined;
  if (code === undefined || id === undefined) return body;
  const data = isOfTransport ? {} : { data: body };
  return { jsonrpc: '2.0', id, error: { code, message: sentence, ...data } };
}

/** MCP, Streamable HTTP: clients name the protocol version, and accept event streams. */
function isMcpClient({ headers }: RefusedRequest): boolean {
  return (
    headers['mcp-protocol-version'] !== undefined ||
    String(headers['accept'] ?? '').includes('text/event-stream')
  );
}

/** JSON-RPC 2.0 §5: `null` where one error answers several requests; `undefined`: nothing to answer. */
function requestId(body: unknown): string | number | null | undefined {
  if (Array.isArray(body)) return body.some((one) => idOf(one) !== undefined) ? null : undefined;
  return idOf(body);
}

function idOf(message: unknown): string | number | undefined {
  if (!isJsonObject(message) || typeof member(message, 'method') !== 'string') return undefined;
  return requestIdIn(message);
}
