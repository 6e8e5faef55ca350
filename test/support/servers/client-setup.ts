import { OutboundHttp } from '../../../src/core/http/client.js';
import { resolveClientOptions } from '../../../src/core/options.js';
import {
  TokenOperations,
  type TokenOperationsOptions,
} from '../../../src/core/operations/token-operations.js';
import { replyJson, replyRaw, type Reply, ScriptedServer } from './scripted-server.js';
import { ManualClock } from '../tokens/manual-clock.js';

export const ISSUER = 'https://auth.example.com';
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
export const SECRET = 'canary-client-secret-1f0e';

export interface Setup {
  readonly server: ScriptedServer;
  readonly clock: ManualClock;
  readonly operations: TokenOperations;
  readonly http: OutboundHttp;
  /** Further operations on the same server. */
  with(options: Partial<TokenOperationsOptions>): TokenOperations;
  close(): Promise<void>;
}

/** Token operations whose three endpoints are a scripted server on loopback. */
export async function setUp(options: Partial<TokenOperationsOptions> = {}): Promise<Setup> {
  const server = await ScriptedServer.start();
  const clock = new ManualClock();
  const http = new OutboundHttp({ devMode: true, timeoutMs: 3_000 });
  const make = (more: Partial<TokenOperationsOptions>): TokenOperations =>
    new TokenOperations({
      ...resolveClientOptions({ issuer: ISSUER }),
      endpoint: server.endpoint,
      authentication: { authenticate: () => ({}) },
      http,
      clock,
      ...options,
      ...more,
    });
  return {
    server,
    clock,
    http,
    operations: make({}),
    with: make,
    close: async () => {
      http.close();
      await server.close();
    },
  };
}

/** The same, and each endpoint answers as a server does where nothing is wrong. */
export async function setUpAnswering(): Promise<Setup> {
  const setup = await setUp();
  setup.server.on('/token_endpoint', countingTokens());
  setup.server.on('/introspection_endpoint', replyJson({ active: true }));
  setup.server.on('/revocation_endpoint', replyRaw('', 200));
  return setup;
}

/** A token answer as AuthPlane gives it; members may be replaced, or left out with `undefined`. */
export function tokenBody(
  members: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    access_token: 'issued-token',
    token_type: 'Bearer',
    expires_in: 3600,
    issued_token_type: ACCESS_TOKEN_TYPE,
    ...members,
  };
}

/** A new token for each request: `token-1`, `token-2`, … */
export function countingTokens(members: Readonly<Record<string, unknown>> = {}): Reply {
  let count = 0;
  return (response, request) =>
    replyJson(tokenBody({ access_token: `token-${++count}`, ...members }))(response, request);
}

/** An unsigned JWT: nobody verifies a subject token here. */
export function jwt(claims: Readonly<Record<string, unknown>>): string {
  const encode = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'none' })}.${encode(claims)}.c2ln`;
}

/** What an asynchronous call throws; fails when it does not. */
export async function thrownBy(call: Promise<unknown>): Promise<unknown> {
  const outcome = await call.then(
    () => ({ ok: true as const }),
    (error: unknown) => ({ ok: false as const, error }),
  );
  if (outcome.ok) throw new Error('nothing was thrown');
  return outcome.error;
}
