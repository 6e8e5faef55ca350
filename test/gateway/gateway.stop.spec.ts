import { McpServer as LegacyMcpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { none } from 'authplane-nestjs/gateway';
import { startGateway } from '../support/gateway/gateway-app.js';
import { startLegacyUpstream } from '../support/gateway/legacy-servers.js';
import { searchServer, startUpstream } from '../support/gateway/upstream-servers.js';
import { platforms } from '../support/nest/start-app.js';
import { until } from '../support/time/until.js';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** Connections to these ports that this process has open as their client. */
class ClientSockets {
  readonly open = new Set<Socket>();
  readonly #ports: ReadonlySet<number>;
  readonly #made = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    socket.once('connect', () => {
      if (!this.#ports.has(socket.remotePort ?? 0)) return;
      this.open.add(socket);
      socket.once('close', () => this.open.delete(socket));
    });
  };

  constructor(urls: readonly string[]) {
    this.#ports = new Set(urls.map((url) => Number(new URL(url).port)));
    subscribe('net.client.socket', this.#made);
  }

  end(): void {
    unsubscribe('net.client.socket', this.#made);
  }
}

test.each(platforms)(
  '14.2: idle connections to upstreams keep no %s from ending, and none is left',
  async (platform) => {
    const young = await startUpstream(searchServer);
    const old = await startLegacyUpstream(() => {
      const server = new LegacyMcpServer({ name: 'old', version: '1' });
      server.registerTool('hello', {}, () => ({ content: [] }));
      return server;
    });
    const sockets = new ClientSockets([young.url, old.url]);
    const upstreams = {
      young: { url: young.url, token: none() },
      old: { url: old.url, token: none() },
    };
    const app = await startGateway({ platform, gateway: { upstreams } });
    const calls = ['young__web', 'old__hello', 'young__web'].map((name) =>
      app.ask('tools/call', { name, arguments: {} }),
    );
    for (const { status } of await Promise.all(calls)) expect(status).toBe(200);
    await until(() => old.sessions.size === 0); // whatever is under way has ended
    expect(sockets.open.size).toBeGreaterThan(0);
    await app.app.close();
    await until(() => sockets.open.size === 0);
    sockets.end();
    await app.close();
    await Promise.all([young.stop(), old.stop()]);
  },
);
