import type { AuthplaneClient } from '../../core/client.js';
import { ConfigurationError } from '../../core/errors/configuration-error.js';
import {
  AccessDeniedError,
  ConsentRequiredError,
  InvalidScopeError,
  InvalidTargetError,
  OAuthError,
} from '../../core/errors/oauth-errors.js';
import {
  AuthorizationServerUnavailableError,
  ProtocolError,
} from '../../core/errors/server-errors.js';
import { within } from '../../core/lib/deadline.js';
import type { GatewayCaller } from '../options/gateway-caller.js';
import type {
  TokenStrategy,
  UpstreamToken,
  UpstreamTokenFunction,
} from '../options/token-strategy.js';
import type { ResolvedUpstream } from '../options/upstream-options.js';
import { UpstreamError } from '../wire/gateway-errors.js';

/** What is to be done, for the strategy. */
export interface TokenNeed {
  readonly strategy: TokenStrategy;
  readonly caller: GatewayCaller;
  readonly operation: { readonly method: string; readonly name?: string };
  readonly signal: AbortSignal;
  /** Of a call that is several requests: they are made with the same token. Default: none are kept. */
  readonly held?: HeldTokens | undefined;
}

/** Tokens of one call, as long as it lasts. A function is asked for each request, whose operation it is told. */
export class HeldTokens {
  readonly #tokens = new Map<TokenStrategy, UpstreamToken>();

  get({ strategy }: TokenNeed): UpstreamToken | undefined {
    return this.#tokens.get(strategy);
  }

  keep({ strategy }: TokenNeed, token: UpstreamToken | undefined): void {
    if (token !== undefined && typeof strategy !== 'function') this.#tokens.set(strategy, token);
  }
}

type Client = Pick<AuthplaneClient, 'exchange' | 'clientCredentials' | 'evictRefused'>;

/** A function of the application has as long. */
const FUNCTION_TIMEOUT_MS = 10_000;

/** Tokens for one upstream. None is kept here: what is cached is cached by the client, for its caller. */
export class UpstreamTokens {
  readonly #client: Client;
  readonly #upstream: Pick<ResolvedUpstream, 'name' | 'resource'>;

  constructor(client: Client, upstream: Pick<ResolvedUpstream, 'name' | 'resource'>) {
    this.#client = client;
    this.#upstream = upstream;
  }

  /**
   * @throws ConsentRequiredError, AuthorizationServerUnavailableError, TokenExpiredError
   * @throws UpstreamError `upstream_refused` for every other refusal of the authorization server
   */
  async tokenFor(need: TokenNeed): Promise<UpstreamToken | undefined> {
    const held = need.held?.get(need);
    if (held !== undefined) return held;
    const token = this.#checked(await this.#get(need, false), need);
    need.held?.keep(need, token);
    return token;
  }

  /** Another one after `refused` was answered with 401; `undefined`: there is none. */
  async tokenAfter(refused: UpstreamToken, need: TokenNeed): Promise<UpstreamToken | undefined> {
    if (typeof need.strategy !== 'function') this.#client.evictRefused(refused.accessToken);
    const next = this.#checked(await this.#get(need, true), need);
    need.held?.keep(need, next);
    return next?.accessToken === refused.accessToken ? undefined : next;
  }

