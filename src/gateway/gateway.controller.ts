import { All, Controller, Inject, Req, Res, type Type, UseGuards } from '@nestjs/common';
import { AuthplaneGuard } from '../nest/authplane.guard.js';
import { McpEndpoint, Scopes, UseResource } from '../nest/authplane.decorators.js';
import type { PlatformReply, PlatformRequest } from '../mcp/serve-mcp.js';
import type { McpGateway } from './gateway.js';
import { gatewayToken } from './gateway-tokens.js';

/** Where the controller is, and what its callers need. */
export interface GatewayRoute {
  readonly path: string;
  readonly name: string | undefined;
  readonly scopes: readonly string[];
}

/** The controller that `path` registers. */
export function gatewayController({ path, name, scopes }: GatewayRoute): Type {
  @Controller(path)
  @UseGuards(AuthplaneGuard)
  @McpEndpoint()
  class GatewayController {
    constructor(@Inject(gatewayToken(name)) private readonly gateway: McpGateway) {}

    @All()
    handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
      return this.gateway.serve(request, reply);
    }
  }
  if (name !== undefined) UseResource(name)(GatewayController);
  if (scopes.length > 0) Scopes(...scopes)(GatewayController);
  return GatewayController;
}
