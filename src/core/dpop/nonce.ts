import { node } from '../platform/node.js';
import type { Clock } from '../lib/clock.js';
import { seconds } from '../lib/option-checks.js';
import { type Settings, withDefaults } from '../lib/settings.js';

/** Text or bytes; bytes are copied. */
type Secret = string | Uint8Array;

/** Nonces in proofs (`inboundDPoP.nonce`, RFC 9449 §9). */
export interface DPoPNonceOptions {
  /**
   * At least 32 bytes, the same in all processes of the resource. Default: random, good for a
   * single process; the others would refuse its nonces.
   */
  readonly secret?: Secret;
  /** The secret before the last change, still accepted while clients hold nonces made with it. Default none. */
  readonly previousSecret?: Secret;
  /**
   * How long a nonce is accepted at most, in seconds; at least half of it. Default 300.
   */
  readonly ttlSeconds?: number;
}

const MIN_SECRET_BYTES = 32;

type ResolvedNonce = Required<Pick<DPoPNonceOptions, 'ttlSeconds'>> & DPoPNonceOptions;

export const NONCE_SETTINGS: Settings<ResolvedNonce> = {
  secret: { check: nonceSecretProblem },
  previousSecret: { check: nonceSecretProblem },
  ttlSeconds: { check: seconds(2, 86_400), byDefault: 300 },
};

/** What the nonces take from the other options. */
interface NonceSurroundings {
  /** How far the clocks of the processes may be apart, in seconds. */
  readonly clockSkewSeconds: number;
  readonly clock: Clock;
  /** The resource URI: one that was handed out for another is not accepted. Default: none is told apart. */
  readonly resource?: string;
}

/**
 * Nonces of the resource server (RFC 9449 §9) without memory: a MAC over a stretch of time. Two
 * stretches overlap, so a client never has to be served the moment the nonce changes.
 *
 * A nonce shows that a proof was made recently, not that it is new: replay detection stays on.
 */
export class DPoPNonces {
  readonly #secrets: readonly Buffer[];
  readonly #slotSeconds: number;
  readonly #clockSkewSeconds: number;
  readonly #clock: Clock;
  readonly #resource: string;
  #slot = Number.NaN;
  #current = '';
  #accepted: readonly Buffer[] = [];
  #next: readonly Buffer[] = [];

  /** @param options checked by {@link NONCE_SETTINGS}. */
  constructor(
    options: DPoPNonceOptions,
    { clockSkewSeconds, clock, resource = '' }: NonceSurroundings,
  ) {
    const { secret, previousSecret, ttlSeconds } = withDefaults(NONCE_SETTINGS, options);
    this.#secrets = [secret ?? randomNonceSecret(), previousSecret]
      .filter((one) => one !== undefined)
      .map((one) => Buffer.from(one));
    this.#slotSeconds = ttlSeconds / 2;
    this.#clockSkewSeconds = clockSkewSeconds;
    this.#clock = clock;
    this.#resource = resource;
  }

  /** The nonce to hand out now, for the `DPoP-Nonce` header. */
  current(): string {
    this.#turn(this.#clock.now());
    return this.#current;
  }

  /** Whether this is a nonce handed out lately, also by a process whose clock is a little ahead. */
  check(nonce: string | undefined): boolean {
    const now = this.#clock.now();
    this.#turn(now);
    const given = Buffer.from(nonce ?? '');
    const isNextDue = now + this.#clockSkewSeconds >= (this.#slot + 1) * this.#slotSeconds;
    const accepted = isNextDue ? [...this.#accepted, ...this.#next] : this.#accepted;
    return accepted.reduce((held, good) => isEqual(given, good) || held, false);
  }

  #turn(now: number): void {
    const slot = Math.floor(now / this.#slotSeconds);
    if (slot === this.#slot) return;
    const noncesOf = (...slots: number[]) =>
      this.#secrets.flatMap((secret) => slots.map((one) => mac(secret, one, this.#resource)));
    this.#slot = slot;
    this.#current = noncesOf(slot)[0] ?? '';
    this.#accepted = noncesOf(slot, slot - 1).map((nonce) => Buffer.from(nonce));
    this.#next = noncesOf(slot + 1).map((nonce) => Buffer.from(nonce));
  }
}

/** RFC 9449 §8.1: `1*NQCHAR`; bounded, because it comes from a server and goes into a header. */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/;

/** Whether a `DPoP-Nonce` is one by its grammar; two header lines joined by a comma and a blank are none. */
export function isNonce(text: string): boolean {
  return NONCE.test(text);
}

export function randomNonceSecret(): Uint8Array {
  return node.crypto.randomBytes(MIN_SECRET_BYTES);
}

/** What is wrong with a secret for nonces, or nothing. Never quotes it. */
function nonceSecretProblem(secret: unknown): string | undefined {
  if (typeof secret !== 'string' && !node.util.types.isUint8Array(secret)) {
    return 'must be a string or a Uint8Array';
  }
  return Buffer.from(secret).length < MIN_SECRET_BYTES
    ? `must have at least ${MIN_SECRET_BYTES} bytes`
    : undefined;
}

/** The purpose in front: a secret shared with something else makes no nonces by accident. */
function mac(secret: Buffer, slot: number, resource: string): string {
  return node.crypto
    .createHmac('sha256', secret)
    .update(`authplane dpop nonce ${slot} ${resource}`)
    .digest('base64url');
}

function isEqual(given: Buffer, good: Buffer): boolean {
  return given.length === good.length && node.crypto.timingSafeEqual(given, good);
}
