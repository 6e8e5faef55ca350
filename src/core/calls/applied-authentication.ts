import { type Eventually, isThenable, whenKnown, within } from '../lib/deadline.js';
import { AuthorizationServerUnavailableError } from '../errors/server-errors.js';
import { AuthplaneError } from '../errors/authplane-error.js';
import { isTable } from '../lib/option-checks.js';
import {
  type AuthProvider,
  type AuthenticatedRequest,
  fixedAnswerOf,
  unusableCredentialsError,
  isText,
} from './client-authentication.js';

type Parameter = readonly [name: string, value: string];

/** A request that is to be authenticated. */
export interface UnauthenticatedRequest extends Pick<AuthenticatedRequest, 'url' | 'issuer'> {
  readonly parameters: readonly Parameter[];
}

/** What one request carries besides its own parameters. */
export interface AppliedAuthentication {
  readonly headers: Readonly<Record<string, string>>;
  /** Parameters besides those of the request. */
  readonly added: readonly Parameter[];
  /** The secret texts among them, for who has to keep them out of a message. */
  readonly secrets: () => readonly string[];
}

/**
 * Asks the provider and checks what it adds; at once where it answers at once.
 *
 * @throws AuthorizationServerUnavailableError when the provider fails or takes too long.
 * @throws ConfigurationError when it answers with something that cannot be sent.
 */
export function applyAuthentication(
  provider: AuthProvider | undefined,
  { url, issuer, parameters }: UnauthenticatedRequest,
): Eventually<AppliedAuthentication> {
  if (provider === undefined) return { headers: {}, added: [], secrets: () => [] };
  const fixed = fixedAnswerOf(provider);
  if (fixed !== undefined) return applied(fixedAdded(fixed), parameters);
  let form: URLSearchParams | undefined;
  const request: AuthenticatedRequest = {
    url,
    issuer,
    get form() {
      return (form ??= new URLSearchParams(parameters.map(([...pair]) => pair))); // few look at it
    },
  };
  return whenKnown(askProvider(provider, request), (answer) =>
    applied(addedBy(answer), parameters),
  );
}

function applied({ headers, form }: Added, asked: readonly Parameter[]): AppliedAuthentication {
  requireNoneOf(asked, form);
  return {
    headers,
    added: form,
    secrets: () => [...secretsOfHeaders(headers), ...secretsOfForm(form)],
  };
}

type Texts = Readonly<Record<string, string>>;

/** What a provider adds, checked as far as the request has no say in it. */
interface Added {
  readonly headers: Texts;
  readonly form: readonly Parameter[];
}

/** Of answers that never change. */
const known = new WeakMap<object, Added>();

function fixedAdded(answer: object): Added {
  const found = known.get(answer);
  if (found !== undefined) return found;
  const added = addedBy(answer);
  Object.freeze(added.headers);
  known.set(answer, added);
  return added;
}

function addedBy(answer: unknown): Added {
  if (!isTable(answer)) throw unusableCredentialsError('it is no object');
  const { headers = {}, form = {} } = answer;
  requireHeaders(headers);
  requireParameters(form);
  requireOneMethod(headers, form);
  return { headers: { ...headers }, form: Object.entries(form) }; // a provider may change its own
}

const PROVIDER_DEADLINE_MS = 5000;

/** Parameters that say who asks and how, and are in every log anyway. */
const PUBLIC_PARAMETERS = ['client_id', 'client_assertion_type'];

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

const HEADER_VALUE = /^[\x20-\x7e]+$/;

function askProvider(provider: AuthProvider, request: AuthenticatedRequest): Eventually<unknown> {
  let answer: unknown;
  try {
    answer = provider.authenticate(request);
  } catch (cause) {
    throw noCredentialsError(cause);
  }
  if (!isThenable(answer)) return answer;
  const late = () => new Error(`no answer within ${PROVIDER_DEADLINE_MS} ms`);
  return within(PROVIDER_DEADLINE_MS, () => answer, late).catch((cause: unknown) => {
    throw noCredentialsError(cause);
  });
}

function noCredentialsError(cause: unknown): AuthplaneError {
  if (cause instanceof AuthplaneError) return cause;
  return new AuthorizationServerUnavailableError(
    'the credentials for the authorization server cannot be had right now',
    { cause },
  );
}

function requireHeaders(headers: unknown): asserts headers is Texts {
  if (!isTable(headers)) throw unusableCredentialsError('headers is no object of names and texts');
  for (const [name, value] of Object.entries(headers)) {
    // Node's own error for a bad header would look like a broken connection.
    const sendable = HEADER_NAME.test(name) && isText(value) && HEADER_VALUE.test(value);
    if (!sendable) throw unusableCredentialsError('a header is not of the form of RFC 9110 §5.5');
  }
}

function requireParameters(parameters: unknown): asserts parameters is Texts {
  if (!isTable(parameters)) throw unusableCredentialsError('form is no object of names and texts');
  for (const [name, value] of Object.entries(parameters)) {
    if (!isText(value)) throw unusableCredentialsError(`the parameter ${name} is no text`);
  }
}

function requireNoneOf(asked: readonly Parameter[], added: readonly Parameter[]): void {
  const twice = added.find(([name]) => asked.some(([each]) => each === name));
  if (twice === undefined) return;
  throw unusableCredentialsError(`it would change the parameter ${twice[0]} of the request`);
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

function secretsOfForm(form: readonly Parameter[]): string[] {
  return form.flatMap(([name, value]) => (PUBLIC_PARAMETERS.includes(name) ? [] : value));
}
