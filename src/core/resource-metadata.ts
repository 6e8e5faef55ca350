import type { ResolvedResourceOptions } from './options.js';

/** Where the root document stands, for clients that do not look below it (RFC 9728 §3). */
export const ROOT_METADATA_PATH = '/.well-known/oauth-protected-resource';

/** Protected resource metadata (RFC 9728 §2). */
export interface ProtectedResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly bearer_methods_supported: readonly string[];
  readonly dpop_signing_alg_values_supported?: readonly string[];
  readonly dpop_bound_access_tokens_required?: boolean;
}

/** RFC 9728 §2; a list without entries is left out (§3.2). */
export function protectedResourceMetadata(
  issuer: string,
  {
    resource,
    scopes,
    inboundDPoP,
  }: Pick<ResolvedResourceOptions, 'resource' | 'scopes' | 'inboundDPoP'>,
): ProtectedResourceMetadata {
  return Object.freeze({
    resource,
    authorization_servers: Object.freeze([issuer]),
    ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
    bearer_methods_supported: Object.freeze(['header']),
    ...(inboundDPoP === undefined
      ? {}
      : {
          dpop_signing_alg_values_supported: inboundDPoP.allowedProofAlgorithms,
          dpop_bound_access_tokens_required: inboundDPoP.required,
        }),
  });
}

/** RFC 9728 §3.1: the well-known segment stands between host and path; a final slash is dropped. */
export function resourceMetadataPath(resource: string): string {
  return `${ROOT_METADATA_PATH}${new URL(resource).pathname.replace(/\/+$/, '')}`;
}

export function resourceMetadataUrl(resource: string): string {
  const { origin, search } = new URL(resource);
  return `${origin}${resourceMetadataPath(resource)}${search}`;
}
