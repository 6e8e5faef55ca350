import { ConfigurationError } from '../../core/errors/configuration-error.js';
import type { GatewayCaller } from './gateway-caller.js';

/** What goes to an upstream with one request. */
export interface UpstreamToken {
  /** Sent as it is. */
  readonly accessToken: string;
  /** Default `'Bearer'`. `'DPoP'` is sent with a proof of the module's signer. */
  readonly tokenType?: 'Bearer' | 'DPoP';
  /** Lifetime in seconds, for your own use: the gateway keeps no token. Default: not known. */
  readonly expiresIn?: number | undefined;
}

/** What a token is wanted for. */
export interface UpstreamTokenRequest {
  /** Name of the upstream in the options. */
  readonly upstream: string;
  /** JSON-RPC method, and the upstream's own name of the tool or prompt, or the URI. */
  readonly operation: { readonly method: string; readonly name?: string };
  /** Who calls. */
  readonly caller: GatewayCaller;
  /** The upstream has answered 401 to the token before: do not give the same one. */
  readonly retry?: true;
  /** Aborted when nobody waits for the token any more. */
  readonly signal: AbortSignal;
}

/** Asked for every request. `undefined`: the upstream is called without a token. */
export type UpstreamTokenFunction = (
  request: UpstreamTokenRequest,
) => UpstreamToken | undefined | Promise<UpstreamToken | undefined>;

/** Made by {@link exchange}. */
export interface ExchangeStrategy extends ExchangeStrategyOptions {
  /** Tells the strategies apart. */
  readonly kind: 'exchange';
}

/** Made by {@link clientCredentials}. */
export interface ClientCredentialsStrategy extends ClientCredentialsStrategyOptions {
  /** Tells the strategies apart. */
  readonly kind: 'clientCredentials';
}

/** Made by {@link none}. */
export interface NoTokenStrategy {
  /** Tells the strategies apart. */
  readonly kind: 'none';
}

/** Where the token for an upstream comes from. */
export type TokenStrategy =
  ExchangeStrategy | ClientCredentialsStrategy | NoTokenStrategy | UpstreamTokenFunction;

/** Options of {@link exchange}. */
export interface ExchangeStrategyOptions {
  /** Scopes of the upstream, separated by blanks. */
  readonly scope: string;
  /** Resource URI or slug at the authorization server. Default: that of the upstream. */
  readonly resource?: string;
  /** The token of a party that acts for the caller, an access token. Default: none. */
  readonly actor?: string | (() => string | Promise<string>);
}

/** Options of {@link clientCredentials}. */
export interface ClientCredentialsStrategyOptions {
  /** Scopes of the upstream, separated by blanks. */
  readonly scope: string;
  /** Resource URI at the authorization server. Default: that of the upstream. */
  readonly resource?: string;
}

/**
 * The caller's token is exchanged for one of the upstream (RFC 8693), for exactly this scope. Cached by
 * `AuthplaneClient`, for each caller by itself.
 */
export function exchange(options: ExchangeStrategyOptions): ExchangeStrategy {
  return Object.freeze({ ...options, kind: 'exchange' });
}

/** A token of the gateway itself (RFC 6749 §4.4), the same for all callers. */
export function clientCredentials(
  options: ClientCredentialsStrategyOptions,
): ClientCredentialsStrategy {
  return Object.freeze({ ...options, kind: 'clientCredentials' });
}

/** The upstream is called without a token. */
export function none(): NoTokenStrategy {
  return Object.freeze({ kind: 'none' });
}

type Rules = Readonly<Record<string, { readonly token?: TokenStrategy } | false>>;

/** What of an upstream says where tokens come from. */
interface TokenSources {
  readonly name: string;
  readonly token: TokenStrategy;
  readonly watch: 'streams' | TokenStrategy;
  readonly tools: Rules;
  readonly prompts: Rules;
  readonly resources: Rules;
}

/**
 * The authorization server gives tokens to clients that it knows.
 *
 * @throws ConfigurationError when one of the strategies needs a client of the application.
 */
export function requireNoCredentials(upstream: TokenSources): void {
  const { name, token, watch, tools, prompts, resources } = upstream;
  const rules = [tools, prompts, resources].flatMap((some) => Object.values(some));
  const own = watch === 'streams' ? undefined : watch;
  const strategies = [
    token,
    own,
    ...rules.map((rule) => (rule === false ? undefined : rule.token)),
  ];
  const needing = strategies.find((one) => typeof one === 'object' && one.kind !== 'none');
  if (typeof needing !== 'object') return;
  throw new ConfigurationError(
    `gateway: upstreams.${name}: token: ${needing.kind} needs a client of the gateway at the authorization ` +
      'server: set asCredentials of AuthplaneModule (AUTHPLANE_CLIENT_ID and AUTHPLANE_CLIENT_SECRET)',
  );
}
