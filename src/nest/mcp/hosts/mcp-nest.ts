import { isObject } from '../../../core/lib/members.js';
import type { HostLibrary } from './host-library.js';
import type {
  DeclaredOperation,
  DiscoveredHost,
  HostedOperation,
  KnownMethod,
  Modules,
} from './mcp-discovery.js';
import {
  dynamicInMcpNest2,
  isBoundController,
  isMcpNest1Module,
  isTransportController,
  MCP_NEST_1,
  MCP_STRATEGY,
  OPERATION_KEYS,
  registeredInMcpNest1,
  serverNamedBy,
  strayTransports,
  unservedInMcpNest2,
} from './mcp-nest-registry.js';

const MCP_NEST_2_TOKENS: ReadonlySet<unknown> = new Set([MCP_STRATEGY, 'MCP_HTTP_HANDLER']);

/** Tokens of libraries that use the same keys as MCP-Nest and make other names of them. */
const LOOK_ALIKES: ReadonlySet<unknown> = new Set(['MCP_MODULE_OPTIONS', 'MCP_INIT']);
const MCP_MODULES: ReadonlySet<string> = new Set(['McpModule', 'McpAdapterModule']);

/** MCP-Nest 1, if it is in the application, and no other library that would run the same methods. */
function mcpNest1(modules: Modules): DiscoveredHost[] {
  const all = [...modules.values()];
  const hasLookAlike = all.some(({ providers }) => [...providers.keys()].some(isLookAlike));
  if (hasLookAlike || !all.some(isMcpNest1Module)) return [];
  return [{ name: MCP_NEST_1, operationsOn }];
}

function isLookAlike(token: unknown): boolean {
  return LOOK_ALIKES.has(plainToken(token));
}

/** MCP-Nest 2. It has no module; its decorators note the transport, whose symbol is its own. */
const mcpNest2: DiscoveredHost = {
  name: 'MCP-Nest 2',
  operationsOn(method) {
    const server = serverNamedBy(Reflect.getMetadata('microservices:transport', method.handler));
    return server === undefined ? [] : operationsOn(method).map((one) => ({ ...one, server }));
  },
};

/** Whether MCP-Nest is in use, which may have mounted a transport that is no route. */
function usesMcpNest(modules: Modules, declared: readonly DeclaredOperation[]): boolean {
  const all = [...modules.values()];
  return (
    declared.some(({ host }) => host === mcpNest2) ||
    all.some(isMcpNest1Module) ||
    all.some(({ providers }) =>
      [...providers.keys()].some((token) => MCP_NEST_2_TOKENS.has(plainToken(token))),
    )
  );
}

/** Whether there is a library at all that serves MCP, as far as modules tell. */
function hasMcpModule(modules: Modules): boolean {
  return [...modules.values()].some(
    ({ metatype, providers }) =>
      MCP_MODULES.has(metatype.name) || [...providers.keys()].some(isLookAlike),
  );
}

function operationsOn({ handler, name: method }: KnownMethod): HostedOperation[] {
  return OPERATION_KEYS.flatMap(([key, kind, member]) => {
    const options: unknown = Reflect.getMetadata(key, handler);
    if (!isObject(options)) return [];
    const given: unknown = Reflect.get(options, member);
    const name = typeof given === 'string' && given !== '' ? given : method; // as MCP-Nest does
    return [{ kind, name }];
  });
}

function plainToken(token: unknown): unknown {
  return typeof token === 'symbol' ? token.description : token;
}

/** MCP-Nest 1.5 to 1.9, and 2. */
export const mcpNest: HostLibrary = {
  name: 'MCP-Nest',
  hosts: (modules) => [...mcpNest1(modules), mcpNest2],
  isOperation: (method) => OPERATION_KEYS.some(([key]) => Reflect.hasMetadata(key, method)),
  isUsed: usesMcpNest,
  isThere: hasMcpModule,
  ownsController: (type, module) => isMcpNest1Module(module) || isBoundController(type),
  isTransport: isTransportController,
  runsElsewhere: () => false,
  tables: (modules) => ({
    host: MCP_NEST_1,
    registrations: registeredInMcpNest1(modules),
    wayIn: 'import McpModule in its module, or name the class in McpModule.forFeature',
  }),
  unserved: (modules, declared) => ({
    operations: unservedInMcpNest2(
      modules,
      declared.filter(({ host }) => host === mcpNest2),
    ),
    wayIn:
      'list the class in the controllers of a module, not in its providers, and change no name when the ' +
      'application starts',
  }),
  namedByHand: dynamicInMcpNest2,
  problems: (modules, classes, declared) =>
    strayTransports(modules, classes, { hasTools: declared.some(({ host }) => host === mcpNest2) }),
  readsUser: true,
  guardAdvice: `Add McpModule.forRoot({ guards: [AuthplaneGuard] }), or set guard: 'global'`,
  selfMountedText:
    'MCP-Nest is in use, and no controller serves the path of the resource or carries @McpEndpoint(): a ' +
    "transport that MCP-Nest mounts by itself has no guard, guard: 'global' included, and anybody may " +
    'call its tools. Add a controller with @UseGuards(AuthplaneGuard) that extends McpHttpControllerFor ' +
    '(MCP-Nest 2), or name the guard in McpModule.forRoot({ guards }) (MCP-Nest 1)',
};
