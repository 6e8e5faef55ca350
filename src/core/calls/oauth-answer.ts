import type { ConsentPolicy } from './consent-url.js';
import { ProtocolError } from '../errors/server-errors.js';
import type { HttpAnswer } from '../http/answer.js';
import { isJsonObject } from '../lib/members.js';

/** What was asked for, as far as its answer and its errors depend on it. */
export interface AskedFor {
  /** For messages: `exchange`, `introspect`, … */
  readonly operation: string;
  /** RFC 8693 §2.2.1: an exchange says which type of token it issued. Default `false`. */
  readonly isExchange?: boolean;
  /** Scopes separated by blanks. */
  readonly scope?: string | undefined;
  /** The first `resource` or `audience` of the request. */
  readonly target?: string | undefined;
  /** Which consent pages a message may name; without it none. */
  readonly consentPolicy?: ConsentPolicy | undefined;
  /** Texts of the request that no message may repeat. */
  readonly secrets?: Iterable<string>;
}

export function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

export function protocolError(answer: HttpAnswer, asked: AskedFor, what: string): ProtocolError {
  return new ProtocolError(`${answered(answer, asked)}${what}`, { statusCode: answer.status });
}

export function answered({ status }: HttpAnswer, { operation }: AskedFor): string {
  return `${operation}: the authorization server answered with status ${status}`;
}

export function objectOf({ json }: HttpAnswer): Record<string, unknown> | undefined {
  return isJsonObject(json) ? json : undefined;
}

/** @throws ProtocolError */
export function requireObject(answer: HttpAnswer, asked: AskedFor): Record<string, unknown> {
  const found = objectOf(answer);
  if (found !== undefined) return found;
  throw protocolError(answer, asked, `: no JSON object (${answer.notJson ?? 'other JSON'})`);
}
