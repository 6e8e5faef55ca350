import type { McpOperation } from '../../core/mcp/json-rpc.js';
import type { RequirementSource, ToldRequirement } from '../../core/mcp/requirement-sources.js';
import { isStandIn } from './stand-ins.js';
import type { UpstreamNames } from './upstream-names.js';

/** What the rules of upstreams ask of callers, as the guard of the gateway's endpoint asks for it. */
export class GatewayScopes implements RequirementSource {
  readonly #names: () => Iterable<UpstreamNames>;

  /** @param names of the upstreams that are there when it is asked. */
  constructor(names: () => Iterable<UpstreamNames>) {
    this.#names = names;
  }

  matching({ kind, name }: Pick<McpOperation, 'kind' | 'name'>): readonly ToldRequirement[] {
    if (isStandIn(name)) return [];
    const demands: ToldRequirement[] = [];
    for (const names of this.#names()) demands.push(...names.demandsOf(kind, name));
    return demands;
  }
}
