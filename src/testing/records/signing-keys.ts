import { generateKeyPair, randomBytes, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

import type { JWK } from 'jose';

/** The algorithms with which AuthPlane signs access tokens. */
export type SigningAlgorithm = 'ES256' | 'RS256';

export interface SigningKey {
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** What a rotation does to the published key set. */
export interface RotateKeysOptions {
  /**
   * `false`: the new key signs, and the key set stays as it is until `publishKeys()`.
   * Default `true`.
   */
  readonly publish?: boolean;
  /** `false`: the key that signed until now is dropped from the key set. Default `true`. */
  readonly keepPrevious?: boolean;
}

const generate = promisify(generateKeyPair);

/** 16 random bytes, 22 characters: the shape of AuthPlane's `kid` and `jti`. */
export function randomId(): string {
  return randomBytes(16).toString('base64url');
}

/** The current key, at most one previous key, and the key set as last published. */
export class SigningKeys {
  private previous: SigningKey | undefined;
  private published: readonly JWK[] = [];

  private constructor(private key: SigningKey) {
    this.publish();
  }

  static async create(algorithm: SigningAlgorithm): Promise<SigningKeys> {
    return new SigningKeys(await generateSigningKey(algorithm));
  }

  get current(): SigningKey {
    return this.key;
  }

  /** The key to verify with: the current one or the previous one. */
  find(kid: string | undefined): KeyObject | undefined {
    return [this.key, this.previous].find((key) => key?.kid === kid)?.publicKey;
  }

  async rotate({ publish = true, keepPrevious = true }: RotateKeysOptions = {}): Promise<void> {
    const next = await generateSigningKey(this.key.alg);
    this.previous = keepPrevious ? this.key : undefined;
    this.key = next;
    if (publish) this.publish();
  }

  publish(): void {
    const keys = this.previous === undefined ? [this.key] : [this.key, this.previous];
    this.published = keys.map(publicJWK);
  }

  jwks(): { keys: JWK[] } {
    return { keys: this.published.map((jwk) => ({ ...jwk })) };
  }
}

async function generateSigningKey(alg: SigningAlgorithm): Promise<SigningKey> {
  const pair =
    alg === 'ES256'
      ? await generate('ec', { namedCurve: 'P-256' })
      : await generate('rsa', { modulusLength: 2048 });
  return { kid: randomId(), alg, ...pair };
}

function publicJWK({ kid, alg, publicKey }: SigningKey): JWK {
  return { ...(publicKey.export({ format: 'jwk' }) as JWK), kid, alg, use: 'sig' };
}
