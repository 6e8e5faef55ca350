import { PATHS } from '../http/paths.js';
import { json, type Reply } from '../http/reply.js';

const SECRET_METHODS = ['client_secret_basic', 'client_secret_post'];
const AUTH_METHODS = ['none', ...SECRET_METHODS];

export interface Capabilities {
  readonly grantTypes: readonly string[];
  readonly scopesSupported: readonly string[];
  readonly introspection: boolean;
  /** None: DPoP is off. */
  readonly dpopAlgorithms: readonly string[];
}

/** The metadata document (RFC 8414 §2) with the members of AuthPlane 0.2.x that are really offered. */
export function authorizationServerMetadata(
  issuer: string,
  { grantTypes, scopesSupported, introspection, dpopAlgorithms }: Capabilities,
): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: issuer + PATHS.authorize,
    token_endpoint: issuer + PATHS.token,
    registration_endpoint: issuer + PATHS.register,
    revocation_endpoint: issuer + PATHS.revoke,
    ...(introspection && { introspection_endpoint: issuer + PATHS.introspect }),
    jwks_uri: issuer + PATHS.jwks,
    response_types_supported: ['code'],
    grant_types_supported: grantTypes,
    token_endpoint_auth_methods_supported: AUTH_METHODS,
    ...(introspection && { introspection_endpoint_auth_methods_supported: SECRET_METHODS }),
    revocation_endpoint_auth_methods_supported: AUTH_METHODS,
    code_challenge_methods_supported: ['S256'],
    ...(scopesSupported.length > 0 && { scopes_supported: scopesSupported }),
    resource_indicators_supported: true,
    authorization_response_iss_parameter_supported: true,
    ...(dpopAlgorithms.length > 0 && { dpop_signing_alg_values_supported: dpopAlgorithms }),
  };
}

/**
 * The paths at which clients look for the metadata of this issuer: inserted before the issuer's own
 * path (RFC 8414 §3.1), and for OpenID Connect Discovery also after it (RFC 8414 §5).
 */
export function metadataPaths(issuer: string): { rfc8414: string; openid: readonly string[] } {
  const path = new URL(issuer).pathname.replace(/\/$/, '');
  return {
    rfc8414: `/.well-known/oauth-authorization-server${path}`,
    openid: [
      `/.well-known/openid-configuration${path}`,
      `${path}/.well-known/openid-configuration`,
    ],
  };
}

export function cacheableJson(document: unknown): Reply {
  return json(200, document, { 'Cache-Control': 'public, max-age=3600' });
}
