import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const page = readFileSync('docs/from-python.md', 'utf8');
const surface = ['index', 'core', 'mcp', 'redis', 'testing']
  .map((entry) => readFileSync(`api/${entry}.api.md`, 'utf8'))
  .join('\n');
const rows = [...page.matchAll(/^\| (.+) \|$/gm)]
  .map(([, row = '']) => row.split(/ +\| +/))
  .filter(([first = '']) => !/^-+$/.test(first.trim()));

/** What the three packages export, and the options of their factories. */
const NAMES = `
  authplane_auth AuthplaneTokenVerifier VerbatimPRMRemoteAuthProvider install_request_context
  rewrite_prm_routes_verbatim get_current_request AuthplaneRequestContextMiddleware require_scope require_scopes
  to_url_elicitation_required_error get_access_token CurrentAccessToken ASCredentials AuthProvider
  ClientCredentialsProvider InboundDPoPOptions DPoPProvider DPoPKeyMaterial DPoPNonceStore InMemoryDPoPNonceStore
  DPoPReplayStore InMemoryDPoPReplayStore IntrospectionRevocation RevocationChecker FetchSettings TokenCache
  TokenExchangeOptions TokenResponse IntrospectionResponse VerifiedClaims VerifiedDPoPProof
  issuer base_url mcp_path resource scopes dev_mode as_credentials enforce_scopes_on_all_requests inbound_dpop
  dpop revocation_checker fail_closed clock_skew_seconds allowed_algorithms jwks_refresh_seconds
  metadata_refresh_seconds cache_ttl_buffer_seconds default_ttl_seconds cache_max_entries
  circuit_breaker_threshold circuit_breaker_cooldown_seconds resource_metadata_url aclose
  client_credentials exchange introspect revoke dpop_headers verify prm_response prm_url
  has_scope has_claim may_act cnf_jkt agent_id agent_chain service_id cause_detail consent_url describe
  http_status www_authenticate response_headers_for www_authenticate_challenges verbose_description
  read_dpop_header_from_scope raw_request_path_from_scope get_or_create_verify_cache_from_scope
  validate_issuer_identifier validate_prm_resource_identifier validate_resource_metadata_url
  AuthplaneError AuthError TokenMissingError TokenExpiredError InvalidSignatureError InvalidClaimsError
  InsufficientScopeError TokenRevokedError ConsentRequiredError AccessDeniedError InvalidTargetError
  InvalidClientError InvalidGrantError InvalidScopeError UnauthorizedClientError UnsupportedGrantTypeError
  InvalidRequestError ServerError CircuitOpenError ProtocolError JWKSFetchError MetadataFetchError
  MissingMetadataEndpointError InvalidIssuerError InvalidResourceError VerifierRuntimeError
  AUTHPLANE_ISSUER AUTHPLANE_BASE_URL AUTHPLANE_DEV_MODE
`
  .trim()
  .split(/\s+/);

describe('12.10: from Python to Nest', () => {
  test('has every name of the Python packages', () => {
    const words = new Set(page.match(/\w+/g));
    expect(NAMES.filter((name) => !words.has(name))).toEqual([]);
  });

  test('every name that it gives in exchange is one of this package', () => {
    const named = rows
      .filter(({ length }) => length === 3)
      .flatMap(([, here = '']) => [...here.matchAll(/`@?([A-Za-z]+)/g)])
      .map(([, name = '']) => name)
      .filter((name) => !OTHERS.has(name));
    expect(named.length).toBeGreaterThan(60);
    const words = new Set(surface.match(/\w+/g));
    expect(named.filter((name) => !words.has(name))).toEqual([]);
  });

  test.each([
    ['a bound token as `Authorization: Bearer`', /401/],
    ['introspection is away', /503/],
    ['`/mcp/`, with a slash at the end', /Express, 404 on Fastify/],
  ])('says what is different: %s', (subject, here) => {
    const row = rows.find(([first = '']) => first.startsWith(subject));
    expect(row?.[2]).toMatch(here);
  });
});

/** Of Nest, of the SDK, of the environment, of the wire. */
const OTHERS: ReadonlySet<string> = new Set(
  'app auth client UseGuards claims extra true false raw error realm scope AUTHPLANE ProtocolError insufficient DPoP'.split(
    ' ',
  ),
);
