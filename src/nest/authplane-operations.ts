import { Injectable } from '@nestjs/common';
import type { McpOperation } from '../core/mcp/json-rpc.js';
import type { ScopeRequirement } from '../core/mcp/scope-requirement.js';
import type { VerifiedClaims } from '../core/token/verified-claims.js';
import type { AuthplaneResource } from '../core/resource.js';
import { runningResource } from './http/request.js';
import { isVisible, useOf } from './mcp/answers/lists.js';
import { ProtectedResources } from './resources/protected-resources.js';

/** A tool, resource or prompt, and the named resource (`forFeature`) whose rules count, if not the main one. */
export interface OperationQuery extends Pick<McpOperation, 'kind' | 'name'> {
  /** Name given to `forFeature`. Default: the main resource. */
  readonly resource?: string;
}

/** What a tool, resource (by URI or URI template) or prompt needs. */
export interface OperationDeclaration extends OperationQuery {
  /** What callers need. */
  readonly scopes: ScopeRequirement;
  /** Wins over the option `mcp.list`. */
  readonly list?: 'show' | 'hide';
}

/**
 * What a caller may know of, for servers that are wired by hand: to leave out tools per request, or to
 * describe them in the instructions. The guard needs no help with either lists or calls.
 */
@Injectable()
export class AuthplaneOperations {
  /** @internal Made by Nest. */
  constructor(private readonly resources: ProtectedResources) {}

  /** `false` for what is hidden (`list: 'hide'`) and whose scopes the caller lacks. */
  isVisible({ kind, name, resource }: OperationQuery, claims: VerifiedClaims): boolean {
    const { mcp, resource: protectedResource } = this.resources.endpoint(resource);
    return isVisible(useOf({ kind, name }), mcp.scopes, {
      claims,
      method: claims.method,
      resource: uriIn(runningResource(), protectedResource),
    });
  }

  /**
   * Makes a requirement known to the guard, as `scoped` of `authplane-nestjs/mcp` does with each
   * registration. It adds up with what is known already and stays known; a rule replaces the earlier
   * rule of the same name.
   *
   * @throws ConfigurationError for a resource that is unknown, or no MCP endpoint (`mcp: false`).
   */
  declare({ kind, name, scopes, list, resource }: OperationDeclaration): void {
    this.resources.endpoint(resource).mcp.learn({ kind, name, requirement: scopes, list });
  }
}

/** Of many resources the one that the running request was let in for. */
function uriIn(running: AuthplaneResource | undefined, asked: AuthplaneResource): string {
  return running?.family === asked ? running.resource : asked.resource;
}
