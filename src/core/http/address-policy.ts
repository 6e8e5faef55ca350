/**
 * Which addresses the other side of a call may have. Pure: nothing here resolves or connects.
 */

import type { BlockList } from 'node:net';
import { node } from '../platform/node.js';
import { notAnAddressError, refusedAddressError } from './errors.js';

/** An IP address as name resolution answers it. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

type AddressTable = readonly (readonly [cidr: string, why: string])[];

/** The IANA special-purpose blocks that are not globally reachable, and what else is no AS. */
const REFUSED_IPV4 = judges([
  ['0.0.0.0/8', 'this network, RFC 791'],
  ['10.0.0.0/8', 'private, RFC 1918'],
  ['100.64.0.0/10', 'shared by carriers, RFC 6598'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local, cloud metadata, RFC 3927'],
  ['168.63.129.16/32', 'Azure platform services'],
  ['172.16.0.0/12', 'private, RFC 1918'],
  ['192.0.0.0/24', 'IETF protocol assignments, RFC 6890'],
  ['192.0.2.0/24', 'documentation, RFC 5737'],
  ['192.88.99.0/24', '6to4 relay, RFC 7526'],
  ['192.168.0.0/16', 'private, RFC 1918'],
  ['198.18.0.0/15', 'benchmarking, RFC 2544'],
  ['198.51.100.0/24', 'documentation, RFC 5737'],
  ['203.0.113.0/24', 'documentation, RFC 5737'],
  ['224.0.0.0/4', 'multicast, RFC 5771'],
  ['240.0.0.0/4', 'reserved, RFC 1112'],
]);

/**
 * Only 2000::/3 is global unicast (RFC 4291 §2.4); the rows outside it are here for the message.
 * Ranges that embed an IPv4 address are refused whole, whatever they embed.
 */
const REFUSED_IPV6 = judges([
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['::/96', 'IPv4-compatible, RFC 4291'],
  ['::ffff:0:0/96', 'IPv4-mapped, RFC 4291'],
  ['::ffff:0:0:0/96', 'IPv4-translated, RFC 2765'],
  ['64:ff9b::/96', 'NAT64, RFC 6052'],
  ['64:ff9b:1::/48', 'NAT64, RFC 8215'],
  ['2001::/23', 'IETF protocol assignments and Teredo, RFC 2928'],
  ['2001:db8::/32', 'documentation, RFC 3849'],
  ['2002::/16', '6to4, RFC 3056'],
  ['3fff::/20', 'documentation, RFC 9637'],
  ['5f00::/16', 'segment routing, RFC 9602'],
  ['fc00::/7', 'private, RFC 4193'],
  ['fe80::/10', 'link-local, RFC 4291'],
  ['fec0::/10', 'site-local, RFC 3879'],
  ['ff00::/8', 'multicast, RFC 4291'],
]);

const GLOBAL_UNICAST_IPV6 = judges([['2000::/3', 'global unicast']]);

const ALLOWED_IN_DEV_MODE = judges([
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared by carriers'],
  ['127.0.0.0/8', 'loopback'],
  ['172.16.0.0/12', 'private'],
  ['192.168.0.0/16', 'private'],
  ['::1/128', 'loopback'],
  ['fc00::/7', 'private'],
]);

/** Instance metadata hands out credentials, and sits inside blocks that devMode allows. */
const CLOUD_METADATA = judges([
  ['100.100.100.200/32', 'Alibaba Cloud metadata'],
  ['fd00:ec2::/32', 'AWS instance services'],
  ['fd20:ce::/32', 'Google Cloud metadata'],
]);

type Judge = (address: string, family: 4 | 6) => string | undefined;

interface Block {
  readonly list: BlockList;
  readonly family: 4 | 6;
}

/** The `why` of the first block that holds the address. */
function judges(table: AddressTable): Judge {
  let rows: readonly (Block & { readonly why: string })[] | undefined; // made when an address is judged
  return (address, family) => {
    rows ??= table.map(([cidr, why]) => ({ why, ...block(cidr) }));
    const holds = (row: Block) => row.family === family && row.list.check(address, ipName(family));
    return rows.find(holds)?.why;
  };
}

function block(cidr: string): Block {
  const [network = '', prefix] = cidr.split('/');
  const family = network.includes(':') ? 6 : 4; // not `isIP`, whose expressions cost more than the table
  const list = new node.net.BlockList();
  list.addSubnet(network, Number(prefix), ipName(family));
  return { list, family };
}

function ipName(family: 4 | 6): 'ipv4' | 'ipv6' {
  return family === 4 ? 'ipv4' : 'ipv6';
}

/**
 * Whether an address is a plain public unicast one. `false` for every IANA special-purpose block
 * that is not globally reachable, multicast, IPv6 that embeds IPv4, zone ids and anything that is
 * not an IP address in its usual spelling.
 */
export function isPublicAddress(address: string): boolean {
  const family = familyOf(address);
  return family !== undefined && whyNotPublic(address, family) === undefined;
}

/** A zone id (`fe80::1%eth0`) names an interface of this host; `isIP` lets it pass. */
function familyOf(address: string): 4 | 6 | undefined {
  const version = address.includes('%') ? 0 : node.net.isIP(address);
  return version === 4 || version === 6 ? version : undefined;
}

function whyNotPublic(address: string, family: 4 | 6): string | undefined {
  if (family === 4) return REFUSED_IPV4(address, family);
  const why = REFUSED_IPV6(address, family);
  if (why !== undefined) return why;
  return GLOBAL_UNICAST_IPV6(address, family) ? undefined : 'not global unicast, RFC 4291';
}

function allowedInDevMode(address: string, family: 4 | 6): boolean {
  if (CLOUD_METADATA(address, family) !== undefined) return false;
  return ALLOWED_IN_DEV_MODE(address, family) !== undefined;
}

/** For one host. */
export interface AddressPolicy {
  readonly host: string;
  readonly devMode: boolean;
  /** What reaches a private network besides `devMode`, for the message. Default: the option `fetch`. */
  readonly wayOut?: string;
}

/**
 * The address, when the host may have it: a public one, with `devMode` also loopback and private
 * networks, never cloud metadata.
 *
 * @throws OutboundHttpError (`address_refused`)
 */
export function judgedAddress(
  address: string,
  { host, devMode, wayOut }: AddressPolicy,
): ResolvedAddress {
  const family = familyOf(address);
  if (family === undefined) throw notAnAddressError(host);
  const why = whyNotPublic(address, family);
  if (why === undefined) return { address, family };
  const local = allowedInDevMode(address, family);
  if (devMode && local) return { address, family };
  throw refusedAddressError(`${address} of ${host}`, why, local, wayOut);
}
