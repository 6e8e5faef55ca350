import type { ServerResponse } from 'node:http';

/** What the gateway answers by itself. */
export interface RpcAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON; empty: no body. */
  readonly text: string;
}

export type RequestId = string | number;

export const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;

export interface RpcErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export function errorAnswer(
  id: RequestId | null,
  error: RpcErrorObject,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): RpcAnswer {
  return { status, headers, text: JSON.stringify({ jsonrpc: '2.0', id, error }) };
}

export function resultAnswer(id: RequestId, result: unknown): RpcAnswer {
  return resultTextAnswer(id, JSON.stringify(result));
}

/** @param text of the result, in JSON. */
export function resultTextAnswer(id: RequestId, text: string): RpcAnswer {
  return { status: 200, text: `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${text}}` };
}

/** What a notification is answered with. */
export const ACCEPTED: RpcAnswer = Object.freeze({ status: 202, text: '' });

export function sendAnswer(response: ServerResponse, { status, headers, text }: RpcAnswer): void {
  if (text === '') {
    response.writeHead(status, headers).end();
    return;
  }
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(text);
}
