import { STATUS_CODES } from 'node:http';

import { json, type Reply } from './reply.js';

const TYPE_PREFIX = 'https://docs.authplane.ai/errors/';

const DESCRIPTIONS = {
  invalid_request: 'the request is missing a parameter or is otherwise malformed',
  invalid_client: 'client authentication failed',
  invalid_grant: 'the authorization grant is invalid, expired, or revoked',
  invalid_scope: 'the requested scope is invalid, unknown, or exceeds what may be granted',
  invalid_target: 'the requested resource is invalid or unknown',
  unauthorized_client: 'the client may not use this grant type',
  unsupported_grant_type: 'the grant type is not supported',
  unsupported_response_type: 'the response type is not supported',
  invalid_client_metadata: 'the client metadata is invalid',
  invalid_redirect_uri: 'a redirect URI is invalid',
  access_denied: 'the request was denied',
  not_found: 'resource not found',
  consent_required: 'the user has to consent first',
  invalid_dpop_proof: 'the DPoP proof is invalid',
  use_dpop_nonce: 'the DPoP proof needs a nonce of this server',
  server_error: 'internal error',
} as const;

export type ProblemCode = keyof typeof DESCRIPTIONS;

/** A refusal on the wire: an OAuth error (RFC 6749 §5.2) that is also a problem detail (RFC 9457). */
export class OAuthProblem extends Error {
  override readonly name = 'OAuthProblem';
  readonly status: number;

  constructor(
    readonly error: ProblemCode,
    description: string = DESCRIPTIONS[error],
    status = statusOf(error),
    /** Members of the body that only this refusal has. */
    readonly members: Readonly<Record<string, string>> = {},
  ) {
    super(description);
    this.status = status;
  }
}

export function problemReply({ error, message, status, members }: OAuthProblem): Reply {
  const body = {
    error,
    error_description: message,
    type: `${TYPE_PREFIX}${error}`,
    title: STATUS_CODES[status] ?? '',
    detail: message,
    status,
    ...members,
  };
  return json(status, body, {
    'Content-Type': 'application/problem+json',
    ...(status === 401 && { 'WWW-Authenticate': 'Basic realm="authserver"' }),
  });
}

function statusOf(error: ProblemCode): number {
  if (error === 'invalid_client') return 401;
  if (error === 'access_denied') return 403;
  if (error === 'server_error') return 500;
  return 400;
}
