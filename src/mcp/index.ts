/**
 * `authplane-nestjs/mcp`: what MCP servers need besides the guard. Consent of the user for services
 * behind a tool, asked for as URL elicitation.
 *
 * @packageDocumentation
 */

export { type ConsentPolicy, consentUrlProblem } from '../core/calls/consent-url.js';
export {
  type ConsentAnswer,
  type ConsentResponses,
  consentKey,
  consentResponses,
  type ElicitationOptions,
  hasUrlElicitation,
  type InputRequiredResult,
  isConsentRequired,
  type ProtocolEra,
  protocolEra,
  requestsUrlElicitation,
  stableElicitationId,
  toElicitation,
  type ToolErrorResult,
  URL_ELICITATION_REQUIRED,
  type UrlElicitation,
} from './answers/consent.js';
export { type ConsentOptions, ConsentRefusedError } from './answers/consent-flow.js';
export { AuthplaneMcpExceptionFilter } from './mcp-nest/mcp.exception-filter.js';
export { AuthplaneMcpInterceptor, WithConsent } from './mcp-nest/mcp.interceptor.js';
export { requires } from './sdk/requires.js';
export { scoped, type ScopedOptions } from './sdk/scoped.js';
export { withConsent } from './sdk/with-consent.js';
export { type McpServe, type PlatformReply, type PlatformRequest, serveMcp } from './serve-mcp.js';
