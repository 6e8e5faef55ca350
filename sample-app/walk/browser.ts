import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The loopback address to which the authorization server sends the user's browser back. */
export class CallbackListener {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<CallbackListener> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CallbackListener(server);
  }

  get redirectUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/callback`;
  }

  /** The next callback with its code, once the user has decided. */
  callback(): Promise<URL> {
    return new Promise((resolve) => {
      this.#server.on('request', (request, response) => {
        const url = new URL(request.url ?? '/', this.redirectUrl);
        if (url.pathname !== '/callback') return void response.writeHead(404).end();
        response.end('You can close this page.');
        this.#server.removeAllListeners('request');
        resolve(url);
      });
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
