import { OAuthProblem } from '../http/oauth-problem.js';

/** Who may do what with a resource; each list holds client ids. */
export interface ResourcePolicy {
  /** Who may exchange tokens for it. Empty or absent: its own subject's client may. */
  readonly exchangeClients?: readonly string[];
  /** Who runs it: may introspect its tokens and exchange them along a fronting link. */
  readonly runtimeClients?: readonly string[];
}

/** Where the tokens of a broker resource come from. */
export interface BrokerOptions {
  /** The path segment below `/connect/`. */
  readonly provider: string;
  /** What upstream says; `0` as from one that says nothing. Default 3599. */
  readonly expiresIn?: number;
}

/** A resource as an operator registers it. */
export interface RegisteredResourceOptions {
  /** The audience of its tokens, byte for byte. */
  readonly uri: string;
  /** Another name of it in token exchange. Default `resource-1` and so on, by position. */
  readonly slug?: string;
  /** Scopes that may be granted for it. */
  readonly scopes: readonly string[];
  /** `broker`: exchange gives a token of somebody else. Default: as `broker` is given or not. */
  readonly backend?: 'mint' | 'broker';
  /** Who may do what with it. Default: an empty {@link ResourcePolicy}. */
  readonly policy?: ResourcePolicy;
  /** Where its tokens come from. Default: this server mints them. */
  readonly broker?: BrokerOptions;
}

export interface Resource {
  readonly uri: string;
  readonly slug: string;
  /** `undefined` when nobody said. */
  readonly scopes: readonly string[] | undefined;
  readonly backend: 'mint' | 'broker';
  /** `undefined`: anybody, for there are no registrations. */
  readonly exchangeClients: readonly string[] | undefined;
  readonly runtimeClients: readonly string[];
  readonly broker: Required<BrokerOptions>;
}

const UPSTREAM_SECONDS = 3599;

/** The registered resources and their scopes. Without registrations any resource will do. */
export class Resources {
  readonly scopesSupported: readonly string[];
  private readonly registered: readonly Resource[] | undefined;

  constructor(
    registered: readonly RegisteredResourceOptions[] | undefined,
    scopesSupported: readonly string[] | undefined,
  ) {
    const all = registered?.flatMap(({ scopes }) => scopes) ?? [];
    this.scopesSupported = [...new Set(scopesSupported ?? all)];
    this.registered = registered?.map(registeredResource);
  }

  get first(): string | undefined {
    return this.registered?.[0]?.uri;
  }

  /** The resource whose URI is exactly this one. @throws OAuthProblem `invalid_target` */
  exactly(indicator: string): string {
    return this.lookUp(indicator, ({ uri }) => uri === indicator);
  }

  /**
   * As {@link exactly}, with {@link sameResource} as the comparison. A broker resource is nothing
   * that a user can be asked for at the authorization endpoint.
   */
  matching(indicator: string): string {
    return this.lookUp(
      indicator,
      ({ uri, backend }) => backend === 'mint' && sameResource(uri, indicator),
    );
  }

  /**
   * The resource with this slug or URI.
   *
   * @throws OAuthProblem `not_found`, or `invalid_request` when there are two.
   */
  named(name: string): Resource {
    const [found, second] = this.registered?.filter(isNamed(name)) ?? [this.unregistered(name)];
    if (second !== undefined) {
      throw new OAuthProblem('invalid_request', 'resource identifier is ambiguous');
    }
    if (found === undefined) throw new OAuthProblem('not_found');
    return found;
  }

  /** The registered resource whose tokens have this audience. */
  ofAudience(audience: string | undefined): Resource | undefined {
    return this.registered?.find(({ uri }) => uri === audience);
  }

  /** The mint resource that this client runs. */
  runBy(clientId: string): Resource | undefined {
    return this.registered?.find(
      ({ backend, runtimeClients }) => backend === 'mint' && runtimeClients.includes(clientId),
    );
  }

  /** The broker resource of a provider, when there is just one. */
  onlyOneOf(provider: string): Resource | undefined {
    const brokers = this.registered?.filter(
      ({ backend, broker }) => backend === 'broker' && broker.provider === provider,
    );
    return brokers?.length === 1 ? brokers[0] : undefined;
  }

  /** What may be asked for; `undefined` when nobody said. */
  scopesOf(resource: string | undefined): readonly string[] | undefined {
    const named = this.registered?.find(({ uri }) => uri === resource);
    if (named !== undefined) return named.scopes;
    return this.scopesSupported.length > 0 ? this.scopesSupported : undefined;
  }

  private lookUp(indicator: string, matches: (resource: Resource) => boolean): string {
    // RFC 8707 §2: an absolute URI without a fragment.
    if (!isResourceIndicator(indicator)) throw new OAuthProblem('invalid_target');
    if (this.registered === undefined) return indicator;
    const found = this.registered.find(matches);
    if (found === undefined) throw new OAuthProblem('invalid_target');
    return found.uri;
  }

  private unregistered(uri: string): Resource | undefined {
    if (!isResourceIndicator(uri)) return undefined;
    return {
      uri,
      slug: uri,
      scopes: this.scopesOf(uri),
      backend: 'mint',
      exchangeClients: undefined,
      runtimeClients: [],
      broker: { provider: 'upstream', expiresIn: UPSTREAM_SECONDS },
    };
  }
}

/** Scheme and host without regard to case; path, query and a trailing slash byte for byte. */
export function sameResource(a: string, b: string): boolean {
  return lowerCaseOrigin(a) === lowerCaseOrigin(b);
}

function registeredResource(options: RegisteredResourceOptions, index: number): Resource {
  const { uri, slug = `resource-${index + 1}`, scopes, policy = {}, broker } = options;
  return {
    uri,
    slug,
    scopes,
    backend: options.backend ?? (broker === undefined ? 'mint' : 'broker'),
    exchangeClients: policy.exchangeClients ?? [],
    runtimeClients: policy.runtimeClients ?? [],
    broker: { provider: slug, expiresIn: UPSTREAM_SECONDS, ...broker },
  };
}

function isNamed(name: string): (resource: Resource) => boolean {
  return ({ uri, slug }) => uri === name || slug === name;
}

function isResourceIndicator(uri: string): boolean {
  return URL.canParse(uri) && !uri.includes('#');
}

function lowerCaseOrigin(uri: string): string {
  return uri.replace(/^[^:/?#]+:\/\/[^/?#]*/, (origin) => origin.toLowerCase());
}
