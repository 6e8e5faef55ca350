import type { InjectionToken } from '@nestjs/common';
import { GatewayUpstreams } from './gateway-upstreams.js';
import { McpGateway } from './gateway.js';
import type { UpstreamTokenFunction } from './options/token-strategy.js';

/** Injection token of the `McpGateway` that `forRoot({ name })` has made; the class without a name. */
export function gatewayToken(name?: string): InjectionToken<McpGateway> {
  return name === undefined ? McpGateway : Symbol.for(`authplane-nestjs:gateway:${name}`);
}

/**
 * Injection token of a provider that is an `UpstreamTokenFunction`: where the tokens come from of upstreams that have no
 * `token`. From a global module, or one of the `imports` of `forRootAsync`.
 */
export const UPSTREAM_TOKEN_STRATEGY: InjectionToken<UpstreamTokenFunction> = Symbol.for(
  'authplane-nestjs:upstream-token-strategy',
);

/** Injection token of the `GatewayUpstreams` of a named gateway; the class without a name. */
export function gatewayUpstreamsToken(name?: string): InjectionToken<GatewayUpstreams> {
  return name === undefined
    ? GatewayUpstreams
    : Symbol.for(`authplane-nestjs:gateway-upstreams:${name}`);
}
