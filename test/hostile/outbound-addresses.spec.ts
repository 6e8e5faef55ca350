import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AuthorizationServerUnavailableError,
  AuthplaneClient,
  AuthplaneError,
  JWKSFetchError,
  MetadataFetchError,
} from '../../src/core/index.js';
import { startAuthorizationServer } from '../../src/testing/index.js';
import { freePort } from '../support/servers/free-port.js';

/**
 * T51 through the front door: an application that is configured with, or is led to, an address that
 * is not a public one. No socket may be opened, and the error says why.
 */

const VECTORS = '../shared/vectors/iana/special-purpose-addresses.json';
const present = existsSync(VECTORS);
if (!present) console.warn(`SKIPPED: ${VECTORS} is not there, no IANA block was tried`);
const withVectors = present ? it : it.skip;

interface Block {
  readonly block: string;
  readonly globally_reachable: string;
  readonly first: string;
  readonly middle: string;
  readonly last: string;
}

/** Cloud metadata, embedded IPv4 and blocks outside the registries. */
const OTHERS = [
  ...['169.254.169.254', '168.63.129.16', '100.100.100.200', '224.0.0.1', '239.255.255.255'],
  ...['[fd00:ec2::254]', '[fd20:ce::254]', '[::ffff:169.254.169.254]', '[::ffff:8.8.8.8]'],
  ...['[::127.0.0.1]', '[64:ff9b::a9fe:a9fe]', '[2002:7f00:1::]', '[fec0::1]', '[ff02::1]'],
  ...['[4000::1]', '[::ffff:0:7f00:1]', '[2001:0:4136:e378:8000:63bf:3fff:fdd2]'],
];

