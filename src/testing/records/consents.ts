import { PATHS } from '../http/paths.js';
import { OAuthProblem } from '../http/oauth-problem.js';
import type { Resource } from './resources.js';

/** How an exchange without the user's consent is refused. */
export interface ConsentRefusal {
  /** Default `consent_missing`. */
  readonly cause?: 'consent_missing' | 'scope_insufficient';
  /**
   * `connect`: the `consent_url` is the page where the user connects an account. `authorize`: it
   * only hints at an authorization request for the resource. Default: as AuthPlane does, `connect`
   * for a broker resource and `authorize` for any other.
   */
  readonly flavour?: 'connect' | 'authorize';
  /** Leaves `consent_url` out, as when AuthPlane cannot tell its own address. */
  readonly withoutUrl?: boolean;
  /** Leaves `cause` out, as old servers do. */
  readonly withoutCause?: boolean;
}

/** A user and a resource, named by slug or URI. Without a user it is every user. */
export interface ConsentSubject {
  /** Whose consent. Default: everybody's. */
  readonly user?: string;
  /** Slug or URI of the resource the consent is for. */
  readonly resource: string;
}

/** What needs consent, and how exchanges are refused until it is given. */
export type ConsentRequirement = ConsentSubject & ConsentRefusal;

type ConsentState = 'given' | ConsentRefusal;

interface ResourceConsents {
  everybody: ConsentState | undefined;
  readonly users: Map<string, ConsentState>;
}

/**
 * Who agreed to what. A broker resource needs the consent of each user; for any other resource it is
 * taken for granted until a test says otherwise.
 */
export class Consents {
  private readonly byUri = new Map<string, ResourceConsents>();

  constructor(private readonly issuer: string) {}

  set(uri: string, user: string | undefined, state: ConsentState): void {
    const consents = this.of(uri);
    if (user !== undefined) {
      consents.users.set(user, state);
      return;
    }
    consents.everybody = state;
    consents.users.clear();
  }

  /** @throws OAuthProblem `consent_required` unless this user has agreed. */
  check(resource: Resource, user: string, scope: readonly string[]): void {
    const { everybody, users } = this.of(resource.uri);
    const usual = resource.backend === 'broker' ? {} : 'given';
    const state = users.get(user) ?? everybody ?? usual;
    if (state !== 'given') throw this.problem(resource, scope, state);
  }

  problem(
    resource: Resource,
    scope: readonly string[],
    { cause = 'consent_missing', flavour, withoutUrl, withoutCause }: ConsentRefusal,
  ): OAuthProblem {
    const usual = resource.backend === 'broker' ? 'connect' : 'authorize';
    const missing = cause === 'scope_insufficient' ? scope : [];
    const url =
      (flavour ?? usual) === 'connect'
        ? this.connectUrl(resource)
        : this.authorizeUrl(resource, missing);
    return new OAuthProblem('consent_required', `Authorize access to ${resource.slug}`, 400, {
      ...(withoutUrl !== true && { consent_url: url }),
      ...(withoutCause !== true && { cause }),
    });
  }

  private connectUrl({ slug, broker }: Resource): string {
    const query = new URLSearchParams({
      resource: slug,
      return_url: this.issuer + PATHS.connections,
    });
    return `${this.issuer}${PATHS.connect}${encodeURIComponent(broker.provider)}?${query}`;
  }

  /** Not an address of this server: the route is `/oauth/authorize`, and AuthPlane says this. */
  private authorizeUrl({ slug }: Resource, missing: readonly string[]): string {
    const scope = missing.length > 0 ? { scope: missing.join(' ') } : {};
    return `${this.issuer}/authorize?${new URLSearchParams({ resource: slug, ...scope })}`;
  }

  private of(uri: string): ResourceConsents {
    const known = this.byUri.get(uri);
    if (known !== undefined) return known;
    const fresh = { everybody: undefined, users: new Map<string, ConsentState>() };
    this.byUri.set(uri, fresh);
    return fresh;
  }
}
