import { member } from '../../core/lib/members.js';
import type { Clients } from '../records/clients.js';
import { OAuthProblem, type ProblemCode } from '../http/oauth-problem.js';
import { json } from '../http/reply.js';
import { readJsonObject, type Handler } from '../http/request.js';

const AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'];
/** Machine clients come from the operator, never from dynamic registration. */
const GRANT_TYPES = ['authorization_code', 'refresh_token'];
const MAX_REDIRECT_URIS = 10;
const MAX_AGENT_DESCRIPTION = 255;

/** `POST /oauth/register`: dynamic client registration (RFC 7591). A `scope` is disregarded. */
export function registerEndpoint(clients: Clients, now: () => number): Handler {
  return async (request) => {
    const metadata = clientMetadata(await readJsonObject(request));
    const client = clients.register(
      {
        name: metadata.client_name ?? 'a client without a name',
        grantTypes: metadata.grant_types,
        scope: undefined,
        redirectUris: metadata.redirect_uris,
        agent: metadata.agent ?? false,
      },
      metadata.token_endpoint_auth_method !== 'none',
    );
    const issued = {
      client_id: client.clientId,
      client_id_issued_at: now(),
      ...(client.clientSecret !== undefined && {
        client_secret: client.clientSecret,
        client_secret_expires_at: 0,
      }),
    };
    return json(201, { ...issued, ...metadata }, { 'Cache-Control': 'no-store' });
  };
}

function clientMetadata(body: Record<string, unknown>) {
  const redirectUris = strings(body, 'redirect_uris', 'invalid_redirect_uri') ?? [];
  if (redirectUris.length === 0 || redirectUris.length > MAX_REDIRECT_URIS) {
    throw new OAuthProblem('invalid_redirect_uri', 'one to ten redirect_uris are required');
  }
  if (!redirectUris.every(isRedirectUri)) throw new OAuthProblem('invalid_redirect_uri');
  const grantTypes = strings(body, 'grant_types') ?? ['authorization_code'];
  const responseTypes = strings(body, 'response_types') ?? ['code'];
  // RFC 7591 §2: the default method.
  const authMethod = string(body, 'token_endpoint_auth_method') ?? 'client_secret_basic';
  within(grantTypes, GRANT_TYPES, 'grant_types');
  within(responseTypes, ['code'], 'response_types');
  within([authMethod], AUTH_METHODS, 'token_endpoint_auth_method');
  return {
    redirect_uris: redirectUris,
    grant_types: grantTypes,
    response_types: responseTypes,
    token_endpoint_auth_method: authMethod,
    ...descriptiveMetadata(body),
  };
}

function descriptiveMetadata(body: Record<string, unknown>) {
  const clientName = string(body, 'client_name');
  const applicationType = string(body, 'application_type');
  const agent = member(body, 'agent') ?? undefined;
  const agentDescription = string(body, 'agent_description');
  if (applicationType !== undefined) {
    within([applicationType], ['web', 'native'], 'application_type');
  }
  if (agent !== undefined && typeof agent !== 'boolean') refuse('agent');
  if ((agentDescription?.length ?? 0) > MAX_AGENT_DESCRIPTION) refuse('agent_description');
  return {
    ...(clientName !== undefined && { client_name: clientName }),
    ...(applicationType !== undefined && { application_type: applicationType }),
    ...(agent !== undefined && { agent }),
    ...(agentDescription !== undefined && { agent_description: agentDescription }),
  };
}

/** https, or http on the loopback of the user's machine; never with a fragment (RFC 6749 §3.1.2). */
function isRedirectUri(uri: string): boolean {
  if (!URL.canParse(uri) || uri.includes('#')) return false;
  const { protocol, hostname } = new URL(uri);
  if (protocol === 'https:') return true;
  return protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

function string(body: Record<string, unknown>, name: string): string | undefined {
  const value = member(body, name) ?? undefined;
  if (value !== undefined && typeof value !== 'string') refuse(name);
  return value;
}

function strings(
  body: Record<string, unknown>,
  name: string,
  code: ProblemCode = 'invalid_client_metadata',
): readonly string[] | undefined {
  const value = member(body, name) ?? undefined;
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) refuse(name, code);
  return value.map((item: unknown) => (typeof item === 'string' ? item : refuse(name, code)));
}

function within(values: readonly string[], allowed: readonly string[], name: string): void {
  if (values.length === 0 || !values.every((value) => allowed.includes(value))) refuse(name);
}

function refuse(name: string, code: ProblemCode = 'invalid_client_metadata'): never {
  throw new OAuthProblem(code, `${name} is invalid`);
}
