import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import { OAuthProblem } from '../http/oauth-problem.js';
import { parameter } from '../http/request.js';
import { parseScope } from './scopes.js';
import { randomId } from './signing-keys.js';

/** A client as an operator registers it. */
export interface RegisteredClientOptions {
  /** `client_id`. */
  readonly clientId: string;
  /** Makes the client confidential. Default: it is public. */
  readonly clientSecret?: string;
  /**
   * Default: `client_credentials` for a client with a secret and no redirect URI, otherwise
   * `authorization_code` and `refresh_token`.
   */
  readonly grantTypes?: readonly string[];
  /**
   * The ceiling, space separated. Without one the code flow is not bounded, and
   * `client_credentials` has no scope to give, as with AuthPlane.
   */
  readonly scope?: string;
  /** Where users may be sent back to. Default: nowhere. */
  readonly redirectUris?: readonly string[];
  /** Tokens of an agent carry `agent_id`. Default `false`. */
  readonly agent?: boolean;
}

export interface Client {
  readonly clientId: string;
  readonly name: string;
  readonly clientSecret: string | undefined;
  readonly grantTypes: readonly string[];
  readonly scope: readonly string[] | undefined;
  readonly redirectUris: readonly string[];
  readonly agent: boolean;
}

/** What goes into `agent_id`. */
export function agentIdOf({ clientId, agent }: Client): string | undefined {
  return agent ? clientId : undefined;
}

export class Clients {
  private readonly byId = new Map<string, Client>();

  constructor(registered: readonly RegisteredClientOptions[]) {
    for (const options of registered) this.byId.set(options.clientId, preRegistered(options));
  }

  get(clientId: string): Client | undefined {
    return this.byId.get(clientId);
  }

  register(client: Omit<Client, 'clientId' | 'clientSecret'>, confidential: boolean): Client {
    const clientSecret = confidential ? randomBytes(32).toString('base64url') : undefined;
    const registered = { ...client, clientId: randomId(), clientSecret };
    this.byId.set(registered.clientId, registered);
    return registered;
  }

  /**
   * As {@link authenticate}, for what public clients may not do.
   *
   * @throws OAuthProblem `invalid_client`, also for a public client.
   */
  authenticateConfidential(message: IncomingMessage, form: URLSearchParams): Client {
    const client = this.authenticate(message, form);
    if (client.clientSecret === undefined) throw new OAuthProblem('invalid_client');
    return client;
  }

  /**
   * `client_secret_basic`, `client_secret_post` or, for a public client, its `client_id`
   * (RFC 6749 §2.3).
   *
   * @throws OAuthProblem `invalid_client`, or `invalid_request` for two methods at once.
   */
  authenticate(message: IncomingMessage, form: URLSearchParams): Client {
    const { clientId, clientSecret } = presented(message, form);
    const client = clientId === undefined ? undefined : this.byId.get(clientId);
    if (client === undefined || !sameSecret(client.clientSecret, clientSecret)) {
      throw new OAuthProblem('invalid_client');
    }
    return client;
  }
}

interface Credentials {
  readonly clientId: string | undefined;
  readonly clientSecret: string | undefined;
}

function preRegistered(options: RegisteredClientOptions): Client {
  const { clientId, clientSecret, redirectUris = [], agent = false } = options;
  const machine = clientSecret !== undefined && redirectUris.length === 0;
  const usual = machine ? ['client_credentials'] : ['authorization_code', 'refresh_token'];
  return {
    clientId,
    name: clientId,
    clientSecret,
    grantTypes: options.grantTypes ?? usual,
    scope: options.scope === undefined ? undefined : parseScope(options.scope),
    redirectUris,
    agent,
  };
}

function presented(message: IncomingMessage, form: URLSearchParams): Credentials {
  const post = {
    clientId: parameter(form, 'client_id'),
    clientSecret: parameter(form, 'client_secret'),
  };
  const header = message.headers.authorization;
  if (header === undefined || !header.startsWith('Basic ')) return post;
  const basic = decodeBasic(header.slice('Basic '.length));
  const contradicted = post.clientId !== undefined && post.clientId !== basic.clientId;
  if (post.clientSecret !== undefined || contradicted) {
    throw new OAuthProblem('invalid_request', 'more than one client authentication method');
  }
  return basic;
}

/** Each half is form-encoded before the two are joined (RFC 6749 §2.3.1). */
function decodeBasic(encoded: string): Credentials {
  const joined = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = joined.indexOf(':');
  if (colon === -1) throw new OAuthProblem('invalid_client');
  return {
    clientId: formDecode(joined.slice(0, colon)),
    clientSecret: formDecode(joined.slice(colon + 1)) || undefined,
  };
}

function formDecode(half: string): string {
  try {
    return decodeURIComponent(half.replaceAll('+', ' '));
  } catch {
    throw new OAuthProblem('invalid_client');
  }
}

function sameSecret(registered: string | undefined, presented: string | undefined): boolean {
  if (registered === undefined || presented === undefined) return registered === presented;
  return timingSafeEqual(sha256(registered), sha256(presented));
}

function sha256(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}
