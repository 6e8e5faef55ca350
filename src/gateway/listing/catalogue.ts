import type { Clock } from '../../core/lib/clock.js';
import { sha256 } from '../../core/lib/digest.js';
import { Generations } from '../../core/lib/generations.js';
import { member } from '../../core/lib/members.js';
import { quoted } from '../../core/lib/text.js';
import type { SparseWarnings } from '../../nest/log/sparse-warnings.js';
import { type PinFile, pinOf } from '../options/pins.js';
import type { ShownOperation } from '../options/view.js';
import type { GatewayCaller } from '../options/gateway-caller.js';
import { UpstreamError } from '../wire/gateway-errors.js';
import type { ListShape } from './list-kinds.js';
import type { RawList } from './list-reader.js';
import { type StoredList, storedList } from './stored-list.js';
import type { Upstream } from '../upstream/upstream.js';

/** For whom a list is. */
export interface ListReader {
  readonly caller: GatewayCaller;
  readonly callerKey: string;
  readonly signal: AbortSignal;
  /** What a client of the 2025 revisions declares, on which lists of such an upstream depend. */
  readonly capabilities?: Readonly<Record<string, unknown>>;
  /** What there is at the URL of the request; everything where it is left out. */
  readonly isShown?: ShownOperation | undefined;
  /** Told which upstream an operation is for, once that is known. */
  readonly onRoute?: ((upstream: string) => void) | undefined;
}

/** A list as it was at some moment. */
export interface ListEntry {
  readonly list: StoredList;
  /** Seconds of the clock. */
  readonly readAt: number;
  readonly freshUntil: number;
  readonly ttlMs: number;
}

/** As it is kept: what it weighs, and by what it is found besides its key. */
interface StoredEntry extends ListEntry {
  readonly weight: number;
  readonly tags: readonly string[];
}

/** Reads all pages of one list, however the upstream is reached. */
export type ReadList = (
  upstream: Upstream,
  shape: ListShape,
  reader: ListReader,
) => Promise<RawList>;

const STALE_SECONDS = 600;
const DEFAULT_TTL_MS = 60_000;
/** An upstream that has just failed to list is not waited for again by everybody. */
const FAILURE_PAUSE_SECONDS = 5;
/** A name that is missing is looked for anew, but not for every call that asks for nonsense. */
const LOOKUP_PAUSE_SECONDS = 5;
/** Each page ends by itself when the time for all is over; this is for one that drips. */
const GRACE_MS = 150;
const MAX_ENTRIES = 50_000;
const MAX_BYTES = 67_108_864;
/** What an entry takes whose text somebody else has, too. */
const SHARED_BYTES = 200;

