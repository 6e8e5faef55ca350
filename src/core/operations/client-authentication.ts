import { createPrivateKey, KeyObject, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { type JWK, SignJWT } from 'jose';
import { algorithmRule, SUPPORTED_ALGORITHMS } from '../lib/algorithms.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { within } from '../lib/deadline.js';
import { AuthorizationServerUnavailableError } from '../errors/server-errors.js';
import { AuthplaneError } from '../errors/authplane-error.js';
import { ConfigurationError } from '../errors/configuration-error.js';
import { isTable } from '../lib/option-checks.js';

/** A request to the authorization server that is about to be sent. */
export interface AuthenticatedRequest {
  /** The endpoint it goes to. */
  readonly url: string;
  /** The authorization server, for the `aud` of an assertion (RFC 7523 §3). */
  readonly issuer: string;
  /** A copy of the parameters; changing it changes nothing. */
  readonly form: URLSearchParams;
}

/** What authenticates the client: headers, further form parameters, or both. */
export interface ClientAuthentication {
  /** Header fields to add. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Form parameters to add. Default: none. */
  readonly form?: Readonly<Record<string, string>>;
}

/**
 * Authenticates this client at the authorization server in its own way (RFC 6749 §2.3). Asked for
 * each request anew, a retry included, and given five seconds. What it adds counts as secret, but
 * for `client_id`.
 */
export interface AuthProvider {
  /** Part of the key of cached tokens. */
  readonly clientId?: string;
  /** What to add to this request. What it throws fails the request. */
  authenticate(request: AuthenticatedRequest): ClientAuthentication | Promise<ClientAuthentication>;
}

/** Client id and secret (RFC 6749 §2.3.1). */
export interface ClientSecretCredentials {
  /** `client_id`, as it was registered. */
  readonly clientId: string;
  /** The secret, or a function that knows it at the time it is needed, within five seconds. */
  readonly clientSecret: string | (() => string | Promise<string>);
  /** Default `client_secret_basic`. */
  readonly method?: 'client_secret_basic' | 'client_secret_post';
}

/** The one source of credentials for all calls to the authorization server. */
export type AsCredentials = ClientSecretCredentials | AuthProvider;

/**
 * What is wrong with a value given as credentials, or nothing. Never quotes a secret.
 */
export function credentialsProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) {
    return 'must be { clientId, clientSecret } or an AuthProvider';
  }
  if ('authenticate' in value) {
    return typeof value.authenticate === 'function' ? undefined : 'authenticate is no function';
  }
  const { clientId, clientSecret, method } = value as Readonly<Record<string, unknown>>; // unknown members
  if (!isText(clientId)) return 'clientId must be a non-empty string';
  if (hasControls(clientId)) return `clientId ${CONTROLS}`;
  if (!isText(clientSecret) && typeof clientSecret !== 'function') {
    return 'clientSecret must be a non-empty string, or a function that returns one';
  }
  if (typeof clientSecret === 'string' && hasControls(clientSecret)) {
    return `clientSecret ${CONTROLS}`;
  }
  if (method === undefined || METHODS.includes(method as string)) return undefined;
  return `method must be one of ${METHODS.join(', ')}; for private_key_jwt use privateKeyJwt()`;
}

/**
 * The provider for credentials of either kind, of which {@link credentialsProblem} has found nothing
 * wrong. Printing it shows the client id only.
 */
export function clientAuthentication(credentials: AsCredentials): AuthProvider {
  return isProvider(credentials) ? credentials : new SecretAuthentication(credentials);
}

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

/** What one request carries besides its own parameters. */
export interface AppliedAuthentication {
  readonly headers: Readonly<Record<string, string>>;
  /** The parameters of the request with those of the client authentication. */
  readonly form: URLSearchParams;
  /** The secret texts among them. */
  readonly secrets: readonly string[];
}

/**
 * Asks the provider and checks what it adds.
 *
 * @throws AuthorizationServerUnavailableError when the provider fails or takes too long.
 * @throws ConfigurationError when it answers with something that cannot be sent.
 */
export async function applyAuthentication(
  provider: AuthProvider | undefined,
  request: AuthenticatedRequest,
): Promise<AppliedAuthentication> {
  if (provider === undefined) return { headers: {}, form: request.form, secrets: [] };
  const form = new URLSearchParams(request.form);
  const added = await askProvider(provider, {
    ...request,
    form: new URLSearchParams(request.form),
  });
  if (!isTable(added)) throw unusableCredentialsError('it is no object');
  const { headers = {}, form: parameters = {} } = added;
  requireHeaders(headers);
  requireParameters(parameters, form);
  requireOneMethod(headers, parameters);
  for (const [name, value] of Object.entries(parameters)) form.set(name, value);
  return { headers, form, secrets: [...secretsOfHeaders(headers), ...secretsOfForm(parameters)] };
}

type Texts = Readonly<Record<string, string>>;

const METHODS: readonly string[] = ['client_secret_basic', 'client_secret_post'];
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const ASSERTION_SECONDS = 60;
const PROVIDER_DEADLINE_MS = 5000;
/** Parameters that say who asks and how, and are in every log anyway. */
const PUBLIC_PARAMETERS = ['client_id', 'client_assertion_type'];
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const HEADER_VALUE = /^[\x20-\x7e]+$/;

class SecretAuthentication implements AuthProvider {
  readonly clientId: string;
  readonly #secret: ClientSecretCredentials['clientSecret'];
  readonly #inBody: boolean;

  constructor({ clientId, clientSecret, method }: ClientSecretCredentials) {
    this.clientId = clientId;
    this.#secret = clientSecret;
    this.#inBody = method === 'client_secret_post';
  }

