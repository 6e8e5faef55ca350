import { UseFilters } from '@nestjs/common';
import { publicSentence, toChallenge } from '../../core/challenge.js';
import { FORBIDDEN, JsonRpcError, JsonRpcErrorFilter } from './json-rpc-error.js';

/**
 * A refusal right before an operation of an MCP server runs, which makes a JSON-RPC error of it.
 * Its data are what a refusal by the guard has in its body.
 */
export class OperationRefusal extends JsonRpcError {
  constructor(cause: unknown) {
    const { body: data } = toChallenge(cause);
    super({ code: FORBIDDEN, message: publicSentence(cause), data, cause });
  }
}

export const keepOperationRefusals = UseFilters(JsonRpcErrorFilter);
