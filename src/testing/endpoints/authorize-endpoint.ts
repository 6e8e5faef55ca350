import type { AuthorizationCodes, CodeGrant } from '../records/authorization-codes.js';
import type { Client, Clients } from '../records/clients.js';
import type { Consents } from '../records/consents.js';
import { approvalPage, errorPage } from '../http/html-pages.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import type { Reply } from '../http/reply.js';
import { parameter, readForm, type EndpointRequest, type Handler } from '../http/request.js';
import type { Resources } from '../records/resources.js';
import { intersection, parseScope, refuseBeyond } from '../records/scopes.js';

/** BASE64URL(SHA-256(verifier)): 43 characters (RFC 7636 §4.2). */
const S256_CHALLENGE = /^[A-Za-z0-9_-]{43}$/;

export const DEFAULT_USER = 'user-1';

export interface AuthorizeEndpointOptions {
  readonly issuer: string;
  readonly clients: Clients;
  readonly resources: Resources;
  readonly codes: AuthorizationCodes;
  readonly consents: Consents;
  readonly requireScope: boolean;
  /** Who approves without being asked; `undefined` shows the page. */
  readonly approvingUser: string | undefined;
}

/** Where the answer goes. Known before anything that may be told to the client by a redirect. */
interface Callback {
  readonly client: Client;
  readonly redirectUri: string;
  readonly resource: string | undefined;
  readonly state: string | undefined;
}

type Decision = (grant: Omit<CodeGrant, 'sub'>, callback: Callback) => Reply;

/** `/oauth/authorize`: GET asks the user, POST carries the decision of the user. */
export function authorizeEndpoint(options: AuthorizeEndpointOptions): {
  readonly get: Handler;
  readonly post: Handler;
} {
  return {
    get: (request) =>
      respond(options, request, (grant, callback) => {
        const user = options.approvingUser;
        return user === undefined ? ask(grant, callback) : approve(options, grant, callback, user);
      }),
    post: async (request) => {
      const form = await readForm(request);
      return respond(options, request, (grant, callback) => decide(options, form, grant, callback));
    },
  };
}

function respond(
  options: AuthorizeEndpointOptions,
  { query }: EndpointRequest,
  decision: Decision,
): Reply {
  const callback = callbackOf(options, query);
  if (typeof callback === 'string') return errorPage(callback);
  try {
    return decision(requestedGrant(options, query, callback), callback);
  } catch (error) {
    if (!(error instanceof OAuthProblem)) throw error;
    const { error: code, message } = error;
    return redirect(options, callback, { error: code, error_description: message });
  }
}

/** The callback, or why there is none: then nobody can be redirected (RFC 6749 §4.1.2.1). */
function callbackOf(
  { clients, resources }: AuthorizeEndpointOptions,
  query: URLSearchParams,
): Callback | string {
  const client = clients.get(parameter(query, 'client_id') ?? '');
  if (client === undefined) return 'The client is not registered.';
  const redirectUri = parameter(query, 'redirect_uri');
  if (redirectUri === undefined || !client.redirectUris.includes(redirectUri)) {
    return 'The redirect URI is not one that the client has registered.';
  }
  const state = parameter(query, 'state');
  const indicator = parameter(query, 'resource');
  try {
    const resource = indicator === undefined ? undefined : resources.matching(indicator);
    return { client, redirectUri, resource, state };
  } catch (error) {
    if (!(error instanceof OAuthProblem)) throw error;
    return 'The resource is not registered.';
  }
}

function requestedGrant(
  options: AuthorizeEndpointOptions,
  query: URLSearchParams,
  { client, redirectUri, resource }: Callback,
): Omit<CodeGrant, 'sub'> {
  if (parameter(query, 'response_type') !== 'code') {
    throw new OAuthProblem('unsupported_response_type');
  }
  if (!client.grantTypes.includes('authorization_code')) {
    throw new OAuthProblem('unauthorized_client');
  }
  const codeChallenge = parameter(query, 'code_challenge') ?? '';
  // A missing method would mean `plain` (RFC 7636 §4.3).
  if (parameter(query, 'code_challenge_method') !== 'S256' || !S256_CHALLENGE.test(codeChallenge)) {
    throw new OAuthProblem('invalid_request', 'PKCE with code_challenge_method S256 is required');
  }
  const scope = grantedScope(options, client, resource, parameter(query, 'scope'));
  return { clientId: client.clientId, redirectUri, codeChallenge, scope, resource };
}

function grantedScope(
  { resources, requireScope }: AuthorizeEndpointOptions,
  client: Client,
  resource: string | undefined,
  parameterValue: string | undefined,
): readonly string[] {
  const requested = parseScope(parameterValue);
  const catalogue = resources.scopesOf(resource);
  const bounds = [catalogue, client.scope].filter((bound) => bound !== undefined);
  if (requested.length > 0) {
    refuseBeyond(requested, bounds);
    return requested;
  }
  if (requireScope && catalogue !== undefined) {
    throw new OAuthProblem('invalid_scope', 'scope is required');
  }
  return intersection(bounds);
}

function ask(grant: Omit<CodeGrant, 'sub'>, { client }: Callback): Reply {
  return approvalPage({ ...grant, clientName: client.name, user: DEFAULT_USER });
}

function decide(
  options: AuthorizeEndpointOptions,
  form: URLSearchParams,
  grant: Omit<CodeGrant, 'sub'>,
  callback: Callback,
): Reply {
  if (parameter(form, 'decision') !== 'approve') throw new OAuthProblem('access_denied');
  const user = parameter(form, 'user')?.trim();
  return user ? approve(options, grant, callback, user) : ask(grant, callback);
}

function approve(
  options: AuthorizeEndpointOptions,
  grant: Omit<CodeGrant, 'sub'>,
  callback: Callback,
  sub: string,
): Reply {
  if (grant.resource !== undefined) options.consents.set(grant.resource, sub, 'given');
  return redirect(options, callback, { code: options.codes.issue({ ...grant, sub }) });
}

/** `iss` goes with every answer, errors included (RFC 9207 §2). */
function redirect(
  { issuer }: AuthorizeEndpointOptions,
  { redirectUri, state }: Callback,
  answer: Readonly<Record<string, string>>,
): Reply {
  const location = new URL(redirectUri);
  const parameters = { ...answer, ...(state !== undefined && { state }), iss: issuer };
  for (const [name, value] of Object.entries(parameters)) location.searchParams.set(name, value);
  return { status: 303, headers: { Location: location.href, 'Cache-Control': 'no-store' } };
}
