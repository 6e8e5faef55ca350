import { ConfigurationError } from '../../../core/errors/configuration-error.js';
import type { HostOperation, HostOwner, McpHost } from '../../../core/mcp/mcp-host.js';
import type {
  DiscoveredHost,
  HostedOperation,
  KnownClass,
  KnownMethod,
  ModuleOf,
  Modules,
} from './mcp-discovery.js';
import { mcpNest } from './mcp-nest.js';
import { mcpNestjs } from './mcp-nestjs.js';
import type { HostLibrary } from './host-library.js';
import type { ClassLike } from '../../marks/handler-marks.js';

/** All that are built in. */
export const HOST_LIBRARIES: readonly HostLibrary[] = [mcpNest, mcpNestjs];

/**
 * The hosts that are in this application. Who runs a decorated method is told by a module class or a
 * provider that is there, never by metadata: several libraries use the same keys and other names.
 */
export function discoveredHosts(modules: Modules, given: readonly McpHost[]): DiscoveredHost[] {
  const present = given.filter(({ owner }) => isPresent(modules, owner)).map(asDiscovered);
  return [...HOST_LIBRARIES.flatMap((library) => library.hosts(modules)), ...present];
}

/** Whether it is marked as one, by whichever library: a key does not tell. */
export function isMcpOperation(method: object): boolean {
  return HOST_LIBRARIES.some((library) => library.isOperation(method));
}

/** Which library has made the controller, or has put its transport there. */
export function libraryOf(type: ClassLike, module: ModuleOf): HostLibrary | undefined {
  return HOST_LIBRARIES.find((library) => library.ownsController(type, module));
}

/** Whether the controller runs operations where no message is judged. */
export function runsElsewhere(type: ClassLike, module: ModuleOf): boolean {
  return HOST_LIBRARIES.some((library) => library.runsElsewhere(type, module));
}

/** Whether the controller serves transports of a library. */
export function isHostController({
  type,
  isController,
  library,
}: Pick<KnownClass, 'type' | 'isController' | 'library'>): boolean {
  const isTransport = () => HOST_LIBRARIES.some((one) => one.isTransport(type));
  return isController && (library !== undefined || isTransport());
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
