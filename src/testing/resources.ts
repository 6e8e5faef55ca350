import { OAuthProblem } from './oauth-problem.js';

/** A resource as an operator registers it. */
export interface ResourceOptions {
  /** The audience of its tokens, byte for byte. */
  readonly uri: string;
  readonly scopes: readonly string[];
}

/** The registered resources and their scopes. Without registrations any resource will do. */
export class Resources {
  readonly scopesSupported: readonly string[];

  constructor(
    private readonly registered: readonly ResourceOptions[] | undefined,
    scopesSupported: readonly string[] | undefined,
  ) {
    const all = registered?.flatMap(({ scopes }) => scopes) ?? [];
    this.scopesSupported = [...new Set(scopesSupported ?? all)];
  }

  get first(): string | undefined {
    return this.registered?.[0]?.uri;
  }

  /** The resource whose URI is exactly this one. @throws OAuthProblem `invalid_target` */
  exactly(indicator: string): string {
    return this.lookUp(indicator, (uri) => uri === indicator);
  }

  /** As {@link exactly}, with {@link sameResource} as the comparison. */
  matching(indicator: string): string {
    return this.lookUp(indicator, (uri) => sameResource(uri, indicator));
  }

  /** What may be asked for; `undefined` when nobody said. */
  scopesOf(resource: string | undefined): readonly string[] | undefined {
    const named = this.registered?.find(({ uri }) => uri === resource);
    if (named !== undefined) return named.scopes;
    return this.scopesSupported.length > 0 ? this.scopesSupported : undefined;
  }

  private lookUp(indicator: string, matches: (uri: string) => boolean): string {
    // RFC 8707 §2: an absolute URI without a fragment.
    if (!URL.canParse(indicator) || indicator.includes('#')) {
      throw new OAuthProblem('invalid_target');
    }
    if (this.registered === undefined) return indicator;
    const found = this.registered.find(({ uri }) => matches(uri));
    if (found === undefined) throw new OAuthProblem('invalid_target');
    return found.uri;
  }
}

/** Scheme and host without regard to case; path, query and a trailing slash byte for byte. */
export function sameResource(a: string, b: string): boolean {
  return lowerCaseOrigin(a) === lowerCaseOrigin(b);
}

function lowerCaseOrigin(uri: string): string {
  return uri.replace(/^[^:/?#]+:\/\/[^/?#]*/, (origin) => origin.toLowerCase());
}