  async #get(need: TokenNeed, retry: boolean): Promise<UpstreamToken | undefined> {
    const { strategy } = need;
    if (typeof strategy === 'function') return this.#fromFunction(strategy, need, retry);
    if (strategy.kind === 'none') return undefined;
    try {
      return await this.#fromServer(strategy, need);
    } catch (error) {
      throw this.#refusal(error, strategy);
    }
  }

  async #fromServer(
    strategy: Exclude<TokenStrategy, UpstreamTokenFunction>,
    { caller, signal }: TokenNeed,
  ): Promise<UpstreamToken | undefined> {
    if (strategy.kind === 'none') return undefined;
    const { scope, resource = this.#upstream.resource } = strategy;
    const resources = [resource];
    if (strategy.kind === 'clientCredentials') {
      return this.#client.clientCredentials({ scopes: scope.split(' '), resources, signal });
    }
    if (caller.token === '') throw this.#refused('the caller has no access token to exchange');
    const { actor } = strategy;
    const actorToken = typeof actor === 'function' ? await this.#timed(actor) : actor;
    return this.#client.exchange({
      subjectToken: caller.token,
      resources,
      scope,
      signal,
      ...(actorToken === undefined ? {} : { actorToken }),
    });
  }

  #fromFunction(
    strategy: UpstreamTokenFunction,
    { caller: { claims, token }, operation, signal }: TokenNeed,
    retry: boolean,
  ): Promise<UpstreamToken | undefined> {
    const { name: upstream } = this.#upstream;
    // Of its own: what it writes there changes no call, and not what is compared with its answer.
    const request = { upstream, operation: { ...operation }, caller: { claims, token }, signal };
    return this.#timed(() => strategy(retry ? { ...request, retry } : request));
  }

  #timed<T>(ask: () => T | Promise<T>): Promise<T> {
    return within(
      FUNCTION_TIMEOUT_MS,
      async () => ask(),
      () =>
        new AuthorizationServerUnavailableError(
          `gateway: the token function for ${this.#upstream.name} gave no answer in time`,
        ),
    );
  }

  /** What a function of the application gives may be anything. */
  #checked(token: UpstreamToken | undefined, { caller }: TokenNeed): UpstreamToken | undefined {
    if (token === undefined) return undefined;
    const { accessToken, tokenType = 'Bearer' } = token;
    if (typeof accessToken !== 'string' || !isToken(accessToken)) {
      throw new ConfigurationError(`gateway: the token for ${this.#upstream.name} is none`);
    }
    if (tokenType !== 'Bearer' && tokenType !== 'DPoP') {
      throw new ConfigurationError(
        `gateway: the token for ${this.#upstream.name} has another type than Bearer and DPoP`,
      );
    }
    if (accessToken !== caller.token) return token;
    throw new ConfigurationError(
      `gateway: the token for ${this.#upstream.name} is the inbound one, which must not be passed on`,
    );
  }

  /** What of the authorization server's answers says that this caller gets nothing for this upstream. */
  #refusal(error: unknown, strategy: Exclude<TokenStrategy, UpstreamTokenFunction>): unknown {
    if (error instanceof ConsentRequiredError) return error;
    const isOutage =
      error instanceof OAuthError && (error.statusCode === 429 || error.statusCode >= 500);
    const isRefusal = error instanceof OAuthError || error instanceof ProtocolError;
    if (isOutage || !isRefusal) return error;
    return this.#refused(error.message + this.#adviceFor(error, strategy), error);
  }

  /** What an operator looks at, who knows neither the caller's scopes nor which of them stands for what. */
  #adviceFor(error: Error, strategy: Exclude<TokenStrategy, UpstreamTokenFunction>): string {
    if (strategy.kind === 'none') return '';
    const { scope, resource = this.#upstream.resource } = strategy;
    if (isAboutTarget(error)) {
      return `; register "${resource}" there, or say with resource by which URI it is known`;
    }
    if (!(error instanceof InvalidScopeError || error instanceof AccessDeniedError)) return '';
    return strategy.kind === 'exchange'
      ? `; a fronting link has to lead from a scope of the caller's token to "${scope}"`
      : `; the client of the gateway has to have "${scope}" there`;
  }

  #refused(reason: string, cause: unknown = 'no token'): UpstreamError {
    const { name: upstream } = this.#upstream;
    const options = { code: 'upstream_refused', upstream, cause } as const;
    return new UpstreamError(`${upstream}: ${reason}`, options);
  }
}

/** RFC 8707 §2; AuthPlane says `not_found` of what is not registered. */
function isAboutTarget(error: Error): boolean {
  return (
    error instanceof InvalidTargetError ||
    (error instanceof OAuthError && error.error === 'not_found')
  );
}

/** What may stand in the header (RFC 6750 §2.1), and no more. */
function isToken(text: string): boolean {
  if (text === '') return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x21 || code > 0x7e) return false;
  }
  return true;
}
