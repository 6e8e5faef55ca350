import type { ClientOptions } from './clients.js';
import type { ResourceOptions } from './resources.js';
import type { SigningAlgorithm } from './signing-keys.js';

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
  readonly resources?: readonly ResourceOptions[];
  /** Clients that need not register. Default: none. */
  readonly clients?: readonly ClientOptions[];
  /**
   * Who approves authorization requests without being asked: `true` is `user-1`, a string is that
   * user. Default `false`: a page asks.
   */
  readonly autoApprove?: boolean | string;
  /** An authorization request must name scopes if there are any. Default `true`. */
  readonly requireScope?: boolean;
  /** Default 900, and 3600 for `client_credentials`. */
  readonly accessTokenTtlSeconds?: number;
  /** Refresh tokens for clients that are registered for them. Default `true`. */
  readonly issueRefreshTokens?: boolean;
  /** The clock, in seconds since the epoch. Default: the real one. */
  readonly now?: () => number;
}
