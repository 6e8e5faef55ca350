import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Clock, systemClock } from './clock.js';
import { ConfigurationError } from './errors.js';

type Secret = string | Uint8Array;

export interface DPoPNonceOptions {
  /**
   * At least 32 bytes, the same in all processes of the resource. Default: random, good for a
   * single process; the others would refuse its nonces.
   */
  readonly secret?: Secret;
  /** The secret before the last change, still accepted while clients hold nonces made with it. */
  readonly previousSecret?: Secret;
  /**
   * How long a nonce is accepted at most, in seconds; at least half of it. Default 300.
   */
  readonly ttlSeconds?: number;
  /** Source of time, for tests. */
  readonly clock?: Clock;
}

const MIN_SECRET_BYTES = 32;

/**
 * Nonces of the resource server (RFC 9449 §9) without memory: a MAC over a stretch of time. Two
 * stretches overlap, so a client never has to be served the moment the nonce changes.
 *
 * A nonce shows that a proof was made recently, not that it is new: replay detection stays on.
 */
export class DPoPNonces {
  readonly #secrets: readonly Buffer[];
  readonly #slotSeconds: number;
  readonly #clock: Clock;
  #slot = Number.NaN;
  #current = '';
  #accepted: readonly Buffer[] = [];

  constructor(options: DPoPNonceOptions = {}) {
    const { secret = randomBytes(MIN_SECRET_BYTES), previousSecret, ttlSeconds = 300 } = options;
    if (!Number.isFinite(ttlSeconds) || ttlSeconds < 2) {
      throw new ConfigurationError('ttlSeconds of the DPoP nonce must be 2 or more');
    }
    this.#secrets = [secret, ...(previousSecret === undefined ? [] : [previousSecret])].map(
      bytesOf,
    );
    this.#slotSeconds = ttlSeconds / 2;
    this.#clock = options.clock ?? systemClock;
  }

  /** The nonce to hand out now, for the `DPoP-Nonce` header. */
  current(): string {
    this.#turn();
    return this.#current;
  }

  /** Whether this is a nonce handed out lately. */
  check(nonce: string | undefined): boolean {
    this.#turn();
    const given = Buffer.from(nonce ?? '');
    return this.#accepted.reduce((held, good) => isEqual(given, good) || held, false);
  }

  #turn(): void {
    const slot = Math.floor(this.#clock.now() / this.#slotSeconds);
    if (slot === this.#slot) return;
    const nonces = this.#secrets.flatMap((secret) => [mac(secret, slot), mac(secret, slot - 1)]);
    this.#slot = slot;
    this.#current = nonces[0] ?? '';
    this.#accepted = nonces.map((nonce) => Buffer.from(nonce));
  }
}

function bytesOf(secret: Secret): Buffer {
  const bytes = Buffer.from(secret);
  if (bytes.length < MIN_SECRET_BYTES) {
    throw new ConfigurationError(`the secret of the DPoP nonce needs ${MIN_SECRET_BYTES} bytes`);
  }
  return bytes;
}

/** The purpose in front: a secret shared with something else makes no nonces by accident. */
function mac(secret: Buffer, slot: number): string {
  return createHmac('sha256', secret).update(`authplane dpop nonce ${slot}`).digest('base64url');
}

function isEqual(given: Buffer, good: Buffer): boolean {
  return given.length === good.length && timingSafeEqual(given, good);
}
