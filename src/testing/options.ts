import type { RegisteredClientOptions } from './records/clients.js';
import type { FrontingOptions } from './endpoints/fronting.js';
import type { RegisteredResourceOptions } from './records/resources.js';
import type { SigningAlgorithm } from './records/signing-keys.js';

/** What an operator may switch off. Each is on by default. */
export interface FeatureOptions {
  /** The grant of RFC 8693. Default `true`. */
  readonly tokenExchange?: boolean;
  /** The grant of RFC 6749 §4.4. Default `true`. */
  readonly clientCredentials?: boolean;
  /** The endpoint of RFC 7662. Default `true`. */
  readonly introspection?: boolean;
  /** The same as the option `dpop`. Default `true`. */
  readonly dpop?: boolean;
}

/** Options of `startAuthorizationServer`. Every one has a default that suits a test. */
export interface AuthorizationServerOptions {
  /** Default `0`: any free port. A taken port rejects with Node's own `EADDRINUSE`. */
  readonly port?: number;
  /** The loopback name to listen on and to name in the issuer. Default `127.0.0.1`. */
  readonly host?: '127.0.0.1' | 'localhost';
  /** Path of the issuer, for example `/tenant`: all endpoints are below it. Default: none. */
  readonly issuerPath?: string;
  /**
   * The issuer, verbatim, for a server that is reached by another name. It wins over `host` and
   * `issuerPath`. Default `http://<host>:<port><issuerPath>`.
   */
  readonly issuer?: string;
  /** Default `ES256`. */
  readonly algorithm?: SigningAlgorithm;
  /** Default: the scopes of all resources. Empty: any scope may be asked for. */
  readonly scopesSupported?: readonly string[];
  /** When given, any other `resource` is an `invalid_target`. Default: any resource will do. */
  readonly resources?: readonly RegisteredResourceOptions[];
  /** Clients that need not register. Default: none. */
  readonly clients?: readonly RegisteredClientOptions[];
  /**
   * Who approves authorization requests without being asked: `true` is `user-1`, a string is that
   * user. Default `false`: a page asks.
   */
  readonly autoApprove?: boolean | string;
  /** An authorization request must name scopes if there are any. Default `true`. */
  readonly requireScope?: boolean;
  /** Default 900, and 3600 for `client_credentials` and token exchange. */
  readonly accessTokenTtlSeconds?: number;
  /** Refresh tokens for clients that are registered for them. Default `true`. */
  readonly issueRefreshTokens?: boolean;
  /** Off: the grant, the endpoint or the metadata member is gone. Default: all on. */
  readonly features?: FeatureOptions;
  /** Bind tokens to the key of a DPoP proof. Off: proofs are disregarded. Default `true`. */
  readonly dpop?: boolean;
  /**
   * A proof must carry a nonce of this server. As with AuthPlane the challenge comes after a code or
   * a refresh token was spent, so a client must know the nonce before. Default `false`.
   */
  readonly dpopRequireNonce?: boolean;
  /** How far the `iat` of a proof may be from now, either way. Default 60. */
  readonly dpopProofLifetimeSeconds?: number;
  /** Gateways that may exchange their tokens for other resources. Default: none. */
  readonly fronting?: readonly FrontingOptions[];
  /** A client may exchange its own token without a `resource`. Default `false`. */
  readonly allowSelfExchange?: boolean;
  /**
   * Where `/connect/<provider>` may send a user back to: exact URLs, or any port and path as in
   * `http://localhost:*`. Default: `http://localhost:*` and `http://127.0.0.1:*`.
   */
  readonly connectReturnUrls?: readonly string[];
  /** The clock, in seconds since the epoch. Default: the real one. */
  readonly now?: () => number;
}
