import { deepFreeze } from '../lib/strict-json.js';
import { formEncoded } from '../lib/text.js';
import { INSPECT, node } from '../platform/node.js';
import { ConfigurationError } from '../errors/configuration-error.js';

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

const METHODS: readonly string[] = ['client_secret_basic', 'client_secret_post'];

class SecretAuthentication implements AuthProvider {
  readonly clientId: string;
  readonly #secret: ClientSecretCredentials['clientSecret'];
  readonly #inBody: boolean;
  #fixed: ClientAuthentication | undefined;

  constructor({ clientId, clientSecret, method }: ClientSecretCredentials) {
    this.clientId = clientId;
    this.#secret = clientSecret;
    this.#inBody = method === 'client_secret_post';
  }

  authenticate(): ClientAuthentication | Promise<ClientAuthentication> {
    if (typeof this.#secret !== 'string') return this.#ask(this.#secret);
    return this.#answerOf(this.#secret);
  }

  /** The answer, when it is the same for all requests. */
  get fixed(): ClientAuthentication | undefined {
    return typeof this.#secret === 'string' ? this.#answerOf(this.#secret) : undefined;
  }

  #answerOf(secret: string): ClientAuthentication {
    return (this.#fixed ??= deepFreeze(this.#with(secret)));
  }

  async #ask(secret: () => string | Promise<string>): Promise<ClientAuthentication> {
    return this.#with(await secret());
  }

  #with(secret: unknown): ClientAuthentication {
    if (!isText(secret)) throw unusableCredentialsError('clientSecret() gave no text');
    if (hasControls(secret)) throw unusableCredentialsError(`what clientSecret() gave ${CONTROLS}`);
    if (this.#inBody) return { form: { client_id: this.clientId, client_secret: secret } };
    // RFC 6749 §2.3.1
    const credentials = `${formEncoded(this.clientId)}:${formEncoded(secret)}`;
    return { headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } };
  }

  [INSPECT](): string {
    return `ClientSecret { clientId: ${node.util.inspect(this.clientId)} }`;
  }
}

/** RFC 6749 appendix A.1, A.2: printable. A line feed is the last line of a file or a mounted secret. */
export function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

export const CONTROLS =
  'contains a line feed or another control character; cut it off where the value is read';

/** What this provider answers to all requests, if it does: what was found of that once holds for good. */
export function fixedAnswerOf(provider: AuthProvider): ClientAuthentication | undefined {
  return provider instanceof SecretAuthentication ? provider.fixed : undefined;
}

function isProvider(credentials: AsCredentials): credentials is AuthProvider {
  return 'authenticate' in credentials;
}

export function unusableCredentialsError(problem: string): ConfigurationError {
  return new ConfigurationError(
    `asCredentials: authenticate() gave an answer of no use: ${problem}`,
  );
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
