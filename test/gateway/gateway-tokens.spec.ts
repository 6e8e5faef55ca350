import { expect, test } from 'vitest';
import {
  gatewayToken,
  gatewayUpstreamsToken,
  GatewayUpstreams,
  McpGateway,
  UPSTREAM_TOKEN_STRATEGY,
} from 'authplane-nestjs/gateway';

test('without a name they are the classes', () => {
  expect([gatewayToken(), gatewayUpstreamsToken()]).toEqual([McpGateway, GatewayUpstreams]);
});

test('with one they are the same wherever the package is loaded from, and all different', () => {
  expect(gatewayToken('a')).toBe(gatewayToken('a'));
  expect(gatewayToken('a')).toBe(Symbol.for('authplane-nestjs:gateway:a'));
  expect(gatewayUpstreamsToken('a')).toBe(gatewayUpstreamsToken('a'));
  const all = [
    ...[gatewayToken('a'), gatewayToken('b'), gatewayUpstreamsToken('a')],
    ...[gatewayUpstreamsToken('b'), UPSTREAM_TOKEN_STRATEGY],
  ];
  expect(new Set(all).size).toBe(all.length);
});
