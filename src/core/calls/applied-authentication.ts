import { within } from '../lib/deadline.js';
import { AuthorizationServerUnavailableError } from '../errors/server-errors.js';
import { AuthplaneError } from '../errors/authplane-error.js';
import { isTable } from '../lib/option-checks.js';
import {
  type AuthProvider,
  type AuthenticatedRequest,
  unusableCredentialsError,
  isText,
} from './client-authentication.js';

/** What one request carries besides its own parameters. */
export interface AppliedAuthentication {
  readonly headers: Readonly<Record<string, string>>;
  /** The parameters of the request with those of the client authentication. */
  readonly form: URLSearchParams;
  /** The secret texts among them, for who has to keep them out of a message. */
  readonly secrets: () => readonly string[];
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
  if (provider === undefined) return { headers: {}, form: request.form, secrets: () => [] };
  let copy: URLSearchParams | undefined;
  const added = await askProvider(provider, {
    url: request.url,
    issuer: request.issuer,
    get form() {
      return (copy ??= new URLSearchParams(request.form)); // few look at it
    },
  });
  if (!isTable(added)) throw unusableCredentialsError('it is no object');
  const { headers = {}, form: parameters = {} } = added;
  requireHeaders(headers);
  requireParameters(parameters, request.form);
  requireOneMethod(headers, parameters);
  const [ownHeaders, ownForm] = [{ ...headers }, { ...parameters }]; // a provider may change its own
  return {
    headers: ownHeaders,
    form: withParameters(request.form, ownForm),
    secrets: () => [...secretsOfHeaders(ownHeaders), ...secretsOfForm(ownForm)],
  };
}

type Texts = Readonly<Record<string, string>>;

const PROVIDER_DEADLINE_MS = 5000;

/** Parameters that say who asks and how, and are in every log anyway. */
const PUBLIC_PARAMETERS = ['client_id', 'client_assertion_type'];

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

const HEADER_VALUE = /^[\x20-\x7e]+$/;

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

function withParameters(asked: URLSearchParams, parameters: Texts): URLSearchParams {
  const added = Object.entries(parameters);
  return added.length === 0 ? asked : new URLSearchParams([...asked, ...added]);
}

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
