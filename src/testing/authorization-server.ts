import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { JWK } from 'jose';

import type { TokenClaims, TokenHeader } from './records/access-tokens.js';
import { DEFAULT_USER } from './endpoints/authorize-endpoint.js';
import type { ConsentRequirement, ConsentSubject } from './records/consents.js';
import { deploy, issueToken } from './deployment.js';
import { metadataPaths } from './endpoints/discovery.js';
import { PATHS } from './http/paths.js';
import { Faults, type EndpointName, type Fault } from './http/faults.js';
import type { GrantRequestCounts } from './records/grant-counter.js';
import type { AuthorizationServerOptions } from './options.js';
import { Documents, routesOf } from './routes.js';
import { RequestCounter, router, type RequestCounts } from './http/router.js';
import { jtiOf } from './records/token-claims.js';
import {
  SigningKeys,
  type RotateKeysOptions,
  type SigningAlgorithm,
} from './records/signing-keys.js';

/** How a user answers the approval page. */
export interface UserDecision {
  /** Default `user-1`. */
  readonly user?: string;
  /** Default `approve`. */
  readonly decision?: 'approve' | 'deny';
}

/** A running stand-in; made by {@link startAuthorizationServer}. */
export interface StandInAuthorizationServer {
  /** `iss` of its tokens, and what the option `issuer` takes. */
  readonly issuer: string;
  /** Where RFC 8414 puts the metadata of this issuer. */
  readonly metadataUrl: string;
  /** `jwks_uri` of its metadata. */
  readonly jwksUri: string;
  /** A second address with the same keys, counted as `jwks-moved`, for a `jwks_uri` that moves. */
  readonly movedJwksUri: string;

  /**
   * Signs an access token with the current key. Without arguments it is one that AuthPlane would
   * issue: to `user-1` and `client-1`, for the first registered resource (else the issuer), with no
   * scope. Each claim and header member given replaces that default, right or wrong; one given as
   * `undefined` is left out.
   *
   * @example
   * const expired = await server.issueToken({ aud: [resource], scope: 'tools/query', exp: 1 });
   */
  issueToken(claims?: TokenClaims, header?: TokenHeader): Promise<string>;

  /** Makes a new key, which signs from now on. By default both it and the last one are published. */
  rotateKeys(options?: RotateKeysOptions): Promise<{ kid: string; alg: SigningAlgorithm }>;
  /** Publishes what `rotateKeys({ publish: false })` has held back. */
  publishKeys(): void;
  /** The published key set. */
  jwks(): { keys: JWK[] };

  /**
   * Makes an endpoint fail until told otherwise, by default with status 500; `null` heals it, and with
   * `all` every endpoint.
   *
   * @throws Error for an endpoint or a fault that does not exist.
   */
  fail(endpoint: EndpointName | 'all', fault?: Fault | null): void;
  /** Changes the metadata document; a member that is `undefined` is removed. `null` undoes it. */
  overrideMetadata(patch: Readonly<Record<string, unknown>> | null): void;
  /** Serves this JSON value as the key set, at both addresses. `null` undoes it. */
  overrideJwks(body: unknown): void;

  /**
   * Answers the approval page in place of a user: posts its form to the authorization URL and gives
   * the callback URL to which the browser would be sent.
   *
   * @throws Error when the answer is a page and not a redirect.
   */
  approve(authorizationUrl: string | URL, decision?: UserDecision): Promise<URL>;

  /**
   * Makes token exchanges for a resource be refused with `consent_required`, until the user has
   * agreed: through {@link approveConsent}, through an authorization request for the resource, or
   * through {@link giveConsent}. Without a user it is every user. Broker resources are like that
   * from the start.
   *
   * @throws Error when the resource is not registered.
   */
  requireConsent(requirement: ConsentRequirement): void;
  /** Takes the consent of a user, or of everybody, as given. */
  giveConsent(consent: ConsentSubject): void;
  /**
   * Answers the page behind the `consent_url` of a broker resource in place of a user, and gives the
   * URL to which the browser would be sent.
   *
   * @throws Error when the answer is a page and not a redirect.
   */
  approveConsent(consentUrl: string | URL, decision?: UserDecision): Promise<URL>;
  /**
   * Makes an access token, given itself or by its `jti`, read inactive and not exchangeable.
   *
   * @throws Error when the token has no `jti`.
   */
  revokeToken(tokenOrJti: string): void;