/** Spellings that WHATWG URLs read as an address. */
const SPELLINGS = [
  ...['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '0', '127.0.0.1.', '%31%32%37.0.0.1'],
  ...['①②⑦.0.0.1', '[0:0:0:0:0:0:0:1]', '[::FFFF:7F00:0001]', '3232235521', '0xa9fea9fe'],
];

/** Sockets that were made or connected since the test began, by any means. */
let sockets: unknown[];

function note(message: unknown): void {
  sockets.push(message);
}

const connect = Reflect.get(net.Socket.prototype, 'connect') as (...args: unknown[]) => net.Socket;

function watched(this: net.Socket, ...args: unknown[]): net.Socket {
  note(args);
  return connect.apply(this, args);
}

beforeEach(() => {
  sockets = [];
  subscribe('net.client.socket', note);
  Object.assign(net.Socket.prototype, { connect: watched });
});

afterEach(() => {
  unsubscribe('net.client.socket', note);
  Object.assign(net.Socket.prototype, { connect });
});

function literal(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

function addressesOf(blocks: readonly Block[]): string[] {
  return blocks.flatMap(({ first, middle, last }) => [first, middle, last].map(literal));
}

/** The refusal of each host as a text; one that is not refused as it should be stands out. */
async function refusals(hosts: readonly string[], devMode = false): Promise<string[]> {
  const outcomes = hosts.flatMap((host) =>
    ['', ':8443'].map(async (port) => {
      const issuer = `https://${host}${port}`;
      const error: unknown = await AuthplaneClient.create({ issuer, devMode }).then(
        (client) => client.close(),
        (thrown: unknown) => thrown,
      );
      return isRefusal(error) ? 'refused' : `${issuer}: ${String(error)}`;
    }),
  );
  return [...new Set(await Promise.all(outcomes))];
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof MetadataFetchError ? error.cause : undefined;
  return (
    cause instanceof AuthplaneError &&
    Reflect.get(cause, 'reason') === 'address_refused' &&
    /is not a public one \(.+\)/.test(cause.message)
  );
}

describe('T51: an issuer at an address that is not public', () => {
  withVectors('opens no socket for any block of the IANA registries', async () => {
    const { ipv4, ipv6 } = JSON.parse(readFileSync(VECTORS, 'utf8')) as Record<
      'ipv4' | 'ipv6',
      readonly Block[]
    >;
    const blocks = [...ipv4, ...ipv6].filter((entry) => entry.globally_reachable !== 'True');
    expect(blocks.length).toBeGreaterThan(30);
    const hosts = [...new Set(addressesOf(blocks))];
    expect(hosts.length).toBeGreaterThan(80);
    expect(await refusals(hosts)).toEqual(['refused']);
    expect(sockets).toEqual([]);
  });

  it('opens no socket for cloud metadata and embedded addresses', async () => {
    expect(await refusals(OTHERS)).toEqual(['refused']);
    expect(sockets).toEqual([]);
  });

  it.each(SPELLINGS.filter((host) => /^[\x21-\x7e]+$/.test(host)))(
    'opens no socket in the spelling %s',
    async (host) => {
      expect(await refusals([host])).toEqual(['refused']);
      expect(sockets).toEqual([]);
    },
  );

  it.each(SPELLINGS.filter((host) => !/^[\x21-\x7e]+$/.test(host)))(
    'is a wrong option in the spelling %s',
    async (host) => {
      const created = AuthplaneClient.create({ issuer: `https://${host}` });
      await expect(created).rejects.toMatchObject({ code: 'configuration_error' });
      expect(sockets).toEqual([]);
    },
  );

  it('opens no socket by a lazy start either, nor by its retries', async () => {
    const told: string[] = [];
    const client = await AuthplaneClient.create({
      issuer: 'https://10.0.0.5',
      startup: 'lazy',
      onBackgroundFailure: (error) => told.push(error.code),
    });
    await expect(client.exchange({ subjectToken: 't' })).rejects.toThrow(MetadataFetchError);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    client.close();
    expect(client.isReady).toBe(false);
    expect(new Set(told)).toEqual(new Set(['metadata_fetch_error']));
    expect(sockets).toEqual([]);
  });

  it('opens no socket in devMode where even development has no business', async () => {
    const never = ['0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', '192.0.2.1'];
    const v6 = ['[::]', '[fe80::1]', '[fd00:ec2::254]', '[2001:db8::1]', '[::ffff:127.0.0.1]'];
    expect(await refusals([...never, ...v6], true)).toEqual(['refused']);
    expect(sockets).toEqual([]);
  });

  it('is noticed by this test when a socket is opened', async () => {
    const port = await freePort();
    sockets = [];
    const created = AuthplaneClient.create({ issuer: `http://127.0.0.1:${port}`, devMode: true });
    await expect(created).rejects.toThrow(MetadataFetchError);
    const seenBy = sockets.map((entry) => (Array.isArray(entry) ? 'method' : 'channel'));
    expect(new Set(seenBy)).toEqual(new Set(['channel', 'method']));
  });
});

describe('T51: metadata that lead to an address that is never allowed', () => {
  const TRAPS = ['http://169.254.169.254/latest', 'http://[fd00:ec2::254]/', 'https://192.0.2.7/x'];

  /** To the authorization server itself connections are fine. */
  function elsewhere(port: string): unknown[] {
    return sockets.filter((entry) => Array.isArray(entry) && !JSON.stringify(entry).includes(port));
  }

  it.each(TRAPS)('jwks_uri %s: no client', async (trap) => {
    const server = await startAuthorizationServer();
    try {
      server.overrideMetadata({ jwks_uri: trap });
      const created = AuthplaneClient.create({ issuer: server.issuer, devMode: true });
      await expect(created).rejects.toThrow(JWKSFetchError);
      expect(elsewhere(new URL(server.issuer).port)).toEqual([]);
      expect(sockets.length).toBeGreaterThan(0);
    } finally {
      await server.close();
    }
  });

  it.each(TRAPS)('endpoints at %s: no token goes there', async (trap) => {
    const server = await startAuthorizationServer();
    server.overrideMetadata({
      token_endpoint: trap,
      introspection_endpoint: trap,
      revocation_endpoint: trap,
    });
    const auth = { clientId: 'me', clientSecret: 'secret' };
    const client = await AuthplaneClient.create({ issuer: server.issuer, devMode: true, auth });
    try {
      for (const call of [
        () => client.exchange({ subjectToken: 't' }),
        () => client.clientCredentials(),
        () => client.introspect('t'),
        () => client.revoke('t'),
      ]) {
        const error: unknown = await call().catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(AuthorizationServerUnavailableError);
        expect((error as Error).message).toContain('is not a public one');
      }
      expect(elsewhere(new URL(server.issuer).port)).toEqual([]);
    } finally {
      client.close();
      await server.close();
    }
  });
});
