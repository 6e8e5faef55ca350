import { ConfigurationError } from '../../../core/errors/configuration-error.js';
import type { HostOperation, HostOwner, McpHost } from '../../../core/mcp/mcp-host.js';
import type {
  DiscoveredHost,
  HostedOperation,
  KnownMethod,
  ModuleOf,
  Modules,
} from './mcp-discovery.js';
import { mcpNest1, mcpNest2 } from './mcp-nest.js';

/**
 * The hosts that are in this application. Who runs a decorated method is told by a module class or a
 * provider that is there, never by metadata: several libraries use the same keys and other names.
 */
export function discoveredHosts(modules: Modules, given: readonly McpHost[]): DiscoveredHost[] {
  const present = given.filter(({ owner }) => isPresent(modules, owner)).map(asDiscovered);
  return [...mcpNest1(modules), mcpNest2, ...present];
}

function isPresent(modules: Modules, owner: McpHost['owner']): boolean {
  const owners = Array.isArray(owner) ? (owner as readonly HostOwner[]) : [owner as HostOwner];
  return [...modules.values()].some((module) => owners.some((one) => hasOwner(module, one)));
}

function hasOwner({ metatype, providers }: ModuleOf, owner: HostOwner): boolean {
  return metatype === owner || providers.has(owner);
}

function asDiscovered(host: McpHost): DiscoveredHost {
  return {
    name: host.name,
    operationsOn(method, type) {
      const metatype = type as unknown as Parameters<McpHost['operations']>[1];
      return host
        .operations(method.handler, metatype)
        .map((operation) => hosted(host, method, operation));
    },
  };
}

/** @throws ConfigurationError: an operation without a name would be one without a requirement. */
function hosted(
  { name: host }: McpHost,
  method: KnownMethod,
  { kind, name, uri, uriTemplate }: HostOperation,
): HostedOperation {
  const found = kind === 'resource' ? (uri ?? uriTemplate) : (name ?? method.name);
  if (typeof found === 'string' && found !== '') return { kind, name: found };
  throw new ConfigurationError(
    `mcp.hosts: ${host} names no ${kind === 'resource' ? 'uri or uriTemplate' : 'name'} for ${method.name}`,
  );
}
