import type { Parameter } from '../calls/call.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import type { Check } from '../lib/option-checks.js';
import { comparable, type TokenGrant } from './issued-tokens.js';
import {
  isPresent,
  present,
  requireRequest,
  resourcesProblem,
  scopesProblem,
  signalProblem,
} from './request-members.js';

/** A token for this server itself (RFC 6749 §4.4). */
export interface ClientCredentialsRequest {
  /** Scopes to ask for. Default: those the server gives by itself. */
  readonly scopes?: readonly string[];
  /** Where the token will be used (RFC 8707). */
  readonly resources?: readonly string[];
  /** Gives up waiting. The request goes on for others who wait for the same token. */
  readonly signal?: AbortSignal;
}

const clientCredentialsChecks: Record<keyof ClientCredentialsRequest, Check> = {
  scopes: scopesProblem,
  resources: resourcesProblem,
  signal: signalProblem,
};

/**
 * RFC 6749 §4.4.2, RFC 8707 §2.
 *
 * @throws ConfigurationError for members of another kind, and without credentials of this server.
 */
export function clientCredentialsGrant(
  request: ClientCredentialsRequest,
  hasCredentials: boolean,
): TokenGrant {
  requireRequest('clientCredentials', request, clientCredentialsChecks);
  if (!hasCredentials) {
    throw new ConfigurationError(
      'clientCredentials: the grant needs a client that authenticates (RFC 6749 §4.4): set ' +
        'asCredentials (auth of AuthplaneClient.create)',
    );
  }
  const { scopes = [], resources = [] } = request;
  const parameters = present([
    ['grant_type', 'client_credentials'],
    ['scope', scopes.filter(isPresent).join(' ')],
    ...resources.map((value): Parameter => ['resource', value]),
  ]);
  return {
    operation: 'clientCredentials',
    endpoint: 'token_endpoint',
    parameters,
    comparable: comparable(parameters),
    scope: request.scopes?.join(' '),
    target: resources.find(isPresent),
    acceptsUnbound: false,
    derivedFrom: [],
  };
}
