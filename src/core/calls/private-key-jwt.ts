import type { KeyObject } from 'node:crypto';
import { INSPECT, node } from '../platform/node.js';
import type { JWK } from 'jose';
import { signedJws } from '../jws/signed-jws.js';
import { schemeFor } from '../jws/signature-scheme.js';
import { isKeyFor, SUPPORTED_ALGORITHMS } from '../lib/algorithms.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import {
  type AuthProvider,
  isText,
  hasControls,
  CONTROLS,
  type AuthenticatedRequest,
  type ClientAuthentication,
} from './client-authentication.js';

/** Options of {@link privateKeyJwt} (RFC 7523 §2.2). */
export interface PrivateKeyJwtOptions {
  /** `client_id`, as it was registered; `iss` and `sub` of the assertion. */
  readonly clientId: string;
  /** A private JWK, or a `KeyObject` of a private key. */
  readonly privateKey: JWK | KeyObject;
  /** Signature algorithm. Default: `alg` of the JWK, else ES256, ES384, ES512, EdDSA or RS256 by the key. */
  readonly algorithm?: string;
  /** `kid` of the assertion. Default: that of the JWK. */
  readonly keyId?: string;
  /** `aud` of the assertion. Default: the issuer. */
  readonly audience?: string;
  /** Source of time, for tests. Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Authentication by a signed assertion (`private_key_jwt`, RFC 7523 §2.2): a new one for each
 * request, good for 60 seconds. AuthPlane up to 0.2 does not offer it.
 *
 * @throws ConfigurationError when the key is no private key or does not fit the algorithm.
 *
 * @example
 * ```ts
 * const client = await AuthplaneClient.create({
 *   issuer: 'https://auth.example.com',
 *   auth: privateKeyJwt({ clientId: 'my-server', privateKey: jwk }),
 * });
 * ```
 */
export function privateKeyJwt(options: PrivateKeyJwtOptions): AuthProvider {
  return new PrivateKeyAuthentication(options);
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

const ASSERTION_SECONDS = 60;

class PrivateKeyAuthentication implements AuthProvider {
  readonly clientId: string;
  readonly #key: KeyObject;
  readonly #header: { readonly alg: string; readonly kid?: string };
  readonly #audience: string | undefined;
  readonly #clock: Clock;

  constructor(options: PrivateKeyJwtOptions) {
    const { clientId, privateKey, audience, clock = systemClock } = options;
    if (!isText(clientId)) throw new ConfigurationError('privateKeyJwt: clientId is missing');
    if (hasControls(clientId)) throw new ConfigurationError(`privateKeyJwt: clientId ${CONTROLS}`);
    const jwk = privateKey instanceof node.crypto.KeyObject ? undefined : privateKey;
    const kid = options.keyId ?? jwk?.kid;
    this.clientId = clientId;
    this.#key = privateKeyOf(privateKey);
    this.#header = {
      alg: algorithmFor(this.#key, options.algorithm ?? jwk?.alg),
      ...(kid === undefined ? {} : { kid }),
    };
    this.#audience = audience;
    this.#clock = clock;
  }

  /** RFC 7523 §3. The audience is the issuer, so that the assertion is good at no other server. */
  async authenticate({ issuer }: AuthenticatedRequest): Promise<ClientAuthentication> {
    const now = Math.floor(this.#clock.now());
    const claims = {
      jti: node.crypto.randomUUID(),
      iss: this.clientId,
      sub: this.clientId,
      aud: this.#audience ?? issuer,
      iat: now,
      exp: now + ASSERTION_SECONDS,
    };
    const assertion = await signedJws(this.#header, claims, this.#key);
    return {
      form: {
        client_id: this.clientId,
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: assertion,
      },
    };
  }

  [INSPECT](): string {
    return `PrivateKeyJwt { clientId: ${node.util.inspect(this.clientId)}, alg: ${node.util.inspect(this.#header.alg)} }`;
  }
}

function privateKeyOf(key: JWK | KeyObject): KeyObject {
  const imported = key instanceof node.crypto.KeyObject ? key : importedJwk(key);
  if (imported.type === 'private') return imported;
  throw new ConfigurationError('privateKeyJwt: privateKey is not a private key');
}

function importedJwk(jwk: JWK): KeyObject {
  try {
    return node.crypto.createPrivateKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    // The error of node:crypto may quote the key.
    throw new ConfigurationError('privateKeyJwt: privateKey is not a private JWK');
  }
}

function algorithmFor(key: KeyObject, wanted: string | undefined): string {
  const jwk = key.export({ format: 'jwk' });
  const publicKey = node.crypto.createPublicKey(key);
  const fits = (alg: string): boolean =>
    isKeyFor(jwk, alg) && schemeFor(publicKey, alg) !== undefined;
  const algorithm = wanted ?? SUPPORTED_ALGORITHMS.find(fits);
  if (algorithm !== undefined && fits(algorithm)) return algorithm;
  throw new ConfigurationError(
    `privateKeyJwt: the key does not fit the algorithm; choose one of ${SUPPORTED_ALGORITHMS.join(', ')}`,
  );
}