  async authenticate(): Promise<ClientAuthentication> {
    const secret = typeof this.#secret === 'function' ? await this.#secret() : this.#secret;
    if (!isText(secret)) throw unusableCredentialsError('clientSecret() gave no text');
    if (hasControls(secret)) throw unusableCredentialsError(`what clientSecret() gave ${CONTROLS}`);
    if (this.#inBody) return { form: { client_id: this.clientId, client_secret: secret } };
    const credentials = `${formEncoded(this.clientId)}:${formEncoded(secret)}`;
    return { headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } };
  }

  [inspect.custom](): string {
    return `ClientSecret { clientId: ${inspect(this.clientId)} }`;
  }
}

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
    const jwk = privateKey instanceof KeyObject ? undefined : privateKey;
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
    const assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader(this.#header)
      .setIssuer(this.clientId)
      .setSubject(this.clientId)
      .setAudience(this.#audience ?? issuer)
      .setIssuedAt(now)
      .setExpirationTime(now + ASSERTION_SECONDS)
      .sign(this.#key);
    return {
      form: {
        client_id: this.clientId,
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: assertion,
      },
    };
  }

  [inspect.custom](): string {
    return `PrivateKeyJwt { clientId: ${inspect(this.clientId)}, alg: ${inspect(this.#header.alg)} }`;
  }
}

async function askProvider(
  provider: AuthProvider,
  request: AuthenticatedRequest,
): Promise<unknown> {
  try {
    return await within<unknown>(
      PROVIDER_DEADLINE_MS,
      () => provider.authenticate(request),
      () => new Error(`no answer within ${PROVIDER_DEADLINE_MS} ms`),
    );
  } catch (cause) {
    if (cause instanceof AuthplaneError) throw cause;
    throw new AuthorizationServerUnavailableError(
      'the credentials for the authorization server cannot be had right now',
      { cause },
    );
  }
}

function requireHeaders(headers: unknown): asserts headers is Texts {
  if (!isTable(headers)) throw unusableCredentialsError('headers is no object of names and texts');
  for (const [name, value] of Object.entries(headers)) {
    // Node's own error for a bad header would look like a broken connection.
    const sendable = HEADER_NAME.test(name) && isText(value) && HEADER_VALUE.test(value);
    if (!sendable) throw unusableCredentialsError('a header is not of the form of RFC 9110 §5.5');
  }
}

function requireParameters(
  parameters: unknown,
  asked: URLSearchParams,
): asserts parameters is Texts {
  if (!isTable(parameters)) throw unusableCredentialsError('form is no object of names and texts');
  for (const [name, value] of Object.entries(parameters)) {
    if (!isText(value)) throw unusableCredentialsError(`the parameter ${name} is no text`);
    if (asked.has(name))
      throw unusableCredentialsError(`it would change the parameter ${name} of the request`);
  }
}

/** RFC 6749 appendix A.1, A.2: printable. A line feed is the last line of a file or a mounted secret. */
function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

const CONTROLS =
  'contains a line feed or another control character; cut it off where the value is read';

/** RFC 6749 §2.3: not more than one authentication method in a request. */
function requireOneMethod(headers: Texts, parameters: Texts): void {
  const methods = [
    Object.keys(headers).some((name) => name.toLowerCase() === 'authorization'),
    Object.hasOwn(parameters, 'client_secret'),
    Object.hasOwn(parameters, 'client_assertion'),
  ];
  if (methods.filter(Boolean).length <= 1) return;
  throw unusableCredentialsError('it authenticates in two ways at once (RFC 6749 §2.3)');
}

function isProvider(credentials: AsCredentials): credentials is AuthProvider {
  return 'authenticate' in credentials;
}

/** RFC 6749 §2.3.1 and appendix B. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

/** Each value, what follows a scheme in it, and the password of Basic credentials (RFC 7617 §2). */
function secretsOfHeaders(headers: Texts): string[] {
  return Object.values(headers).flatMap((value) => {
    const credential = after(' ', value);
    if (!/^basic /i.test(value)) return [value, credential];
    const password = after(':', Buffer.from(credential, 'base64').toString());
    return [value, credential, password, new URLSearchParams(`=${password}`).get('') ?? ''];
  });
}

/** What follows the first separator; everything where there is none. */
function after(separator: string, text: string): string {
  return text.slice(text.indexOf(separator) + 1);
}

function secretsOfForm(form: Texts): string[] {
  return Object.entries(form).flatMap(([name, value]) =>
    PUBLIC_PARAMETERS.includes(name) ? [] : value,
  );
}

function privateKeyOf(key: JWK | KeyObject): KeyObject {
  const imported = key instanceof KeyObject ? key : importedJwk(key);
  if (imported.type === 'private') return imported;
  throw new ConfigurationError('privateKeyJwt: privateKey is not a private key');
}

function importedJwk(jwk: JWK): KeyObject {
  try {
    return createPrivateKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    // The error of node:crypto may quote the key.
    throw new ConfigurationError('privateKeyJwt: privateKey is not a private JWK');
  }
}

function algorithmFor(key: KeyObject, wanted: string | undefined): string {
  const { kty, crv } = key.export({ format: 'jwk' });
  const fits = (alg: string): boolean => {
    const rule = algorithmRule(alg);
    return rule !== undefined && rule.kty === kty && (rule.crv === undefined || rule.crv === crv);
  };
  const algorithm = wanted ?? SUPPORTED_ALGORITHMS.find(fits);
  if (algorithm !== undefined && fits(algorithm)) return algorithm;
  throw new ConfigurationError(
    `privateKeyJwt: the key does not fit the algorithm; choose one of ${SUPPORTED_ALGORITHMS.join(', ')}`,
  );
}

function unusableCredentialsError(problem: string): ConfigurationError {
  return new ConfigurationError(
    `asCredentials: authenticate() gave an answer of no use: ${problem}`,
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
