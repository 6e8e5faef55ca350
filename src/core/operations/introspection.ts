import { plainNumber } from '../jws/claim-values.js';
import type { HttpAnswer } from '../http/answer.js';
import { deepFreeze } from '../lib/strict-json.js';
import { member, textOf } from '../lib/members.js';
import type { AuthorizationServerCalls, Operation } from '../calls/call.js';
import { type AskedFor, requireObject } from '../calls/oauth-answer.js';
import { requireToken } from './request-members.js';
import { thumbprintIn } from '../token/confirmation.js';

/** An answer of the introspection endpoint (RFC 7662 §2.2). Frozen. */
export interface IntrospectionResponse {
  /** `true` only for the JSON value `true`; a missing `active` is `false`. */
  readonly active: boolean;
  /** Scopes separated by blanks. */
  readonly scope: string | undefined;
  /** `client_id`: whom the token was issued to. */
  readonly clientId: string | undefined;
  /** `sub`: on whose behalf. */
  readonly sub: string | undefined;
  /** `token_type`, as sent. */
  readonly tokenType: string | undefined;
  /** `iss`: who issued it. */
  readonly iss: string | undefined;
  /** As sent: one string or a list. */
  readonly aud: string | readonly string[] | undefined;
  /** Seconds since 1970. */
  readonly exp: number | undefined;
  /** Seconds since 1970. */
  readonly iat: number | undefined;
  /** `jti` of the token. */
  readonly jti: string | undefined;
  /** `cnf.jkt`: thumbprint of the key the token is bound to. */
  readonly cnfJkt: string | undefined;
  /** `agent_id`; `''` when the client is not a registered agent. */
  readonly agentId: string;
  /** `agent_chain`, root first; empty without delegation, and when it is no list of texts. */
  readonly agentChain: readonly string[];
  /** All members as sent. A member of the wrong type is `undefined` above and found here. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/**
 * What the authorization server says about a token (RFC 7662). Never cached. AuthPlane answers
 * `active: false` also to a client that may not ask about this token.
 *
 * @throws ConfigurationError without a token.
 */
export async function introspect(
  token: string,
  calls: Pick<AuthorizationServerCalls, 'post'>,
): Promise<IntrospectionResponse> {
  requireToken(token, 'token');
  const asked: Operation = {
    operation: 'introspect',
    endpoint: 'introspection_endpoint',
    parameters: [
      ['token', token],
      ['token_type_hint', 'access_token'],
    ],
  };
  return readIntrospectionResponse(await calls.post(asked), asked);
}

/**
 * The verdict of a 2xx answer (RFC 7662 §2.2). `active` alone says whether the token is live.
 *
 * @throws ProtocolError when the answer is no JSON object.
 */
export function readIntrospectionResponse(
  answer: HttpAnswer,
  asked: AskedFor,
): IntrospectionResponse {
  const raw = requireObject(answer, asked);
  const text = (name: string): string | undefined => textOf(member(raw, name));
  const number = (name: string): number | undefined => numberOf(member(raw, name));
  return deepFreeze({
    active: member(raw, 'active') === true,
    scope: text('scope'),
    clientId: text('client_id'),
    sub: text('sub'),
    tokenType: text('token_type'),
    iss: text('iss'),
    aud: audienceOf(member(raw, 'aud')),
    exp: number('exp'),
    iat: number('iat'),
    jti: text('jti'),
    cnfJkt: textOf(thumbprintIn(member(raw, 'cnf'))),
    agentId: text('agent_id') ?? '',
    agentChain: textsOf(member(raw, 'agent_chain')),
    raw,
  });
}

function textsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.every((item) => typeof item === 'string') ? [...value] : [];
}

function numberOf(value: unknown): number | undefined {
  const number = plainNumber(value);
  return typeof number === 'number' ? number : undefined;
}

function audienceOf(value: unknown): string | readonly string[] | undefined {
  if (typeof value === 'string') return value;
  const isList = Array.isArray(value) && value.every((entry) => typeof entry === 'string');
  return isList ? value : undefined;
}
