import { printable } from './text.js';
import type { AuthplaneError } from '../errors/authplane-error.js';
import { InsufficientScopeError } from '../errors/token-errors.js';

/** Scopes come from a token: nothing in them may break a log line. */
const MAX_SCOPES = 500;

/** The message of an error and what only operators may know of it. */
export function logText(error: AuthplaneError): string {
  if (!(error instanceof InsufficientScopeError)) return error.message;
  const { message, grantedScopes } = error;
  return grantedScopes === undefined
    ? message
    : `${message}; the token has: ${printable(grantedScopes.join(' '), MAX_SCOPES) || 'none'}`;
}
