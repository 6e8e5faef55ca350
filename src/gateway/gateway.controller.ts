import {
  All,
  Controller,
  Inject,
  type OnModuleInit,
  Req,
  Res,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { AuthplaneGuard } from '../nest/authplane.guard.js';
import { McpEndpoint, Scopes, UseResource } from '../nest/authplane.decorators.js';
import {
  type ProtectedResource,
  ProtectedResources,
} from '../nest/resources/protected-resources.js';
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
  class GatewayController implements OnModuleInit {
    constructor(
      @Inject(gatewayToken(name)) private readonly gateway: McpGateway,
      @Inject(ProtectedResources) private readonly resources: ProtectedResources,
    ) {}

    onModuleInit(): void {
      const text = pathProblem(path, this.resources.endpoint(name));
      if (text === undefined) return;
      this.resources.events.emit({ type: 'set_up', text, isDoubtful: true });
    }

    @All()
    handle(@Req() request: PlatformRequest, @Res() reply: PlatformReply): Promise<void> {
      return this.gateway.serve(request, reply);
    }
  }
  if (name !== undefined) UseResource(name)(GatewayController);
  if (scopes.length > 0) Scopes(...scopes)(GatewayController);
  return GatewayController;
}

/** A client that finds another URL in the metadata than the one it has called goes no further (RFC 9728 §3.3). */
function pathProblem(path: string, { many, resource }: ProtectedResource): string | undefined {
  const own = path
    .split('/')
    .filter((part) => part !== '')
    .join('/');
  const { pathname } = new URL(resource.resource);
  const isThere = own === '' || `${pathname}/`.endsWith(`/${own}/`);
  if (many !== undefined || isThere) return undefined;
  return (
    `the gateway is at /${own}, and tells clients that it is ${resource.resource}: set resource (AUTHPLANE_RESOURCE) ` +
    `to its public URL, unless a proxy leads from there to here`
  );
}
