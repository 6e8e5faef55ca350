import type { CachedUserLookup, UserLookup } from '../../core/caller-settings.js';
import type { Events } from '../../core/events.js';
import { CallbackError, OperationRefusedError } from '../../core/errors/request-errors.js';
import { sha256 } from '../../core/lib/digest.js';
import { FlightCache } from '../../core/operations/token-cache.js';
import type { AuthplaneResource } from '../../core/resource.js';
import type { Caller } from '../../core/token/caller.js';
import type { VerifiedClaims } from '../../core/token/verified-claims.js';
import { type FrameworkRequest, type RequestState, targetsOf } from '../http/request.js';
import { askApplication } from './callback.js';
import { placeOf } from './caller-place.js';

const MAX_USERS = 10_000;
/** Whoever has just signed up must not wait for long. */
const LONGEST_ABSENCE_SECONDS = 5;
/** Of one token only, and not of its caller. */
const PASSING_CLAIMS: ReadonlySet<string> = new Set(['jti', 'iat', 'nbf', 'exp']);

type Request = FrameworkRequest & { user?: unknown };

type LoadedUsers = Pick<RequestState, 'users' | 'user'>;

/** The users of the application behind the callers of one resource. */
export class AppUsers {
  readonly #option: UserLookup | CachedUserLookup;
  readonly #resource: AuthplaneResource;
  readonly #events: Pick<Events, 'emit'>;
  readonly #kept: FlightCache<unknown>;
  /** Of claims, which one token shares among its requests. */
  readonly #keys = new WeakMap<VerifiedClaims, string>();
  #hasWarned = false;

  constructor(
    option: UserLookup | CachedUserLookup,
    resource: AuthplaneResource,
    events: Pick<Events, 'emit'>,
    kept = new FlightCache<unknown>({ clock: resource.clock, maxEntries: MAX_USERS }),
  ) {
    this.#option = option;
    this.#resource = resource;
    this.#events = events;
    this.#kept = kept;
  }

  /** Those of another resource, in the same memory, which knows them by its URI. */
  at(resource: AuthplaneResource): AppUsers {
    return new AppUsers(this.#option, resource, this.#events, this.#kept);
  }

  /**
   * @throws OperationRefusedError for a caller who is nobody in the application.
   * @throws CallbackError when it cannot tell.
   */
  async of({ claims }: Pick<Caller, 'claims'>): Promise<unknown> {
    const user = await this.#loaded(claims);
    if (user !== null) return user;
    throw new OperationRefusedError('the application has no user for this caller');
  }

  /**
   * For the request, however many of its guards ask.
   *
   * @throws OperationRefusedError, CallbackError as {@link of}
   */
  async loadOnce(state: LoadedUsers, caller: Pick<Caller, 'claims'>): Promise<void> {
    state.users ??= new Map();
    const loading = state.users.get(this.#resource) ?? this.of(caller);
    state.users.set(this.#resource, loading);
    state.user = await loading;
  }

  /** In the place where the application looks, whatever stands there. */
  publish(request: FrameworkRequest, user: unknown): void {
    for (const target of targetsOf(request) as Request[]) {
      const { user: other } = target;
      if (other !== undefined && other !== null && !published.has(target)) this.#warnOnce();
      published.add(target);
      target.user = user;
    }
  }

  #loaded(claims: VerifiedClaims): Promise<unknown> {
    const option = this.#option;
    if (typeof option === 'function') return this.#ask(option, claims);
    return this.#kept.get({
      key: this.#keyOf(claims, option),
      derivedFrom: [],
      load: () => this.#ask(option.load, claims),
      keep: (user) => ({
        seconds:
          user === null
            ? Math.min(LONGEST_ABSENCE_SECONDS, option.cacheSeconds)
            : option.cacheSeconds,
      }),
    });
  }

  async #ask(load: UserLookup, claims: VerifiedClaims): Promise<unknown> {
    const user = await askApplication('user', () => load(claims, placeOf(this.#resource)));
    return isNobody(user) ? null : user;
  }

  #keyOf(claims: VerifiedClaims, { key }: CachedUserLookup): string {
    const known = this.#keys.get(claims);
    if (known !== undefined) return known;
    const { issuer, method, sub, clientId } = claims;
    const rest = key === undefined ? digestOf(claims) : textOf(key, claims);
    const made = JSON.stringify([this.#resource.resource, issuer, method, sub, clientId, rest]);
    this.#keys.set(claims, made);
    return made;
  }

  #warnOnce(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#events.emit({
      type: 'set_up',
      text: 'request.user had a value, which the result of the option user has replaced: read one of the two',
      isDoubtful: true,
    });
  }
}

/** Also what `row?.active && row` gives where one of the two is not there: whatever is falsy. */
function isNobody(user: unknown): boolean {
  return !user;
}

/** Requests whose user is ours; several guards may be on their way. */
const published = new WeakSet<object>();

function digestOf({ scopes, raw }: VerifiedClaims): string {
  const lasting = Object.entries(raw).filter(([name]) => !PASSING_CLAIMS.has(name));
  return sha256(JSON.stringify([scopes, lasting]));
}

/** @throws CallbackError */
function textOf(key: (claims: VerifiedClaims) => unknown, claims: VerifiedClaims): string {
  let text: unknown;
  try {
    text = key(claims);
  } catch (cause) {
    throw new CallbackError('user.key failed', { cause });
  }
  if (typeof text === 'string') return text;
  throw new CallbackError('user.key gave no string');
}

/**
 * The user as MCP-Nest is to see it, which reads `scopes` and `roles` there: with the scopes of the caller,
 * whatever the application has under these names. A copy; what is no object has no place for them.
 */
export function withScopesOf({ claims }: Pick<Caller, 'claims'>, user: unknown): unknown {
  if (typeof user !== 'object' || user === null) return user;
  const copy = Object.create(Object.getPrototypeOf(user) as object | null) as object;
  return Object.defineProperties(copy, {
    ...Object.getOwnPropertyDescriptors(user),
    scopes: { value: claims.scopes },
    scope: { value: claims.scopes.join(' ') },
  });
}
