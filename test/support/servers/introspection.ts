import type {
  AuthorizationServerOptions,
  StandInAuthorizationServer,
} from 'authplane-nestjs/testing';

import { MCP, OPTIONS } from './exchange.js';
import { codeRequest } from './grant-requests.js';
import { CALLBACK, type Clock, jsonOf, type Parameters, post, token } from './stand-in.js';

/** The server of {@link OPTIONS}, and an application with users. */
export function introspectionOptions(clock: Clock): AuthorizationServerOptions {
  const app = { clientId: 'app', redirectUris: [CALLBACK] };
  return { ...OPTIONS, now: clock.now, clients: [...(OPTIONS.clients ?? []), app] };
}

export function introspect(
  { issuer }: StandInAuthorizationServer,
  form: Parameters,
  client = 'gateway',
): Promise<Response> {
  const credentials = { client_id: client, client_secret: 's' };
  return post(`${issuer}/oauth/introspect`, { ...credentials, ...form });
}

export async function isActive(
  server: StandInAuthorizationServer,
  accessToken: unknown,
  client?: string,
): Promise<unknown> {
  const answer = await introspect(server, { token: String(accessToken) }, client);
  return (await jsonOf(answer)).active;
}

/** What the application gets for a user of the resource. */
export async function userTokens(
  server: StandInAuthorizationServer,
): Promise<Record<string, unknown>> {
  const form = await codeRequest(server, { resource: MCP, scope: 'tool:list' });
  return jsonOf(await token(server, form));
}
