import { isStandIn } from '../names/stand-ins.js';
import { quoted } from '../../core/lib/text.js';
import type { UpstreamError } from '../wire/gateway-errors.js';
import type { Upstream } from '../upstream/upstream.js';
import type { Catalogue, ListReader } from './catalogue.js';
import { type ListKind, LISTS, type ListShape } from './list-kinds.js';
import type { Item, StoredList } from './stored-list.js';

/** Where an operation goes. */
export interface Route {
  readonly upstream: Upstream;
  readonly item: Item;
}

type Find = (list: StoredList) => Item | undefined;

/** Why one of the lists is not there in which something may be. */
interface ListFailure {
  readonly upstream: string;
  readonly error: unknown;
}

function failedAt({ upstream, error }: ListFailure, reader: ListReader): unknown {
  reader.onRoute?.(upstream);
  return error;
}

function blocked({ upstream, item }: Route): UpstreamError {
  const reason = `the tool ${quoted(item.own)} is not the one that was reviewed (pins)`;
  return upstream.error('upstream_unavailable', reason, { maybeExecuted: false });
}

/**
 * From exposed names and URIs to upstreams, by the lists of the caller who asks: a name that is not in
 * them leads nowhere, and nothing is sent. Names are looked up, never taken apart.
 */
export class RoutingTable {
  readonly #upstreams: (kind: ListKind) => readonly Upstream[];
  readonly #catalogue: Catalogue;

  /** @param upstreams that offer something of a kind; of tools the gateway itself comes first. */
  constructor(upstreams: (kind: ListKind) => readonly Upstream[], catalogue: Catalogue) {
    this.#upstreams = upstreams;
    this.#catalogue = catalogue;
  }

  /**
   * An upstream without a prefix may have any name; it is asked for one only that those with this prefix do not have,
   * so that calls of theirs do not wait for it.
   *
   * @returns `undefined` for a name that nothing has, or that two have.
   * @throws why a list could not be read in which it may be
   */
  async named(
    kind: 'tools' | 'prompts',
    name: string,
    reader: ListReader,
  ): Promise<Route | undefined> {
    if (isStandIn(name)) return undefined;
    const find = (list: StoredList) => list.find(name);
    const shape = LISTS[kind];
    const search = (among: readonly Upstream[]) => this.#search(among, shape, reader, find);
    const all = this.#upstreams(kind);
    const [own] = (await search(all.filter(({ isLocal }) => isLocal))).found;
    if (own !== undefined) return own;
    const others = all.filter(({ isLocal, names }) => !isLocal && names[kind].mayHave(name));
    const prefixed = others.filter(({ options }) => options.prefix !== false);
    const bare = others.filter(({ options }) => options.prefix === false);
    const first = await search(prefixed);
    const second =
      first.found.length === 0
        ? await search(bare)
        : { found: this.#known(bare, shape, reader, find), failure: undefined };
    const found = [...first.found, ...second.found];
    const failure = first.failure ?? second.failure;
    if (found.length === 0 && failure !== undefined) throw failedAt(failure, reader);
    const [only, another] = found;
    if (another !== undefined) return undefined;
    if (only?.item.isBlocked === true) throw blocked(only);
    return only;
  }

  /**
   * The first upstream that lists the URI, or else has a template for it.
   *
   * @throws why a list could not be read in which it may be
   */
  async resource(uri: string, reader: ListReader): Promise<Route | undefined> {
    if (isStandIn(uri)) return undefined;
    const all = this.#upstreams('resources').filter(
      ({ names }) => names.resource(uri).verdict.isOffered,
    );
    const isListed = (list: StoredList) => list.find(uri);
    const fits = (list: StoredList) => list.matching(uri);
    const [known = this.#known(all, LISTS.resourceTemplates, reader, fits)[0]] = this.#known(
      all,
      LISTS.resources,
      reader,
      isListed,
    );
    const first = known ?? (await this.#asked(all, reader, { isListed, fits }));
    if (first === undefined) return undefined;
    const { verdict } = first.upstream.names.resource(uri);
    return { upstream: first.upstream, item: { ...first.item, name: uri, own: uri, verdict } };
  }

  /** @throws why a list could not be read in which it may be */
  async #asked(
    upstreams: readonly Upstream[],
    reader: ListReader,
    { isListed, fits }: Readonly<Record<'isListed' | 'fits', Find>>,
  ): Promise<Route | undefined> {
    const listed = await this.#search(upstreams, LISTS.resources, reader, isListed);
    const [first] = listed.found;
    if (first !== undefined) return first;
    const templates = await this.#search(upstreams, LISTS.resourceTemplates, reader, fits);
    const failure = listed.failure ?? templates.failure;
    if (templates.found.length === 0 && failure !== undefined) throw failedAt(failure, reader);
    return templates.found[0];
  }

  /** A template by its text, or a resource by its URI, for completions. */
  async template(text: string, reader: ListReader): Promise<Route | undefined> {
    for (const shape of [LISTS.resourceTemplates, LISTS.resources]) {
      const upstreams = this.#upstreams(shape.kind);
      const search = this.#search(upstreams, shape, reader, (list) => list.find(text));
      const { found, failure } = await search;
      if (found[0] !== undefined) return found[0];
      if (failure !== undefined) throw failedAt(failure, reader);
    }
    return undefined;
  }

  /** In the lists that are there: whoever else is slow, or away, is not waited for. */
  #known(
    upstreams: readonly Upstream[],
    shape: ListShape,
    reader: ListReader,
    find: Find,
  ): readonly Route[] {
    return upstreams.flatMap((upstream) => {
      const list = this.#catalogue.known(upstream, shape, reader);
      const item = list && find(list);
      return item === undefined ? [] : [{ upstream, item }];
    });
  }

  /** What no list has that is there, may be in a newer one. */
  async #search(
    upstreams: readonly Upstream[],
    shape: ListShape,
    reader: ListReader,
    find: Find,
  ): Promise<{ found: readonly Route[]; failure?: ListFailure | undefined }> {
    const known = this.#known(upstreams, shape, reader, find);
    if (known.length > 0) return { found: known };
    const outcomes = await Promise.allSettled(
      upstreams.map(async (upstream) => {
        const isMissing = (list: StoredList) => find(list) === undefined;
        return find(await this.#catalogue.listFor(upstream, shape, reader, isMissing));
      }),
    );
    const found: Route[] = [];
    let failure: ListFailure | undefined;
    outcomes.forEach((outcome, index) => {
      const upstream = upstreams[index];
      if (upstream === undefined) return;
      if (outcome.status === 'rejected') {
        failure ??= { upstream: upstream.name, error: outcome.reason as unknown };
      } else if (outcome.value !== undefined) {
        found.push({ upstream, item: outcome.value });
      }
    });
    return { found, failure };
  }
}
