/**
 * `authplane-nestjs/gateway`: one guarded MCP endpoint in front of many MCP servers, each of which gets
 * tokens of its own.
 *
 * @packageDocumentation
 */

export type {
  DecisionCaller,
  DecisionListener,
  DecisionOutcome,
  GatewayDecision,
} from './decisions.js';
export { McpGateway } from './gateway.js';
export {
  GatewayTool,
  type GatewayToolCall,
  type GatewayToolContent,
  type GatewayToolOptions,
  type GatewayToolProgress,
  type GatewayToolResult,
  type GatewayToolStructure,
} from './local/gateway-tool.js';
export type { StandardSchema } from './local/tool-schema.js';
export type { ListKind } from './listing/list-kinds.js';
export type { GatewayCallOptions } from './own-calls.js';
export {
  AuthplaneGatewayModule,
  type AuthplaneGatewayOptionsFactory,
  type GatewayModuleAsyncOptions,
  type GatewayModuleExtras,
  type GatewayModuleOptions,
} from './gateway.module.js';
export { gatewayToken, gatewayUpstreamsToken, UPSTREAM_TOKEN_STRATEGY } from './gateway-tokens.js';
export { GatewayUpstreams, type OfferedTool, type UpstreamState } from './gateway-upstreams.js';
export type { AuthplaneGatewayOptions, ListenStreamOptions } from './options/gateway-options.js';
export type { GatewayCaller } from './options/gateway-caller.js';
export {
  clientCredentials,
  type ClientCredentialsStrategy,
  type ClientCredentialsStrategyOptions,
  exchange,
  type ExchangeStrategy,
  type ExchangeStrategyOptions,
  none,
  type NoTokenStrategy,
  type TokenStrategy,
  type UpstreamToken,
  type UpstreamTokenFunction,
  type UpstreamTokenRequest,
} from './options/token-strategy.js';
export type {
  GatewayView,
  GatewayViewRequest,
  ShownOperation,
  ViewedKind,
} from './options/view.js';
export type { InMemoryServer } from './options/in-memory-server.js';
export type { PinFile, PinMode } from './options/pins.js';
export type {
  OperationRule,
  OperationRules,
  ResourceRule,
  UpstreamBreakerOptions,
  UpstreamOptions,
  WatchStrategy,
} from './options/upstream-options.js';
export type { BreakerState } from './upstream/upstream-breaker.js';
export {
  UnknownOperationError,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamErrorOptions,
} from './wire/gateway-errors.js';
