import { setTimeout as delay } from 'node:timers/promises';
import { AuthorizationServer } from './authorization-server.js';
import { AuthorizationServerUnavailableError } from './errors.js';
import { OutboundHttp } from './http.js';
import { Jwks } from './jwks.js';
import {
  type ClientOptions,
  resolveClientOptions,
  type ResolvedClientOptions,
  type ResolvedResourceOptions,
  resolveResourceOptions,
  type ResourceOptions,
} from './options.js';
import { AuthplaneResource } from './resource.js';

/** A lazy start waits this long for the authorization server before it goes on without. */
const LAZY_START_SECONDS = 3;

/**
 * The connection to the authorization server: discovery and keys, kept fresh in the background.
 * Close it when you are done.
 */
export class AuthplaneClient {
  readonly issuer: string;
  readonly #options: ResolvedClientOptions;
  readonly #http: OutboundHttp;
  readonly #authorizationServer: AuthorizationServer;
  readonly #jwks: Jwks;

  /** @internal Use {@link create}; the Nest module makes its own. */
  constructor(options: ResolvedClientOptions) {
    this.issuer = options.issuer;
    this.#options = options;
    this.#http = new OutboundHttp({
      devMode: options.devMode,
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    });
    this.#authorizationServer = new AuthorizationServer(options, this.#http, () =>
      this.#jwks.reload(),
    );
    this.#jwks = new Jwks(options, this.#http, this.#authorizationServer);
  }

  /**
   * A client that is ready: metadata (RFC 8414) and key set have been read. With `startup: 'lazy'`
   * it may not be ready yet and goes on trying in the background.
   *
   * @throws ConfigurationError for wrong options.
   * @throws MetadataFetchError, JWKSFetchError, MissingMetadataEndpointError
   */
  static async create(options: ClientOptions): Promise<AuthplaneClient> {
    const client = new AuthplaneClient(resolveClientOptions(options));
    try {
      await client.start();
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  /** A protected resource whose tokens this authorization server issues. @throws ConfigurationError */
  resource(options: ResourceOptions): AuthplaneResource {
    return this.resolvedResource(resolveResourceOptions(options, this.#options.devMode));
  }

  /** @internal For options that have been checked. */
  resolvedResource(options: ResolvedResourceOptions): AuthplaneResource {
    const { issuer } = this;
    return new AuthplaneResource({ issuer, jwks: this.#jwks, clock: this.#options.clock }, options);
  }

  /** Keys are in hand and fresh enough to verify tokens with. */
  get isReady(): boolean {
    return this.#jwks.isReady;
  }

  /** @internal First load; see `startup`. Nothing needs it before a token can be verified. */
  async start(): Promise<void> {
    try {
      await (this.#options.startup === 'lazy' ? this.#readyOrLater() : this.#jwks.ready());
    } catch (error) {
      const unreachable =
        error instanceof AuthorizationServerUnavailableError && !error.wrongServer;
      if (this.#options.startup === 'eager' || !unreachable) throw error;
      this.#options.onBackgroundFailure?.(error);
    }
  }

  /** Stops all background work and closes idle connections. Verification goes on with the keys in hand. */
  close(): void {
    this.#authorizationServer.close();
    this.#jwks.close();
    this.#http.close();
  }

  async #readyOrLater(): Promise<void> {
    const enough = new AbortController();
    const waited = delay(LAZY_START_SECONDS * 1000, undefined, { signal: enough.signal }).catch(
      () => undefined, // aborted: the answer came first
    );
    try {
      await Promise.race([this.#jwks.ready(), waited]);
    } finally {
      enough.abort();
    }
  }
}
