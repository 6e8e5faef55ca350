import type { IncomingHttpHeaders } from 'node:http';
import { headerText, textOfHeader } from './header-text.js';
import type { RequestId } from './json-rpc-answer.js';
import { MODERN } from './modern-request.js';

/** A request of 2026-07-28 to an upstream, built from nothing. */
export interface OutgoingRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface OutgoingMessage {
  readonly id: RequestId;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** What `Mcp-Name` says, for methods that name something. */
  readonly name?: string | undefined;
}

const MAX_PARAMETERS = 64;
const TRACEPARENT_LENGTH = 55;

/** What of the inbound request goes on, whoever sent it: parameters of a tool, and the trace. */
export function passedOn(inbound: IncomingHttpHeaders): Record<string, string> {
  const headers: Record<string, string> = {};
  let left = MAX_PARAMETERS;
  for (const [name, value] of Object.entries(inbound)) {
    if (typeof value !== 'string') continue;
    if (name.startsWith('mcp-param-') && left-- > 0) headers[name] = value;
    if (name === 'traceparent' && isTraceParent(value)) headers[name] = value;
  }
  return headers;
}

export function outgoingRequest(
  { id, method, params, name }: OutgoingMessage,
  added: Readonly<Record<string, string>> = {},
): OutgoingRequest {
  return {
    headers: {
      ...added,
      accept: 'application/json, text/event-stream',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'mcp-method': method,
      ...(name === undefined ? {} : { 'mcp-name': headerText(name) }),
      'mcp-protocol-version': MODERN,
      'user-agent': 'authplane-nestjs',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  };
}

/** Whether the inbound token stands anywhere in it, spelt out or encoded as headers may be. */
export function holdsToken(
  { headers, body = '' }: Partial<OutgoingRequest>,
  token: string,
): boolean {
  if (token === '') return false; // nothing that could be passed on
  if (body.includes(token)) return true;
  return Object.values(headers ?? {}).some(
    (value) => value.includes(token) || textOfHeader(value)?.includes(token) === true,
  );
}

/** W3C Trace Context: `00-<32 hex>-<16 hex>-<2 hex>`. */
function isTraceParent(value: string): boolean {
  if (value.length !== TRACEPARENT_LENGTH) return false;
  return value.split('-').every((part) => part !== '' && isHex(part));
}

function isHex(text: string): boolean {
  return [...text].every((character) => '0123456789abcdef'.includes(character));
}
