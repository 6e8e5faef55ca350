import type { InjectionToken } from '@nestjs/common';
import { GatewayUpstreams } from './gateway-upstreams.js';
import { McpGateway } from './gateway.js';

/** Injection token of the `McpGateway` that `forRoot({ name })` has made; the class without a name. */
export function gatewayToken(name?: string): InjectionToken<McpGateway> {
  return name === undefined ? McpGateway : Symbol.for(`authplane-nestjs:gateway:${name}`);
}

/** Injection token of the `GatewayUpstreams` of a named gateway; the class without a name. */
export function gatewayUpstreamsToken(name?: string): InjectionToken<GatewayUpstreams> {
  return name === undefined
    ? GatewayUpstreams
    : Symbol.for(`authplane-nestjs:gateway-upstreams:${name}`);
}
