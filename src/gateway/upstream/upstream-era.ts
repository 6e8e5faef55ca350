import type { Clock } from '../../core/lib/clock.js';
import { memberOf } from '../../core/lib/members.js';
import { TASKS_EXTENSION } from '../../core/mcp/json-rpc.js';
import type { ProtocolEra } from '../../mcp/answers/consent.js';
import { RpcError, UpstreamError } from '../wire/gateway-errors.js';
import { MODERN } from '../wire/modern-request.js';
import { type Asking, askModern, isOlder } from './modern-rpc.js';
import type { Upstream } from './upstream.js';

/** A server may learn the new revision; one that speaks it does so until it takes a request as none. */
const LEGACY_SECONDS = 600;

interface Finding {
  readonly era: ProtocolEra;
  readonly until: number;
  /** Of the upstream, when it was asked. */
  readonly misunderstandings: number;
}

/** Which revision an upstream speaks. */
export class UpstreamEra {
  readonly #upstream: Upstream;
  readonly #clock: Clock;
  readonly #configured: ProtocolEra | undefined;
  #flight: Promise<ProtocolEra> | undefined;
  #found: Finding | undefined;
  #offersTasks: boolean | undefined;

  constructor(upstream: Upstream, clock: Clock) {
    const { era } = upstream.options;
    this.#upstream = upstream;
    this.#clock = clock;
    this.#configured = era === 'auto' ? undefined : era;
  }

  /** As far as it is known. */
  get known(): ProtocolEra | undefined {
    if (this.#configured !== undefined) return this.#configured;
    return this.#isGood(this.#found) ? this.#found?.era : undefined;
  }

  /**
   * Asks the upstream what it speaks, if nobody knows. A refusal or an outage tells nothing, and is
   * thrown.
   */
  async find(asking: Omit<Asking, 'timeoutMs'>): Promise<ProtocolEra> {
    // Somebody else's question may be answered for all; his refusal is not ours.
    if (this.#flight !== undefined) await this.#flight.catch(() => undefined);
    if (this.known !== undefined) return this.known;
    const flight = this.#probe(asking);
    this.#flight ??= flight;
    try {
      const era = await flight;
      const { misunderstandings } = this.#upstream;
      const until = era === MODERN ? Infinity : this.#clock.elapsed() + LEGACY_SECONDS;
      this.#found = { era, until, misunderstandings };
      return era;
    } finally {
      if (this.#flight === flight) this.#flight = undefined;
    }
  }

  #isGood(found: Finding | undefined): boolean {
    if (found === undefined || found.until <= this.#clock.elapsed()) return false;
    return found.era !== MODERN || found.misunderstandings === this.#upstream.misunderstandings;
  }

  /**
   * Whether a server of 2026-07-28 declares the extension for tasks. One whose revision is configured is asked for it
   * once; an outage tells nothing.
   */
  async offersTasks(asking: Omit<Asking, 'timeoutMs'>): Promise<boolean> {
    if (this.#offersTasks === undefined && this.#configured === MODERN) {
      await this.#discover(asking).catch((error: unknown) => {
        if (error instanceof RpcError) this.#offersTasks = false;
      });
    }
    return this.#offersTasks ?? false;
  }

  /** It was taken for one that it is not. */
  forget(): void {
    this.#found = undefined;
    this.#offersTasks = undefined;
  }

  async #discover(asking: Omit<Asking, 'timeoutMs'>): Promise<Readonly<Record<string, unknown>>> {
    const { connectTimeoutMs: timeoutMs } = this.#upstream.options;
    const found = await askModern(this.#upstream, 'server/discover', {}, { ...asking, timeoutMs });
    const extensions = memberOf(memberOf(found, 'capabilities'), 'extensions');
    this.#offersTasks = memberOf(extensions, TASKS_EXTENSION) !== undefined;
    return found;
  }

  async #probe(asking: Omit<Asking, 'timeoutMs'>): Promise<ProtocolEra> {
    try {
      const found = await this.#discover(asking);
      const versions = memberOf(found, 'supportedVersions');
      return Array.isArray(versions) && versions.includes(MODERN) ? MODERN : '2025-11-25';
    } catch (error) {
      if (error instanceof RpcError) return '2025-11-25'; // it answers, and does not know the question
      if (error instanceof UpstreamError && error.status !== undefined && isOlder(error.status)) {
        return '2025-11-25';
      }
      throw error;
    }
  }
}
