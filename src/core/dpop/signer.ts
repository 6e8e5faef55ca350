import type { JsonWebKey, KeyObject } from 'node:crypto';
import { node } from '../platform/node.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { signedJws } from '../jws/signed-jws.js';
import { sha256 } from '../lib/digest.js';
import { isNonce } from './nonce.js';
import { importProofKey, type ProofJwk, readProofJwk } from './proof-key.js';
import { ConfigurationError } from '../errors/configuration-error.js';

/** Algorithms that {@link DPoPSigner} signs proofs with. */
export type DPoPSignerAlgorithm = 'ES256' | 'EdDSA' | 'PS256' | 'RS256';

/** Options of {@link DPoPSigner}. */
export interface DPoPSignerOptions {
  /** Default `ES256` for a new key; for a JWK its `alg`, or what its kind allows (RSA: `PS256`). */
  readonly algorithm?: DPoPSignerAlgorithm;
  /** Source of time, for tests. Default: the system's. */
  readonly clock?: Clock;
}

/** What a proof is made for (RFC 9449 §4.2). */
export interface DPoPProofRequest {
  /** Method of the request the proof goes with. */
  readonly method: string;
  /** URL of that request; query and fragment are left out of the proof. */
  readonly url: string;
  /** The token the request carries; its hash becomes `ath`. */
  readonly accessToken?: string;
  /** Default: the nonce last noted for the origin of `url`. */
  readonly nonce?: string;
}

const LIFETIME_SECONDS = 60;
const MAX_ORIGINS = 100;
/** A token of RFC 9110 §5.6.2. */
const METHOD = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/**
 * Makes DPoP proofs (RFC 9449 §4.2) with one key, and remembers the nonces servers ask for.
 *
 * The private key cannot be read back or printed. Safe to share between requests.
 *
 * @example
 * const signer = await DPoPSigner.generate();
 * const proof = await signer.proof({ method: 'POST', url: 'https://auth.example.com/oauth/token' });
 */
export class DPoPSigner {
  /** `alg` of its proofs. */
  readonly algorithm: DPoPSignerAlgorithm;
  /** SHA-256 thumbprint of the public key (RFC 7638): the `cnf.jkt` of tokens bound to it. */
  readonly thumbprint: string;
  readonly #key: KeyObject;
  readonly #publicJwk: ProofJwk['jwk'];
  readonly #clock: Clock;
  readonly #nonces = new Map<string, string>();

  private constructor(key: KeyObject, options: DPoPSignerOptions, statedAlgorithm?: unknown) {
    this.algorithm = options.algorithm ?? algorithmOf(key, statedAlgorithm);
    const { jkt, jwk } = publicPart(key, this.algorithm);
    this.#key = key;
    this.#publicJwk = jwk;
    this.thumbprint = jkt;
    this.#clock = options.clock ?? systemClock;
  }

  /** A signer with a new key, which lives as long as the signer. RSA keys have 2048 bits. */
  static async generate(options: DPoPSignerOptions = {}): Promise<DPoPSigner> {
    const algorithm = options.algorithm ?? 'ES256';
    return new DPoPSigner(await generatePrivateKey(algorithm), { ...options, algorithm });
  }

  /**
   * A signer with your own key: EC P-256, Ed25519, or RSA of 2048 to 4096 bits.
   *
   * @throws ConfigurationError when it is no such private key, or not one for `algorithm`.
   */
  static fromJwk(privateJwk: JsonWebKey, options: DPoPSignerOptions = {}): DPoPSigner {
    return new DPoPSigner(importPrivateKey(privateJwk), options, privateJwk['alg']);
  }

  /**
   * A signer with your own key in PEM: PKCS #8, or what `openssl` writes for the kinds of
   * {@link fromJwk}. Not an encrypted one. An RSA key signs `PS256` unless `algorithm` says otherwise.
   *
   * @throws ConfigurationError when it is no such private key, or not one for `algorithm`.
   */
  static fromPem(pem: string, options: DPoPSignerOptions = {}): DPoPSigner {
    return new DPoPSigner(readPem(pem), options);
  }

