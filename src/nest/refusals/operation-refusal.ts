import { UseFilters } from '@nestjs/common';
import { publicSentence, toChallenge } from '../../core/challenge.js';
import type { AuthplaneError } from '../../core/errors/authplane-error.js';
import { FORBIDDEN, JsonRpcError, JsonRpcErrorFilter } from './json-rpc-error.js';

/**
 * A refusal right before an operation of an MCP library runs; that library makes a JSON-RPC error of it.
 * Its data are what a refusal by the guard has in its body.
 */
export class OperationRefusal extends JsonRpcError {
  constructor(cause: AuthplaneError) {
    const { body: data } = toChallenge(cause);
    super({ code: FORBIDDEN, message: publicSentence(cause), data, cause });
  }
}

export const keepOperationRefusals = UseFilters(JsonRpcErrorFilter);
