import { describe, expect, it } from 'vitest';
import { isPublicAddress, judgedAddress } from '../../../src/core/http/address-policy.js';
import { OutboundHttpError } from '../../../src/core/http/errors.js';
import {
  notReachable,
  OTHER_BLOCKS,
  REFUSED,
  vectors,
} from '../../support/text/special-addresses.js';

const PUBLIC = [
  '1.0.0.0',
  '8.8.8.8',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '168.63.129.15',
  '168.63.129.17',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '223.255.255.255',
  '2000::',
  '2001:200::',
  '2001:4860:4860::8888',
  '2001:db7:ffff:ffff:ffff:ffff:ffff:ffff',
  '2001:db9::',
  '2003::',
  '2606:4700::1111',
  '3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '3fff:1000::',
];

describe('isPublicAddress', () => {
  it.each(REFUSED)('T51 refuses %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(PUBLIC)('accepts %s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each([
    '',
    'localhost',
    'as.example.com',
    '2130706433',
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '8.8.8.8 ',
    '8.8.8.8/32',
    '[2606:4700::1111]',
    '2606:4700::1111%eth0',
    'fe80::1%1',
  ])('refuses %j, which is not a plain IP address', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

const whenVectors = vectors === undefined ? it.skip : it;

describe('the IANA special-purpose registries', () => {
  whenVectors('have no block that is not globally reachable and public here', () => {
    const addresses = notReachable(vectors);
    expect(addresses.length).toBeGreaterThan(100);
    expect(addresses.filter(isPublicAddress)).toEqual([]);
  });

  whenVectors('name no further block whose addresses are not tried here', () => {
    const named = vectors?.other_blocks.map(({ block }) => block) ?? [];
    expect(named.filter((block) => OTHER_BLOCKS[block] === undefined)).toEqual([]);
  });
});

describe('judgedAddress', () => {
  const judge = (address: string, { devMode = false } = {}) =>
    judgedAddress(address, { host: 'as.example.com', devMode });

  it('hands back a public address with its family', () => {
    expect(judge('8.8.8.8')).toEqual({ address: '8.8.8.8', family: 4 });
    expect(judge('2606:4700::1111')).toEqual({ address: '2606:4700::1111', family: 6 });
  });

  it('hands back a private one in devMode, and no cloud metadata', () => {
    expect(judge('10.0.0.5', { devMode: true })).toEqual({ address: '10.0.0.5', family: 4 });
    expect(() => judge('169.254.169.254', { devMode: true })).toThrow(OutboundHttpError);
    expect(() => judge('100.100.100.200', { devMode: true })).toThrow(OutboundHttpError);
  });

  it.each([
    ['10.0.0.5', /10\.0\.0\.5 of as\.example\.com .*RFC 1918\); set devMode/],
    ['169.254.169.254', /devMode does not allow it either/],
    ['fe80::1%eth0', /^as\.example\.com resolves to something .* DNS records or the hosts file/],
  ])('says of %s what to change', (address, message) => {
    expect(() => judge(address)).toThrow(OutboundHttpError);
    expect(() => judge(address)).toThrow(message);
  });
});