  /**
   * A proof for one request; every request needs its own.
   *
   * @throws ConfigurationError when `url` is no absolute http or https URL, or `method` no method.
   */
  async proof({ method, url, accessToken, nonce }: DPoPProofRequest): Promise<string> {
    if (typeof method !== 'string' || !METHOD.test(method)) {
      throw new ConfigurationError('a DPoP proof needs an HTTP method');
    }
    const { origin, pathname } = httpUrl(url);
    const iat = Math.floor(this.#clock.now());
    const knownNonce = nonce ?? this.#nonces.get(origin);
    const header = { typ: 'dpop+jwt', alg: this.algorithm, jwk: this.#publicJwk };
    const claims = {
      htm: method,
      htu: `${origin}${pathname}`,
      jti: node.crypto.randomUUID(),
      iat,
      exp: iat + LIFETIME_SECONDS,
      ...(accessToken === undefined ? {} : { ath: sha256(accessToken) }),
      ...(knownNonce === undefined ? {} : { nonce: knownNonce }),
    };
    return signedJws(header, claims, this.#key);
  }

  /**
   * Notes a `DPoP-Nonce` from an answer to `url`, for the next proofs to that origin (RFC 9449 §8,
   * §9). Whatever is no nonce by its grammar is ignored. The oldest of 100 origins is forgotten.
   */
  noteNonce(url: string, nonce: string): void {
    if (!isNonce(nonce)) return;
    const { origin } = httpUrl(url);
    this.#nonces.delete(origin);
    this.#nonces.set(origin, nonce);
    const [oldest] = this.#nonces.keys();
    if (this.#nonces.size > MAX_ORIGINS && oldest !== undefined) this.#nonces.delete(oldest);
  }
}

/** Makes DPoP proofs for outbound requests (RFC 9449). */
export type ProofSigner = Pick<DPoPSigner, 'thumbprint' | 'proof' | 'noteNonce'>;

function generatePrivateKey(algorithm: DPoPSignerAlgorithm): Promise<KeyObject> {
  const generateKeys = node.util.promisify(node.crypto.generateKeyPair);
  switch (algorithm) {
    case 'ES256':
      return generateKeys('ec', { namedCurve: 'P-256' }).then(({ privateKey }) => privateKey);
    case 'EdDSA':
      return generateKeys('ed25519').then(({ privateKey }) => privateKey);
    case 'PS256':
    case 'RS256':
      return generateKeys('rsa', { modulusLength: 2048 }).then(({ privateKey }) => privateKey);
    default:
      throw new ConfigurationError('the DPoP algorithm must be ES256, EdDSA, PS256 or RS256');
  }
}

function importPrivateKey(jwk: JsonWebKey): KeyObject {
  try {
    return node.crypto.createPrivateKey({ key: jwk, format: 'jwk' });
  } catch {
    // Not as the cause: nobody promises that the engine's error quotes nothing of the key.
    throw new ConfigurationError('the DPoP key is no private JWK of the kind EC, OKP or RSA');
  }
}

function readPem(pem: string): KeyObject {
  try {
    return node.crypto.createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    // Not as the cause, as above.
    throw new ConfigurationError('the DPoP key is no private key in PEM, or an encrypted one');
  }
}

function algorithmOf(key: KeyObject, statedAlgorithm: unknown): DPoPSignerAlgorithm {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return 'ES256';
    case 'rsa':
      return statedAlgorithm === 'RS256' ? 'RS256' : 'PS256';
    default:
      return 'EdDSA';
  }
}

/** By the rules for inbound proofs: whoever verifies ours will be as strict. */
function publicPart(key: KeyObject, algorithm: DPoPSignerAlgorithm): ProofJwk {
  try {
    const read = readProofJwk(
      node.crypto.createPublicKey(key).export({ format: 'jwk' }),
      algorithm,
    );
    const sample = Buffer.from('sample');
    const digest = algorithm === 'EdDSA' ? null : 'sha256';
    const signature = node.crypto.sign(digest, sample, key);
    if (node.crypto.verify(digest, sample, importProofKey(read), signature)) return read;
  } catch (cause) {
    throw new ConfigurationError(`the DPoP key is not fit for ${algorithm}`, { cause });
  }
  throw new ConfigurationError('public and private members of the DPoP key do not match');
}

/** What an HTTP client makes of the URL is what the server sees, so the same parser reads it here. */
function httpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new ConfigurationError('a DPoP proof needs an absolute http or https URL');
  }
  return url;
}
