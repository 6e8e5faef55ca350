import { isTable } from './lib/option-checks.js';

/** Where the root document stands, for clients that do not look below it (RFC 9728 §3). */
export const ROOT_METADATA_PATH = '/.well-known/oauth-protected-resource';

/** Members that may carry a language tag (RFC 9728 §2.1). */
type Localized<Name extends string> = {
  readonly [member in Name | `${Name}#${string}`]?: string;
};

/**
 * What people may be shown of a resource (RFC 9728 §2): its name, and the URLs of its documentation, of
 * the rules for clients, and of its terms of service. With a language tag behind `#` the member is in
 * that language (§2.1): `'resource_name#de'`.
 */
export type ResourceDescription = Localized<
  'resource_name' | 'resource_documentation' | 'resource_policy_uri' | 'resource_tos_uri'
>;

/** Protected resource metadata (RFC 9728 §2). */
export interface ProtectedResourceMetadata extends ResourceDescription {
  /** The resource URI: the audience of its tokens, and what clients send as `resource` (RFC 8707). */
  readonly resource: string;
  /** Issuers of tokens for it. */
  readonly authorization_servers: readonly string[];
  /** The option `scopes`; absent when it is empty. */
  readonly scopes_supported?: readonly string[];
  /** `["header"]`: tokens in the query or the body are refused. */
  readonly bearer_methods_supported: readonly string[];
  /** Algorithms of proofs; absent when DPoP is off. */
  readonly dpop_signing_alg_values_supported?: readonly string[];
  /** The option `inboundDPoP.required`; absent when DPoP is off. */
  readonly dpop_bound_access_tokens_required?: boolean;
}

/** What the document is about. */
interface DescribedResource {
  readonly resource: string;
  readonly scopes: readonly string[];
  /** `undefined`: it takes no proofs. */
  readonly inboundDPoP:
    { readonly allowedProofAlgorithms: readonly string[]; readonly required: boolean } | undefined;
  readonly resourceMetadata?: ResourceDescription;
}

/** RFC 9728 §2; a list without entries is left out (§3.2). */
export function protectedResourceMetadata(
  issuer: string,
  { resource, scopes, inboundDPoP, resourceMetadata = {} }: DescribedResource,
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
    ...resourceMetadata,
  });
}

/**
 * Where challenges say that the document is: the well-known segment stands between host and path. A
 * final slash is dropped, as MCP clients do.
 */
export function resourceMetadataPath(resource: string): string {
  return `${ROOT_METADATA_PATH}${withoutFinalSlash(new URL(resource).pathname)}`;
}

/** Wherever clients look: RFC 9728 §3.1 drops only a slash behind the host. */
export function resourceMetadataPaths(resource: string): string[] {
  const { pathname } = new URL(resource);
  const exact = pathname === '/' ? '' : pathname;
  return [...new Set([resourceMetadataPath(resource), `${ROOT_METADATA_PATH}${exact}`])];
}

function withoutFinalSlash(path: string): string {
  let end = path.length;
  while (path[end - 1] === '/') end--;
  return path.slice(0, end);
}

export function resourceMetadataUrl(resource: string): string {
  const { origin, search } = new URL(resource);
  return `${origin}${resourceMetadataPath(resource)}${search}`;
}

/** One of the members, and the language tag of a variant (RFC 5646 §2.1, as far as letters go). */
const DESCRIPTION_MEMBER =
  /^resource_(?:name|documentation|policy_uri|tos_uri)(?:#[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,8})?$/;
const MAX_DESCRIPTION = 1024;

/** What is wrong with a {@link ResourceDescription}, or nothing. */
export function descriptionProblem(value: unknown, devMode: boolean): string | undefined {
  if (!isTable(value)) return 'must be an object';
  const problems = Object.entries(value).map(([name, text]) => memberProblem(name, text, devMode));
  return problems.filter((problem) => problem !== undefined).join('; ') || undefined;
}

function memberProblem(name: string, text: unknown, devMode: boolean): string | undefined {
  if (!DESCRIPTION_MEMBER.test(name)) {
    return (
      `"${name.slice(0, 100)}" is none of resource_name, resource_documentation, resource_policy_uri ` +
      'and resource_tos_uri, with or without "#" and a language tag'
    );
  }
  if (typeof text !== 'string' || text === '' || text.length > MAX_DESCRIPTION) {
    return `${name}: must be a text of 1 to ${MAX_DESCRIPTION} characters`;
  }
  if (name.startsWith('resource_name')) return undefined;
  const protocol = URL.canParse(text) ? new URL(text).protocol : undefined;
  const isWebPage = protocol === 'https:' || (devMode && protocol === 'http:');
  return isWebPage ? undefined : `${name}: must be an absolute https URL of a page`;
}
