import { isAllowedAlgorithm } from '../lib/algorithms.js';
import type { ScopeCoverage, ScopeNeeds } from '../lib/scopes.js';

/** What the authorization server says it offers; `undefined`: it does not say. */
export interface Offer {
  /** `grant_types_supported` (RFC 8414 §2). */
  readonly grants: readonly string[] | undefined;
  /** `scopes_supported` (RFC 8414 §2). */
  readonly scopes: readonly string[] | undefined;
  /** `dpop_signing_alg_values_supported` (RFC 9449 §5.1). Left out where DPoP is off. */
  readonly proofAlgorithms: readonly string[];
  /** Whether a key of the key set makes signatures of this algorithm. */
  readonly hasKeyFor: (alg: string) => boolean;
}

/** What the options want of it. */
export interface Demand {
  /** There are credentials, and nothing but tokens that they could be for. */
  readonly getsTokens: boolean;
  /** Calls to the authorization server carry proofs. */
  readonly signsProofs: boolean;
  readonly allowedAlgorithms: readonly string[];
  readonly inboundDPoP:
    { readonly required: boolean; readonly allowedProofAlgorithms: readonly string[] } | undefined;
  /** Of options and decorators. */
  readonly scopes: ScopeNeeds;
  readonly covers: ScopeCoverage;
}

const GRANTS = [
  {
    grant: 'urn:ietf:params:oauth:grant-type:token-exchange',
    what: 'token exchange (exchange and fetchAs)',
    mend: 'AUTHPLANE_TOKEN_EXCHANGE_ENABLED',
  },
  {
    grant: 'client_credentials',
    what: 'client credentials (clientCredentials)',
    mend: 'AUTHPLANE_CLIENT_CREDENTIALS_ENABLED',
  },
];

/** Settings that the authorization server does not meet, by its own documents, in sentences for a log. */
export function unmetSettings(offer: Offer, demand: Demand): string[] {
  return [
    ...unmetDPoP(offer, demand),
    ...unmetGrants(offer, demand),
    ...unmetScopes(offer, demand),
    ...unmetAlgorithms(offer, demand),
  ];
}

function unmetDPoP({ proofAlgorithms }: Offer, demand: Demand): string[] {
  const isRequired = demand.inboundDPoP?.required === true;
  if (proofAlgorithms.length > 0 || !(isRequired || demand.signsProofs)) return [];
  const consequence = isRequired
    ? 'inboundDPoP.required refuses every token that is not bound to a key'
    : 'with the option dpop issued tokens have to be bound to a key';
  return [
    `${consequence}, and the authorization server offers no DPoP: set AUTHPLANE_DPOP_ENABLED=true there`,
  ];
}

function unmetGrants({ grants }: Offer, { getsTokens }: Demand): string[] {
  if (grants === undefined || !getsTokens) return [];
  return GRANTS.filter(({ grant }) => !grants.includes(grant)).map(
    ({ what, mend }) =>
      `there are credentials for the authorization server, and it does not offer ${what}: if this server ` +
      `uses that, set ${mend}=true there`,
  );
}

function unmetScopes({ scopes: offered }: Offer, { scopes, covers }: Demand): string[] {
  if (offered === undefined) return [];
  // A client asks for offline_access, and what a resource has to do with it is said elsewhere.
  const isMissing = (scope: string): boolean =>
    scope !== 'offline_access' && !covers(offered, scope);
  // Of alternatives one is enough.
  const groups = scopes.anyOf.filter((group) => group.every(isMissing)).flat();
  const missing = new Set([...scopes.all.filter(isMissing), ...groups]);
  if (missing.size === 0) return [];
  return [
    `the authorization server does not know the scopes ${[...missing].join(' ')} (scopes_supported): ` +
      `nobody can get a token with them. Register them there with this resource, or correct their names`,
  ];
}

function unmetAlgorithms(offer: Offer, { allowedAlgorithms, inboundDPoP }: Demand): string[] {
  const { proofAlgorithms, hasKeyFor } = offer;
  const ofProofs = inboundDPoP?.allowedProofAlgorithms ?? [];
  const haveProofsInCommon =
    inboundDPoP === undefined ||
    proofAlgorithms.length === 0 ||
    proofAlgorithms.some((alg) => isAllowedAlgorithm(alg, ofProofs));
  return [
    ...(allowedAlgorithms.some(hasKeyFor)
      ? []
      : [
          `no key of the authorization server signs with any of allowedAlgorithms ` +
            `(${allowedAlgorithms.join(' ')}): every token would be refused. Add the algorithm of its keys`,
        ]),
    ...(haveProofsInCommon
      ? []
      : [
          `the authorization server takes DPoP proofs with ${proofAlgorithms.join(' ')}, and ` +
            `inboundDPoP.allowedProofAlgorithms has none of them: no client can use one key for both`,
        ]),
  ];
}
