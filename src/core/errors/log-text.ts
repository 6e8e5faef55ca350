import type { AuthplaneError } from './authplane-error.js';
import { InsufficientScopeError } from './token-errors.js';

/** The message of an error and what only operators may know of it. */
export function logText(error: AuthplaneError): string {
  if (!(error instanceof InsufficientScopeError)) return error.message;
  const { message, grantedScopes } = error;
  return grantedScopes === undefined
    ? message
    : `${message}; the token has: ${listed(grantedScopes)}`;
}

/** Scopes come from a token: nothing in them may break a log line. */
function listed(scopes: readonly string[]): string {
  return (
    scopes
      .join(' ')
      .slice(0, 500)
      .replace(/[^\x20-\x7e]/g, '?') || 'none'
  );
}
