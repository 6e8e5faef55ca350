import type { AuthplaneError } from '../errors/authplane-error.js';
import { MetadataFetchError, MissingMetadataEndpointError } from '../errors/server-errors.js';
import type { HttpAnswer } from '../http/answer.js';
import type { OutboundHttp } from '../http/client.js';
import type { Clock } from '../lib/clock.js';
import { quoted } from '../lib/text.js';
import { DocumentRefused, RemoteDocument } from './remote-document.js';
import { isJsonObject, member } from '../lib/members.js';
import type { Offer } from './unmet-settings.js';

/** Metadata of the authorization server (RFC 8414 §2) as far as this package reads it. */
export interface AuthorizationServerMetadata {
  /** Those that are called. Checked: absolute, https unless `devMode`, no user info, no fragment. */
  readonly endpoints: ReadonlyMap<string, string>;
  readonly offer: MetadataOffer;
}

type MetadataOffer = Omit<Offer, 'hasKeyFor'>;

/** What this package calls; other members are not kept. */
const CALLED = new Set([
  'jwks_uri',
  'token_endpoint',
  'introspection_endpoint',
  'revocation_endpoint',
]);

/** What of the options of the client its metadata depends on. */
export interface MetadataSettings {
  readonly issuer: string;
  readonly devMode: boolean;
  readonly clock: Clock;
  readonly metadataRefreshSeconds: number;
  readonly maxStaleSeconds: number;
  readonly onBackgroundFailure: (error: AuthplaneError) => void;
}

/** The authorization server: its checked metadata, kept fresh. */
export class AuthorizationServer {
  readonly metadataUrl: string;
  readonly #metadata: RemoteDocument<AuthorizationServerMetadata>;

  constructor(
    options: MetadataSettings,
    http: OutboundHttp,
    onLoaded: (hasKeySetMoved: boolean) => void,
  ) {
    this.metadataUrl = wellKnownUrl(options.issuer);
    this.#metadata = new RemoteDocument({
      clock: options.clock,
      refreshSeconds: options.metadataRefreshSeconds,
      maxStaleSeconds: options.maxStaleSeconds,
      load: async () => {
        const answer = await http.getJson(this.metadataUrl);
        return checkedMetadata(documentOf(answer, this.metadataUrl), options, this.metadataUrl);
      },
      onLoaded: (value, previous) => {
        onLoaded(value.endpoints.get('jwks_uri') !== previous?.endpoints.get('jwks_uri'));
      },
      errorClass: MetadataFetchError,
      onBackgroundFailure: options.onBackgroundFailure,
    });
  }

  /**
   * The URL of an endpoint by its metadata name.
   *
   * @throws MetadataFetchError when there is no usable metadata.
   * @throws MissingMetadataEndpointError when the metadata does not name it.
   */
  async endpoint(name: string): Promise<string> {
    const { endpoints } = await this.#metadata.get();
    const url = endpoints.get(name);
    if (url !== undefined) return url;
    throw new MissingMetadataEndpointError(name, {
      wrongServer: name === 'jwks_uri',
      metadataUrl: this.metadataUrl,
    });
  }

  /** What it says of itself, while there is usable metadata. */
  get offer(): MetadataOffer | undefined {
    return this.#metadata.peek()?.offer;
  }

  /** Reads the metadata again unless the copy is younger. Failures leave the copy in hand in use. */
  async refreshIfOlderThan(seconds: number): Promise<void> {
    if (this.#metadata.ageSeconds <= seconds || this.#metadata.pausedBy !== undefined) return;
    await this.#metadata.reload().catch(() => undefined); // the copy in hand decides
  }

  close(): void {
    this.#metadata.close();
  }
}

/**
 * The document of a 200 answer. Everything else is refused before it can replace a good copy.
 *
 * @throws DocumentRefused
 */
export function documentOf(answer: HttpAnswer, url: string): Record<string, unknown> {
  if (answer.status !== 200) {
    const hint =
      answer.status === 404 ? '; check that the issuer, with its path, is the right one' : '';
    throw new DocumentRefused(`${url} answered with status ${answer.status}${hint}`, {
      retryAfterSeconds: Number(answer.headers['retry-after']) || 0,
    });
  }
  if (isJsonObject(answer.json)) return answer.json;
  throw new DocumentRefused(
    `${url} answered without a JSON object (${answer.notJson ?? 'other JSON'})`,
  );
}

/** RFC 8414 §3: the well-known segment stands between host and path of the issuer. */
function wellKnownUrl(issuer: string): string {
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/+$/, '')}`;
}

function checkedMetadata(
  document: Record<string, unknown>,
  options: Pick<MetadataSettings, 'issuer' | 'devMode'>,
  url: string,
): AuthorizationServerMetadata {
  requireIssuer(member(document, 'issuer'), options.issuer, url);
  const endpoints = new Map<string, string>();
  for (const [name, value] of Object.entries(document)) {
    if (isLeftOut(name, value) || !isEndpoint(name, value)) continue;
    const endpoint = requireEndpoint(name, value, options.devMode);
    if (CALLED.has(name)) endpoints.set(name, endpoint);
  }
  return { endpoints, offer: offerIn(document) };
}

/** For advice only: what is no list of texts says nothing. */
function offerIn(document: Record<string, unknown>): MetadataOffer {
  const texts = (name: string): string[] | undefined => {
    const value = member(document, name);
    if (!Array.isArray(value)) return undefined;
    return value.filter((one) => typeof one === 'string');
  };
  return {
    grants: texts('grant_types_supported'),
    scopes: texts('scopes_supported'),
    proofAlgorithms: texts('dpop_signing_alg_values_supported') ?? [],
  };
}

/** Some servers write what they do not have as null or empty. Without a key set they are of no use. */
function isLeftOut(name: string, value: unknown): boolean {
  return name !== 'jwks_uri' && (value === null || value === '');
}

/** What nobody here calls must not take the resource down, whatever it is. */
function isEndpoint(name: string, value: unknown): boolean {
  return CALLED.has(name) || (name.endsWith('_endpoint') && typeof value === 'string');
}

/** RFC 8414 §3.3: identical to the issuer the document was asked for. No slash is forgiven. */
function requireIssuer(received: unknown, expected: string, url: string): void {
  if (received === expected) return;
  if (typeof received !== 'string' || received === '') {
    throw new DocumentRefused(`${url} names no issuer; that is not an authorization server`, {
      wrongServer: true,
    });
  }
  const theirs = quoted(received, 300);
  throw new DocumentRefused(
    `wrong issuer: configured "${expected}", but the authorization server at ${url} calls itself ` +
      `${theirs}. Both must be equal byte for byte (a trailing slash counts): set issuer ` +
      `(AUTHPLANE_ISSUER) to ${theirs}, or AUTHPLANE_SERVER_ISSUER of the server to "${expected}"`,
    { wrongServer: true },
  );
}

/** RFC 8414 §2. Before the document replaces the copy in hand: a call must not find it out. */
function requireEndpoint(name: string, value: unknown, devMode: boolean): string {
  const refuse = (rule: string): never => {
    throw new DocumentRefused(`the authorization server's metadata: ${name} ${rule}`, {
      wrongServer: true,
    });
  };
  if (typeof value !== 'string' || !URL.canParse(value)) return refuse('is not an absolute URL');
  const { protocol, username, password, hash } = new URL(value);
  const allowed = protocol === 'https:' || (devMode && protocol === 'http:');
  if (!allowed) return refuse('does not use https; only devMode accepts http');
  if (username !== '' || password !== '' || hash !== '') {
    return refuse('has user info or a fragment');
  }
  return value;
}