  /** How many requests each endpoint has seen. */
  requests(): RequestCounts;
  /** Token requests by `grant_type`. A request that a fault answered was not read. */
  grantRequests(): GrantRequestCounts;
  /** How often a token was fetched from the provider of a broker resource. */
  upstreamCalls(): number;
  /** Sets the counters of requests, grants and upstream calls to zero. */
  resetCounters(): void;

  /** Drops all connections, answered or not, and stops listening. */
  close(): Promise<void>;
}

/**
 * Starts a stand-in for AuthPlane on the loopback interface, with real keys and real HTTP.
 *
 * A test double, not for production: it knows no passwords, keeps everything in memory and can be
 * told to misbehave.
 *
 * @example
 * const server = await startAuthorizationServer({ autoApprove: true });
 * const token = await server.issueToken({ aud: ['http://localhost:3000/mcp'] });
 * await server.close();
 */
export async function startAuthorizationServer(
  options: AuthorizationServerOptions = {},
): Promise<StandInAuthorizationServer> {
  const keys = await SigningKeys.create(options.algorithm ?? 'ES256');
  const http = createServer();
  const host = options.host ?? '127.0.0.1';
  const port = await listen(http, host, options.port ?? 0);
  const issuer = options.issuer ?? `http://${host}:${port}${options.issuerPath ?? ''}`;
  try {
    return serve(http, issuer, keys, options);
  } catch (error) {
    http.close();
    throw error;
  }
}

function serve(
  http: Server,
  issuer: string,
  keys: SigningKeys,
  options: AuthorizationServerOptions,
): StandInAuthorizationServer {
  const closing = new AbortController();
  const faults = new Faults(closing.signal);
  const counter = new RequestCounter();
  const documents = new Documents();
  const deployment = deploy(options, issuer, keys);
  const { consents, resources, revocations, grantCounter, upstream } = deployment;
  http.on('request', router(routesOf(deployment, documents), counter, faults));

  let closed: Promise<void> | undefined;
  return {
    issuer,
    metadataUrl: new URL(metadataPaths(issuer).rfc8414, issuer).href,
    jwksUri: issuer + PATHS.jwks,
    movedJwksUri: issuer + PATHS.movedJwks,
    issueToken: async (claims = {}, header = {}) => issueToken(deployment, claims, header),
    rotateKeys: async (rotation) => {
      await keys.rotate(rotation);
      return { kid: keys.current.kid, alg: keys.current.alg };
    },
    publishKeys: () => keys.publish(),
    jwks: () => keys.jwks(),
    fail: (endpoint, fault = 500) => faults.set(endpoint, fault),
    overrideMetadata: (patch) => (documents.metadataPatch = patch),
    overrideJwks: (body) => (documents.jwks = body),
    approve: (url, decision) => answerPage('authorization endpoint', url, decision),
    requireConsent: ({ user, resource, ...refusal }) =>
      consents.set(resources.named(resource).uri, user, refusal),
    giveConsent: ({ user, resource }) => consents.set(resources.named(resource).uri, user, 'given'),
    approveConsent: (url, decision) => answerPage('consent page', url, decision),
    revokeToken: (tokenOrJti) => revocations.revoke(jtiOf(tokenOrJti)),
    requests: () => counter.snapshot(),
    grantRequests: () => grantCounter.snapshot(),
    upstreamCalls: () => upstream.calls,
    resetCounters: () => {
      counter.reset();
      grantCounter.reset();
      upstream.reset();
    },
    close: () => (closed ??= stop(http, closing)),
  };
}

async function answerPage(
  name: string,
  url: string | URL,
  { user = DEFAULT_USER, decision = 'approve' }: UserDecision = {},
): Promise<URL> {
  const body = new URLSearchParams({ user, decision });
  const response = await fetch(url, { method: 'POST', body, redirect: 'manual' });
  await response.body?.cancel();
  const location = response.headers.get('location');
  if (location !== null) return new URL(location);
  throw new Error(`the ${name} answered ${response.status} without a redirect`);
}

async function listen(http: Server, host: string, port: number): Promise<number> {
  http.listen(port, host);
  await once(http, 'listening');
  return (http.address() as AddressInfo).port;
}

async function stop(http: Server, closing: AbortController): Promise<void> {
  closing.abort();
  const closed = once(http, 'close');
  http.close();
  http.closeAllConnections();
  await closed;
}
