import { type AuthplaneModuleOptions, AuthplaneClient, type DPoPSigner } from 'authplane-nestjs';
import {
  type AuthorizationServerOptions,
  type BrokerOptions,
  type StandInAuthorizationServer,
  startAuthorizationServer,
} from 'authplane-nestjs/testing';
import { TravelClock } from './travel-clock.js';
import { gateway, GatewayTasks, orders, receiveInto, Received } from './operations-apps.js';
import { ON_LOOPBACK, freePort, type Platform, type RunningApp, startApp } from './start-app.js';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const GATEWAY_CLIENT = { clientId: 'gateway', clientSecret: 'gateway secret+/%' };
export const GATEWAY_SLUG = 'gateway-mcp';

/** A gateway, the service behind it, a vault, and the authorization server of all. */
export interface OperationsSystem {
  readonly authorizationServer: StandInAuthorizationServer;
  readonly clock: TravelClock;
  readonly tasks: GatewayTasks;
  /** What reached the service behind the gateway. */
  readonly received: Received;
  readonly gateway: RunningApp;
  readonly client: AuthplaneClient;
  readonly gatewayUri: string;
  readonly ordersUri: string;
  /** A token of this user for the gateway. */
  token(user: string, claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Calls the gateway as the owner of this token. */
  call(token: string, task?: string): Promise<{ status: number; body: unknown; headers: Headers }>;
  close(): Promise<void>;
}

export interface SystemOptions {
  readonly authorizationServer?: AuthorizationServerOptions;
  readonly gateway?: Partial<AuthplaneModuleOptions>;
  readonly orders?: Partial<AuthplaneModuleOptions>;
  readonly broker?: BrokerOptions;
  /** Whether the gateway's client is bound to the gateway's resource. Default `true`. */
  readonly bound?: boolean;
  readonly dpop?: DPoPSigner;
}

export async function startSystem(
  platform: Platform,
  options: SystemOptions = {},
): Promise<OperationsSystem> {
  const clock = new TravelClock();
  const tasks = new GatewayTasks();
  const received = new Received();
  const [gatewayPort, ordersPort] = [await freePort(), await freePort()];
  const gatewayUri = `http://127.0.0.1:${gatewayPort}/gateway`;
  const ordersUri = `http://127.0.0.1:${ordersPort}/orders`;
  const authorizationServer = await startAuthorizationServer({
    now: clock.now,
    clients: [
      {
        ...GATEWAY_CLIENT,
        grantTypes: [TOKEN_EXCHANGE, 'client_credentials'],
        scope: 'orders:read gateway:use',
      },
    ],
    resources: [
      {
        uri: gatewayUri,
        slug: GATEWAY_SLUG,
        scopes: ['gateway:use'],
        policy: options.bound === false ? {} : { runtimeClients: [GATEWAY_CLIENT.clientId] },
      },
      { uri: ordersUri, slug: 'orders', scopes: ['orders:read', 'orders:write'] },
      {
        uri: 'https://calendar.example.com/v3',
        slug: 'calendar',
        scopes: ['calendar.read'],
        broker: options.broker ?? { provider: 'example' },
      },
    ],
    fronting: [
      { source: GATEWAY_SLUG, target: 'orders', scopeMap: { 'gateway:use': ['orders:read'] } },
      { source: GATEWAY_SLUG, target: 'calendar', scopeMap: { 'gateway:use': ['calendar.read'] } },
    ],
    ...options.authorizationServer,
  });
  const { issuer } = authorizationServer;
  const service = await startApp(
    orders({ issuer, resource: ordersUri, ...ON_LOOPBACK, clock, ...options.orders }, received),
    { platform, port: ordersPort, configure: (app) => app.use(receiveInto(received)) },
  );
  const running = await startApp(
    gateway(
      {
        issuer,
        resource: gatewayUri,
        asCredentials: GATEWAY_CLIENT,
        ...ON_LOOPBACK,
        clock,
        ...(options.dpop === undefined ? {} : { dpop: options.dpop }),
        ...options.gateway,
      },
      tasks,
    ),
    { platform, port: gatewayPort },
  );
  return {
    authorizationServer,
    clock,
    tasks,
    received,
    gateway: running,
    client: running.app.get(AuthplaneClient),
    gatewayUri,
    ordersUri,
    token: (user, claims = {}) =>
      authorizationServer.issueToken({
        sub: user,
        client_id: 'agent-1',
        aud: [gatewayUri],
        scope: 'gateway:use',
        ...claims,
      }),
    call: async (token, task) => {
      const authorization = `Bearer ${token}`;
      const response = await (task === undefined
        ? fetch(`${gatewayUri}/me`, { headers: { authorization } })
        : fetch(`${gatewayUri}/run`, {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify({ task }),
          }));
      const body: unknown = await response.json();
      return { status: response.status, body, headers: response.headers };
    },
    close: async () => {
      await running.close();
      await service.close();
      await authorizationServer.close();
    },
  };
}