/** The lists of all upstreams, as text: once for all callers who have read the same bytes. */
export class Catalogue {
  readonly #read: ReadList;
  readonly #clock: Clock;
  readonly #warnings: SparseWarnings;
  readonly #pins: PinFile | undefined;
  readonly #entries: Generations<StoredEntry>;
  readonly #texts = new Map<string, WeakRef<StoredList>>();
  readonly #collected = new FinalizationRegistry<string>((key) => {
    if (this.#texts.get(key)?.deref() === undefined) this.#texts.delete(key);
  });
  readonly #flights = new Map<string, Promise<ListEntry>>();
  /** By upstream and kind: whether its last list was for everybody. */
  readonly #scopes = new Map<string, 'public' | 'private'>();
  readonly #failures = new Map<string, { readonly at: number; readonly error: UpstreamError }>();

  constructor(read: ReadList, clock: Clock, warnings: SparseWarnings, pins?: PinFile) {
    this.#pins = pins;
    this.#read = read;
    this.#clock = clock;
    this.#warnings = warnings;
    this.#entries = new Generations(MAX_ENTRIES, {
      weights: { of: ({ weight }) => weight, max: MAX_BYTES },
      tags: ({ tags }) => tags,
    });
  }

  /**
   * What the upstream offers this caller, at most ten minutes old where it does not answer.
   *
   * @throws what reading it throws
   */
  async list(upstream: Upstream, shape: ListShape, reader: ListReader): Promise<ListEntry> {
    const known = this.#find(upstream, shape, reader);
    const now = this.#clock.elapsed();
    if (known !== undefined && known.freshUntil > now) return known;
    const isUsable = known !== undefined && now - known.readAt <= STALE_SECONDS;
    try {
      return await this.#refresh(upstream, shape, reader);
    } catch (error) {
      if (reader.signal.aborted || !isUsable) throw error;
      return known;
    }
  }

  /** What is known of it, at most ten minutes old. Asks nobody. */
  known(upstream: Upstream, shape: ListShape, reader: ListReader): StoredList | undefined {
    const known = this.#find(upstream, shape, reader);
    const isUsable = known !== undefined && this.#clock.elapsed() - known.readAt <= STALE_SECONDS;
    return isUsable ? known.list : undefined;
  }

  /**
   * The same for finding out what a name is, for which also a list will do whose time is over.
   *
   * @param isMissing whether the name is not in it
   */
  async listFor(
    upstream: Upstream,
    shape: ListShape,
    reader: ListReader,
    isMissing: (list: StoredList) => boolean,
  ): Promise<StoredList> {
    const known = this.#find(upstream, shape, reader);
    if (known === undefined) return (await this.list(upstream, shape, reader)).list;
    const age = this.#clock.elapsed() - known.readAt;
    if (age <= STALE_SECONDS && !isMissing(known.list)) return known.list;
    if (age < LOOKUP_PAUSE_SECONDS) return known.list;
    return (await this.list(upstream, shape, reader)).list;
  }

  /** Whoever asks for it next reads it anew. */
  forget(upstream: Upstream, shape?: ListShape): void {
    const place = placeOf(upstream, shape);
    for (const key of this.#entries.tagged(place)) this.#entries.delete(key);
    for (const key of this.#failures.keys()) if (key.startsWith(place)) this.#failures.delete(key);
  }

  /** Of any caller: the newest. */
  newest(upstream: Upstream, shape: ListShape): ListEntry | undefined {
    let newest: ListEntry | undefined;
    for (const key of this.#entries.tagged(placeOf(upstream, shape))) {
      const entry = this.#entries.peek(key);
      if (entry !== undefined && !(newest !== undefined && newest.readAt >= entry.readAt))
        newest = entry;
    }
    return newest;
  }

  #find(upstream: Upstream, shape: ListShape, reader: ListReader): ListEntry | undefined {
    const place = placeOf(upstream, shape);
    const isPrivate = (upstream.options.listsAre ?? this.#scopes.get(place)) === 'private';
    return isPrivate
      ? this.#entries.get(place + keyOf(reader))
      : (this.#entries.get(place) ?? this.#entries.get(place + keyOf(reader)));
  }

  async #refresh(upstream: Upstream, shape: ListShape, reader: ListReader): Promise<ListEntry> {
    const place = placeOf(upstream, shape);
    this.#requireNoFreshFailure(place);
    const scope = upstream.options.listsAre ?? this.#scopes.get(place);
    const own = place + keyOf(reader);
    const shared = scope === 'private' ? undefined : this.#flights.get(place);
    if (shared !== undefined) {
      // It may turn out to be for everybody, or is his; if not, or if it fails, everybody reads his own.
      const entry = await untilEither(shared, reader.signal);
      if (entry !== undefined && this.#find(upstream, shape, reader) === entry) return entry;
    }
    const flying = this.#flights.get(own);
    if (flying !== undefined) return flying;
    const flight = this.#fetch(upstream, shape, reader);
    this.#flights.set(own, flight);
    const isLeading = scope !== 'private' && !this.#flights.has(place);
    if (isLeading) this.#flights.set(place, flight);
    try {
      return await flight;
    } finally {
      this.#flights.delete(own);
      if (isLeading) this.#flights.delete(place);
    }
  }

  /** Does not end with the caller who was first to ask: others wait for it, and it has its own deadline. */
  async #fetch(upstream: Upstream, shape: ListShape, reader: ListReader): Promise<ListEntry> {
    const place = placeOf(upstream, shape);
    const { listTimeoutMs } = upstream.options;
    try {
      const signal = AbortSignal.timeout(listTimeoutMs + GRACE_MS);
      const raw = await this.#read(upstream, shape, { ...reader, signal }).catch(
        (error: unknown) => {
          throw signal.aborted ? this.#tooSlow(upstream, shape) : error;
        },
      );
      if (raw.cutShort !== undefined) {
        const what = `${quoted(upstream.name)}: ${shape.method}`;
        this.#warnings.warn(`cut ${place}`, `${what} was cut short: ${raw.cutShort}`);
      }
      this.#failures.delete(place);
      return this.#keep(upstream, shape, reader, raw);
    } catch (error) {
      if (error instanceof UpstreamError && isOutage(error)) {
        this.#failures.set(place, { at: this.#clock.elapsed(), error });
      }
      throw error;
    }
  }

  #tooSlow(upstream: Upstream, { method }: ListShape): UpstreamError {
    return upstream.error('upstream_timeout', `${method} took longer than listTimeoutMs`, {});
  }

  #requireNoFreshFailure(place: string): void {
    const failure = this.#failures.get(place);
    if (failure === undefined) return;
    if (this.#clock.elapsed() - failure.at < FAILURE_PAUSE_SECONDS) throw failure.error;
    this.#failures.delete(place);
  }

  #keep(upstream: Upstream, shape: ListShape, reader: ListReader, raw: RawList): ListEntry {
    const place = placeOf(upstream, shape);
    const scope = upstream.options.listsAre ?? raw.scope ?? 'private';
    this.#scopes.set(place, scope);
    const { list, isNew } = this.#shared(
      place,
      storedList(raw, shape, upstream.names, this.#pinCheck(upstream, shape)),
    );
    const ttlMs = Math.min(raw.ttlMs ?? DEFAULT_TTL_MS, STALE_SECONDS * 1000);
    const readAt = this.#clock.elapsed();
    const freshUntil = readAt + ttlMs / 1000;
    const weight = SHARED_BYTES + (isNew ? list.bytes : 0);
    const tags = tagsOf(upstream, shape);
    const entry = { list, readAt, freshUntil, ttlMs, weight, tags };
    this.#entries.set(scope === 'public' ? place : place + keyOf(reader), entry);
    return entry;
  }

  /** Tools alone have definitions that a model follows. */
  #pinCheck({ name: upstream, options: { pin } }: Upstream, { kind }: ListShape) {
    if (pin === 'off' || kind !== 'tools') return () => false;
    const pinned = this.#pins?.tools[upstream] ?? {};
    return (tool: Readonly<Record<string, unknown>>): boolean => {
      const own = String(member(tool, 'name'));
      const isSame = Object.hasOwn(pinned, own) && pinned[own] === pinOf(tool);
      if (isSame) return false;
      const becomes = pin === 'block' ? 'it is blocked' : 'it is offered all the same';
      const text = `${upstream}: the tool ${quoted(own)} is not the one that was reviewed; ${becomes}`;
      this.#warnings.warn(`pin ${upstream}`, text);
      return pin === 'block';
    };
  }

  #shared(place: string, list: StoredList): { list: StoredList; isNew: boolean } {
    const key = place + list.digest;
    const known = this.#texts.get(key)?.deref();
    if (known !== undefined) return { list: known, isNew: false };
    this.#texts.set(key, new WeakRef(list));
    this.#collected.register(list, key);
    return { list, isNew: true };
  }
}

