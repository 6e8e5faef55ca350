import { afterEach, describe, expect, it } from 'vitest';

import { Servers } from '../support/servers/stand-in.js';

const servers = new Servers();
afterEach(() => servers.closeAll());

describe('lifecycle', () => {
  it("rejects with Node's error when the port is taken", async () => {
    const server = await servers.start();
    const port = Number(new URL(server.issuer).port);
    await expect(servers.start({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('gives the port back when the options turn out to be wrong', async () => {
    const server = await servers.start();
    const port = Number(new URL(server.issuer).port);
    await server.close();
    await expect(servers.start({ port, issuer: 'no URL' })).rejects.toThrow('Invalid URL');
    expect((await servers.start({ port })).issuer).toBe(server.issuer);
  });

  it('closes once, also with idle connections, and listens no more', async () => {
    const server = await servers.start();
    await (await fetch(server.metadataUrl)).text();
    await Promise.all([server.close(), server.close()]);
    await server.close();
    await expect(fetch(server.metadataUrl)).rejects.toThrow();
  });
});
