import type { IncomingMessage } from 'node:http';

import { parseStrictJsonObject, StrictJsonError } from '../../core/lib/strict-json.js';
import { OAuthProblem } from './oauth-problem.js';
import type { Reply } from './reply.js';

const MAX_BODY_BYTES = 64 * 1024;

export interface EndpointRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly message: IncomingMessage;
}

export type Handler = (request: EndpointRequest) => Reply | Promise<Reply>;

/** Splits the target by hand: as a relative reference, a path that starts with `//` names a host. */
export function endpointRequest(message: IncomingMessage): EndpointRequest {
  const target = message.url ?? '/';
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark === -1 ? '' : target.slice(mark + 1));
  return { path, query, message };
}

/** @throws OAuthProblem `invalid_request` when the body is no form or exceeds 64 KiB. */
export async function readForm({ message }: EndpointRequest): Promise<URLSearchParams> {
  if (mediaType(message) !== 'application/x-www-form-urlencoded') {
    throw new OAuthProblem('invalid_request', 'the body must be application/x-www-form-urlencoded');
  }
  return new URLSearchParams((await readBody(message)).toString('utf8'));
}

/** @throws OAuthProblem `invalid_client_metadata` when the body is not a JSON object (RFC 7591 §3.1). */
export async function readJsonObject({
  message,
}: EndpointRequest): Promise<Record<string, unknown>> {
  if (mediaType(message) !== 'application/json') {
    throw new OAuthProblem('invalid_client_metadata', 'the body must be application/json');
  }
  const body = await readBody(message);
  try {
    return parseStrictJsonObject(body);
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error;
    throw new OAuthProblem('invalid_client_metadata', 'the body must be one JSON object');
  }
}

/** The value of a parameter; an empty one counts as omitted (RFC 6749 §3.1). */
export function parameter(parameters: URLSearchParams, name: string): string | undefined {
  return parameters.get(name) || undefined;
}

export function requiredParameter(parameters: URLSearchParams, name: string): string {
  const value = parameter(parameters, name);
  if (value === undefined) throw new OAuthProblem('invalid_request', `${name} is required`);
  return value;
}

function mediaType(message: IncomingMessage): string | undefined {
  return message.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
}

async function readBody(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Leaving the loop must not destroy the socket: the refusal still has to be sent over it.
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      message.resume();
      throw new OAuthProblem('invalid_request', 'the body exceeds 64 KiB', 413);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
