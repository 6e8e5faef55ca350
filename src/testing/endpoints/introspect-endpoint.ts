import type { AccessTokens, TokenClaims } from '../records/access-tokens.js';
import type { Clients } from '../records/clients.js';
import { json } from '../http/reply.js';
import { readForm, requiredParameter, type Handler } from '../http/request.js';
import type { Resources } from '../records/resources.js';
import type { Revocations } from '../records/revocations.js';
import { audienceOf, boundKeyOf } from '../records/token-claims.js';
import { tokenType } from './token-endpoint.js';

export interface IntrospectEndpointOptions {
  readonly clients: Clients;
  readonly tokens: AccessTokens;
  readonly resources: Resources;
  readonly revocations: Revocations;
}

const COPIED = ['scope', 'client_id', 'sub', 'iss', 'exp', 'iat', 'jti', 'cnf'];

/**
 * `POST /oauth/introspect` (RFC 7662). Whoever may not know is told that the token is inactive: only
 * its own client may ask, and who runs the resource that it is for.
 */
export function introspectEndpoint(options: IntrospectEndpointOptions): Handler {
  const { clients, tokens, revocations } = options;
  return async (request) => {
    const form = await readForm(request);
    const { clientId } = clients.authenticateConfidential(request.message, form);
    const claims = await tokens.read(requiredParameter(form, 'token'));
    if (claims === undefined || revocations.has(claims.jti)) return json(200, { active: false });
    if (!mayKnow(options, clientId, claims)) return json(200, { active: false });
    return json(200, description(claims));
  };
}

function mayKnow(
  { resources }: IntrospectEndpointOptions,
  clientId: string,
  claims: TokenClaims,
): boolean {
  if (claims.client_id === clientId) return true;
  const resource = resources.ofAudience(audienceOf(claims));
  return resource?.runtimeClients.includes(clientId) ?? false;
}

/** The audience is a string here, and there is no `nbf`, no `act` and no `agent_id`. */
function description(claims: TokenClaims): Record<string, unknown> {
  const copied = COPIED.filter((name) => Object.hasOwn(claims, name));
  return {
    active: true,
    ...Object.fromEntries(copied.map((name) => [name, claims[name]])),
    aud: audienceOf(claims),
    token_type: tokenType(boundKeyOf(claims)),
  };
}
