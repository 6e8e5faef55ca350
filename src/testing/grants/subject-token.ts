import type { AccessTokens } from '../records/access-tokens.js';
import { actorOf, type Actor } from '../records/actors.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import { parameter } from '../http/request.js';
import type { Revocations } from '../records/revocations.js';
import { audienceOf, boundKeyOf, textOf } from '../records/token-claims.js';

/** What a token that is exchanged stands for. */
export interface Subject {
  readonly sub: string;
  readonly clientId: string;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly jkt: string | undefined;
  readonly act: Actor | undefined;
}

export interface SubjectTokenOptions {
  readonly issuer: string;
  readonly tokens: AccessTokens;
  readonly revocations: Revocations;
}

export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

const TOKEN_TYPES = [ACCESS_TOKEN_TYPE, 'urn:ietf:params:oauth:token-type:jwt'];

/**
 * Rows 4 to 6 of the checks on an exchange. A missing type is an `invalid_grant` too.
 *
 * @throws OAuthProblem `invalid_grant`
 */
export async function subjectOf(
  { issuer, tokens, revocations }: SubjectTokenOptions,
  form: URLSearchParams,
): Promise<Subject> {
  if (!TOKEN_TYPES.includes(form.get('subject_token_type') ?? '')) {
    throw new OAuthProblem('invalid_grant');
  }
  const claims = await tokens.read(form.get('subject_token') ?? '');
  if (claims === undefined || revocations.has(claims.jti)) throw new OAuthProblem('invalid_grant');
  return {
    sub: textOf(claims.sub),
    clientId: textOf(claims.client_id),
    audience: audienceOf(claims) || issuer,
    scope: textOf(claims.scope)
      .split(' ')
      .filter((scope) => scope !== ''),
    jkt: boundKeyOf(claims),
    act: actorOf(claims.act),
  };
}

/**
 * Whether the request names an actor. Its token must be one of this issuer; who it was issued to
 * does not matter, for the actor is the client that asks.
 *
 * @throws OAuthProblem `invalid_grant`
 */
export async function namesActor(tokens: AccessTokens, form: URLSearchParams): Promise<boolean> {
  const token = parameter(form, 'actor_token');
  if (token === undefined) return false;
  const type = parameter(form, 'actor_token_type');
  if (type !== undefined && !TOKEN_TYPES.includes(type)) throw new OAuthProblem('invalid_grant');
  if ((await tokens.read(token)) === undefined) throw new OAuthProblem('invalid_grant');
  return true;
}
