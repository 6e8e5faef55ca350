import type { IncomingMessage } from 'node:http';

import type { Client, Clients } from '../records/clients.js';
import type { DPoPCheck } from './dpop-check.js';
import type { GrantCounter } from '../records/grant-counter.js';
import { OAuthProblem, problemReply } from '../http/oauth-problem.js';
import { json, type Reply } from '../http/reply.js';
import {
  readForm,
  requiredParameter,
  type EndpointRequest,
  type Handler,
} from '../http/request.js';

/** RFC 6749 §5.1; `issued_token_type` is of RFC 8693 §2.2.1. */
export interface TokenSuccess {
  readonly access_token: string;
  readonly issued_token_type?: string;
  readonly token_type: 'Bearer' | 'DPoP';
  readonly expires_in: number;
  readonly refresh_token?: string;
  readonly scope?: string;
}

export interface TokenRequest {
  readonly client: Client;
  readonly form: URLSearchParams;
  /**
   * Judges the DPoP proof of the request and gives the thumbprint to bind to; `undefined` without a
   * proof. Each grant says when: what it has consumed before stays consumed.
   */
  readonly bindingKey: () => Promise<string | undefined>;
}

/** Sees only authenticated clients that are registered for the grant type. */
export type Grant = (request: TokenRequest) => TokenSuccess | Promise<TokenSuccess>;

export interface GrantType {
  readonly grant: Grant;
  /** What is looked at before the client is authenticated. */
  readonly precheck?: (form: URLSearchParams) => void;
  /** Public clients are refused before their registration is looked at. */
  readonly confidential?: boolean;
}

export interface TokenEndpointOptions {
  /** The address of the endpoint as proofs must name it. */
  readonly url: string;
  readonly clients: Clients;
  readonly grants: ReadonlyMap<string, GrantType>;
  /** By grant type: the feature that an operator may have switched off. */
  readonly features: ReadonlyMap<string, string>;
  /** `undefined`: proofs are disregarded. */
  readonly dpop: DPoPCheck | undefined;
  readonly counter: GrantCounter;
}

/** `POST /oauth/token`. The table decides which grant types exist. */
export function tokenEndpoint(options: TokenEndpointOptions): Handler {
  return async (request) => {
    const nonce = nonceHeader(options.dpop, request.message);
    try {
      const success = await answer(options, request);
      return json(200, success, { 'Cache-Control': 'no-store', Pragma: 'no-cache', ...nonce });
    } catch (error) {
      if (!(error instanceof OAuthProblem)) throw error;
      return withHeaders(problemReply(error), nonce);
    }
  };
}

/** The member `scope`, left out when empty. */
export function scopeMember(scope: readonly string[]): { readonly scope?: string } {
  return scope.length > 0 ? { scope: scope.join(' ') } : {};
}

export function tokenType(jkt: string | undefined): 'Bearer' | 'DPoP' {
  return jkt === undefined ? 'Bearer' : 'DPoP';
}

async function answer(
  { url, clients, grants, features, dpop, counter }: TokenEndpointOptions,
  request: EndpointRequest,
): Promise<TokenSuccess> {
  const { message } = request;
  const form = await readForm(request);
  const name = requiredParameter(form, 'grant_type');
  counter.add(name);
  const grantType = grants.get(name) ?? refuseGrantType(features.get(name));
  grantType.precheck?.(form);
  const client = grantType.confidential
    ? clients.authenticateConfidential(message, form)
    : clients.authenticate(message, form);
  if (!client.grantTypes.includes(name)) throw new OAuthProblem('unauthorized_client');
  const proof = dpop === undefined ? undefined : proofOf(message);
  const bindingKey = async () =>
    proof === undefined ? undefined : dpop?.thumbprint(proof, 'POST', url);
  return grantType.grant({ client, form, bindingKey });
}

function refuseGrantType(feature: string | undefined): never {
  if (feature === undefined) throw new OAuthProblem('unsupported_grant_type');
  throw new OAuthProblem(
    'unsupported_grant_type',
    `feature ${feature} is disabled (set ${feature}.enabled=true to enable)`,
  );
}

/** Several header lines arrive joined by commas, and no proof has one (RFC 9449 §4.3). */
function proofOf(message: IncomingMessage): string | undefined {
  return message.headers.dpop?.toString() || undefined;
}

/** Success or refusal, a client that uses DPoP is given the nonce for its next request. */
function nonceHeader(
  dpop: DPoPCheck | undefined,
  message: IncomingMessage,
): Readonly<Record<string, string>> {
  if (dpop === undefined || proofOf(message) === undefined) return {};
  return { 'DPoP-Nonce': dpop.issueNonce() };
}

function withHeaders(reply: Reply, headers: Readonly<Record<string, string>>): Reply {
  return { ...reply, headers: { ...reply.headers, ...headers } };
}