/** By kind, and of all kinds; the same texts for every entry of every caller. */
const places = new WeakMap<Upstream, Map<string, string>>();
const tagsByPlace = new WeakMap<Upstream, Map<string, readonly string[]>>();
let lastSerial = 0;

/** One that was replaced is another one. */
function placeOf(upstream: Upstream, shape?: ListShape): string {
  const known = places.get(upstream) ?? new Map([['', `${++lastSerial} `]]);
  places.set(upstream, known);
  const kind = shape?.kind ?? '';
  const place = known.get(kind) ?? `${known.get('')}${kind} `;
  known.set(kind, place);
  return place;
}

function tagsOf(upstream: Upstream, shape: ListShape): readonly string[] {
  const known = tagsByPlace.get(upstream) ?? new Map<string, readonly string[]>();
  tagsByPlace.set(upstream, known);
  const tags = known.get(shape.kind) ?? [placeOf(upstream, shape), placeOf(upstream)];
  known.set(shape.kind, tags);
  return tags;
}

/** What decides about a private list: who asks, what he may, and what his client declares. */
function keyOf({ caller, callerKey, capabilities }: ListReader): string {
  const declared = capabilities === undefined ? '' : digestOf(capabilities);
  return JSON.stringify([callerKey, [...caller.claims.scopes].sort(), declared]);
}

/** Of what a session declares, once. */
const digests = new WeakMap<object, string>();

/** A server may look at every member: a form can be asked for where a URL cannot. */
function digestOf(capabilities: Readonly<Record<string, unknown>>): string {
  const isNothing = Object.keys(capabilities).length === 0;
  const digest =
    digests.get(capabilities) ?? (isNothing ? '' : sha256(JSON.stringify(capabilities)));
  digests.set(capabilities, digest);
  return digest;
}

/** Of the upstream as a whole, and not of this caller, nor of the way to his token. */
function isOutage({ code, status = 0, maybeExecuted }: UpstreamError): boolean {
  if (code === 'upstream_timeout') return maybeExecuted;
  return code === 'upstream_failed' && (status < 400 || status >= 500);
}

/** The result, or `undefined` when it fails. @throws the reason of the signal */
async function untilEither<T>(flight: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const result = await flight.catch(() => undefined);
  signal.throwIfAborted();
  return result;
}
