import { afterEach, describe, expect, it } from 'vitest';

import { OutboundHttp } from '../../../src/core/http/client.js';
import type { OutboundHttpOptions } from '../../../src/core/http/client.js';
import { REFUSED } from '../../support/text/special-addresses.js';
import {
  cleanUp,
  client,
  failure,
  later,
  lookupOf,
  reasonOf,
  sendJson,
  serve,
  watchConnections,
} from '../../support/servers/http-servers.js';
import { until } from '../../support/time/until.js';

afterEach(cleanUp);

/** The production policy; the `fetch`-less client of an application. */
function production(options: OutboundHttpOptions = {}): OutboundHttp {
  const http = new OutboundHttp(options);
  later(() => http.close());
  return http;
}

function literal(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

describe('an address that is not public', () => {
  it('T51 opens no socket when the URL names it', async () => {
    const attempts = watchConnections();
    const http = production();
    const reasons = await Promise.all(
      REFUSED.map((address) => reasonOf(http.getJson(`https://${literal(address)}/jwks`))),
    );
    expect(new Set(reasons)).toEqual(new Set(['address_refused']));
    expect(attempts).toEqual([]);
  });

  it('T51 opens no socket when the host resolves to it', async () => {
    const attempts = watchConnections();
    for (const address of REFUSED) {
      const lookup = lookupOf(address);
      const work = production({ lookup }).getJson('https://as.example.com/jwks');
      expect([address, await reasonOf(work)]).toEqual([address, 'address_refused']);
      expect(lookup.calls).toEqual(['as.example.com']);
    }
    expect(attempts).toEqual([]);
  });

  it('T51 refuses the host when only one of its addresses is such', async () => {
    const attempts = watchConnections();
    for (const addresses of [
      ['8.8.8.8', '10.0.0.5'],
      ['10.0.0.5', '8.8.8.8'],
      ['8.8.8.8', '2606:4700::1111', '::1'],
    ]) {
      const http = production({ lookup: lookupOf(...addresses) });
      expect(await reasonOf(http.getJson('https://as.example.com/'))).toBe('address_refused');
    }
    expect(attempts).toEqual([]);
  });

  it.each([
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://127.0.0.1./',
    'https://%31%32%37.0.0.1/',
    'https://①②⑦.0.0.1/',
    'https://[::ffff:7f00:1]/',
    'https://[0:0:0:0:0:0:0:1]:8443/',
  ])('T51 is recognised in the spelling %s', async (url) => {
    const attempts = watchConnections();
    expect(await reasonOf(production().getJson(url))).toBe('address_refused');
    expect(attempts).toEqual([]);
  });

  it.each(['0177.0.0.1', 'localhost', '', 'fe80::1%lo', '2606:4700::1111%lo'])(
    'is what a resolver is taken to say with %j',
    async (address) => {
      const attempts = watchConnections();
      const http = production({ lookup: lookupOf(address) });
      expect(await reasonOf(http.getJson('https://as.example.com/'))).toBe('address_refused');
      expect(attempts).toEqual([]);
    },
  );

  it('is named in a message that says what to change', async () => {
    const http = production({ lookup: lookupOf('10.0.0.5') });
    const error = await failure(http.getJson('https://as.example.com/jwks?secret=1'));
    expect(error.code).toBe('outbound_http_error');
    expect(error.message).toBe(
      'the address 10.0.0.5 of as.example.com is not a public one (private, RFC 1918); ' +
        'set devMode for local development, or the fetch option to reach a private network',
    );
  });

  it('does not advise devMode where devMode would not help', async () => {
    const http = production({ lookup: lookupOf('169.254.169.254') });
    const { message } = await failure(http.getJson('https://as.example.com/'));
    expect(message).toContain('devMode does not allow it either');
  });

  it('is refused for a POST alike', async () => {
    const attempts = watchConnections();
    const work = production().postForm('https://127.0.0.1/token', new URLSearchParams({ a: 'b' }));
    expect(await reasonOf(work)).toBe('address_refused');
    expect(attempts).toEqual([]);
  });

  it('is refused with the resolver of the system', async () => {
    const attempts = watchConnections();
    expect(await reasonOf(production().getJson('https://localhost/'))).toBe('address_refused');
    expect(attempts).toEqual([]);
  });
});

describe('devMode', () => {
  it.each([
    '169.254.169.254',
    '169.254.0.1',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '198.18.0.1',
    '203.0.113.1',
    '::',
    'fe80::1',
    'fe80::1%lo',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    'ff02::1',
    'fec0::1',
    '::ffff:127.0.0.1',
    '::7f00:1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
  ])('still refuses %s', async (address) => {
    const attempts = watchConnections();
    const http = client({ lookup: lookupOf('127.0.0.1', address) });
    expect(await reasonOf(http.getJson('http://as.example.com/'))).toBe('address_refused');
    expect(attempts).toEqual([]);
  });

  it.each([
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '::1',
    'fc00::1',
    'fd12:3456::1',
    '8.8.8.8',
    '2606:4700::1111',
  ])('allows %s', async (address) => {
    const attempts = watchConnections({ refuse: true });
    const http = client({ lookup: lookupOf(address) });
    expect(await reasonOf(http.getJson('http://as.example.com/'))).toBe('connection');
    expect(attempts).toHaveLength(1);
  });

  it('is off unless it is exactly true', async () => {
    const http = production({ devMode: 'false' as unknown as boolean });
    expect(await reasonOf(http.getJson('http://127.0.0.1/'))).toBe('url');
  });
});

describe('the connection', () => {
  it('T51 goes to the judged address when the resolver changes its answer', async () => {
    const good = await serve((_, response) => sendJson(response, { server: 'good' }), '127.0.0.1');
    await serve((_, response) => sendJson(response, { server: 'evil' }), '127.0.0.2', good.port);
    const answers = ['127.0.0.1', '127.0.0.2', '127.0.0.2'];
    let calls = 0;
    const http = client({
      lookup: async () => [{ address: answers[calls++] ?? '127.0.0.2', family: 4 }],
    });
    const { json } = await http.getJson(`http://as.example.com:${good.port}/`);
    expect(json).toEqual({ server: 'good' });
    expect(calls).toBe(1);
  });

  it.each(['https', 'http'])(
    'T51 is pinned for both ways in which node asks a %s lookup',
    async (scheme) => {
      const attempts = watchConnections({ refuse: true });
      const lookup = lookupOf('8.8.8.8', '2606:4700::1111');
      const http = scheme === 'http' ? client({ lookup }) : production({ lookup });
      expect(await reasonOf(http.getJson(`${scheme}://as.example.com/`))).toBe('connection');
      const [attempt] = attempts;
      expect(attempt?.host).toBe('as.example.com');
      const seen: unknown[][] = [];
      const note = (...args: unknown[]): void => void seen.push(args);
      attempt?.lookup?.('as.example.com', { all: true }, note);
      attempt?.lookup?.('rebound.example.com', {}, note);
      expect(seen).toEqual([
        [
          null,
          [
            { address: '8.8.8.8', family: 4 },
            { address: '2606:4700::1111', family: 6 },
          ],
        ],
        [null, '8.8.8.8', 4],
      ]);
      expect(lookup.calls).toEqual(['as.example.com']);
    },
  );

  it('13.7: is judged when it is made; one that stands goes where it was judged to go', async () => {
    const { port, sockets } = await serve((_, response) => sendJson(response, {}));
    let address = '127.0.0.1';
    const lookups: string[] = [];
    const http = client({
      lookup: async (host) => {
        lookups.push(host);
        return [{ address, family: 4 }];
      },
    });
    const get = () => http.getJson(`http://as.example.com:${port}/`);
    await get();
    address = '169.254.169.254';
    await get();
    expect([lookups.length, sockets.length]).toEqual([1, 1]);
    for (const socket of sockets) socket.destroy();
    await until(() => sockets.every(({ destroyed }) => destroyed));
    expect(await reasonOf(get())).toBe('address_refused');
    expect(sockets).toHaveLength(1);
  });

  it('13.7: in place of an idle one that is dead is judged, too', async () => {
    const { port, sockets } = await serve((_, response) => sendJson(response, {}));
    let address = '127.0.0.1';
    const http = client({ lookup: async () => [{ address, family: 4 }] });
    const get = () => http.getJson(`http://as.example.com:${port}/`);
    await get();
    address = '169.254.169.254';
    const early = get(); // may be under way when the socket goes
    for (const socket of sockets) socket.resetAndDestroy();
    await early.catch(() => undefined);
    expect(await reasonOf(get())).toBe('address_refused');
    expect(sockets).toHaveLength(1);
  });

  it('uses the next address when the first is dead', async () => {
    const { port } = await serve((_, response) => sendJson(response, { ok: true }), '127.0.0.3');
    const http = client({ lookup: lookupOf('127.0.0.4', '127.0.0.5', '127.0.0.3') });
    expect((await http.getJson(`http://as.example.com:${port}/`)).json).toEqual({ ok: true });
  });

  it('sends a POST once when the first address is dead', async () => {
    const seen: unknown[] = [];
    const { port } = await serve((request, response) => {
      seen.push(request.method);
      sendJson(response, { ok: true });
    }, '127.0.0.2');
    const http = client({ lookup: lookupOf('127.0.0.4', '127.0.0.2') });
    const work = http.postForm(`http://as.example.com:${port}/`, new URLSearchParams({ a: 'b' }));
    expect((await work).status).toBe(200);
    expect(seen).toEqual(['POST']);
  });

  it('fails when every address is dead', async () => {
    const { port } = await serve((_, response) => response.end(), '127.0.0.3');
    const http = client({ lookup: lookupOf('127.0.0.4', '127.0.0.5') }); // nobody else's
    const error = await failure(http.getJson(`http://as.example.com:${port}/`));
    expect(error.reason).toBe('connection');
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('fails when the host has no address or does not resolve', async () => {
    const none = production({ lookup: lookupOf() });
    expect(await reasonOf(none.getJson('https://as.example.com/'))).toBe('connection');
    const failing = production({
      lookup: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    });
    const error = await failure(failing.getJson('https://as.example.com/'));
    expect(error.reason).toBe('connection');
    expect(error.message).toContain('(ENOTFOUND)');
  });

  it('fails when the lookup throws at once', async () => {
    const http = production({
      lookup: () => {
        throw new Error('broken');
      },
    });
    expect(await reasonOf(http.getJson('https://as.example.com/'))).toBe('connection');
  });
});
