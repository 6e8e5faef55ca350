import { isObject } from '../../../core/lib/members.js';
import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { ClassLike } from '../../marks/handler-marks.js';
import type { HostLibrary, Registration } from './host-library.js';
import type {
  DeclaredOperation,
  DiscoveredHost,
  HostedOperation,
  KnownMethod,
  ModuleOf,
  Modules,
} from './mcp-discovery.js';

/** Its keys are those of MCP-Nest; the names are made otherwise. */
const TOOL = 'mcp:tool';
const TOOL_GROUP = 'mcp:tool-group';
const PROMPT = 'mcp:prompt';
const RESOURCE = 'mcp:resource';
const NAME = 'mcp-nestjs';

/** The token of what its module does at the start, and the class that holds what it serves. */
const INIT = 'MCP_INIT';
const REGISTRY = 'ToolRegistryService';
const TRANSPORTS: ReadonlySet<string> = new Set(['StreamableHttpController', 'SseController']);
const PLAYGROUND = 'PlaygroundController';

/** Of others that would run the same methods under names of their own. */
const OTHERS: ReadonlySet<unknown> = new Set([
  'MCP_MODULE_ID',
  'MCP_OPTIONS',
  'MCP_MODULE_OPTIONS',
]);
const OTHER_MODULE = 'McpAdapterModule';

type Marks = Readonly<Partial<Record<'name' | 'uri' | 'uriTemplate', unknown>>>;

function isItsModule({ metatype, providers }: ModuleOf): boolean {
  return (
    metatype.name === 'McpModule' && providers.has(INIT) && registryOf(providers) !== undefined
  );
}

/** By the name of its class, whichever copy of the package it is of. */
function registryOf(providers: ModuleOf['providers']): object | undefined {
  for (const [token, { instance }] of providers) {
    const isRegistry = typeof token === 'function' && token.name === REGISTRY;
    if (isRegistry) return (instance as object | null) ?? {};
  }
  return undefined;
}

function isOther(module: ModuleOf): boolean {
  const { metatype, providers } = module;
  if (metatype.name === OTHER_MODULE) return true;
  return !isItsModule(module) && [...providers.keys()].some((token) => OTHERS.has(token));
}

const host: DiscoveredHost = {
  name: NAME,
  operationsOn(method, type) {
    const operations = [
      ...toolsOn(method, type),
      ...namesOn(method.handler, PROMPT, 'prompt', ['name']),
      ...resourcesOn(method.handler),
    ];
    return operations.map((one) => ({ ...one, server: NAME }));
  },
};

function toolsOn({ handler, name: method }: KnownMethod, type: ClassLike): HostedOperation[] {
  const marks = marksOf(handler, TOOL);
  if (marks === undefined) return [];
  const name = isText(marks.name) ? marks.name : `${prefixOf(type)}${method}`;
  return [{ kind: 'tool', name }];
}

/** `true`: the last segment of the path of a controller. */
function prefixOf(type: ClassLike): string {
  const group: unknown = Reflect.getMetadata(TOOL_GROUP, type);
  if (typeof group === 'string') return `${group}_`;
  const path: unknown = group === true ? Reflect.getMetadata('path', type) : undefined;
  if (!isText(path)) return '';
  const segments = path.replace(/^\/|\/$/g, '').split('/');
  return `${segments.at(-1) ?? ''}_`;
}

/** Found by its URI and by its template, each if it has one; else by its name. */
function resourcesOn(handler: object): HostedOperation[] {
  const found = namesOn(handler, RESOURCE, 'resource', ['uri', 'uriTemplate']);
  const named = found.length > 0 ? found : namesOn(handler, RESOURCE, 'resource', ['name']);
  return named.map(({ kind, name }) => ({ kind, name: nameOf(kind, name) }));
}

function namesOn(
  handler: object,
  key: string,
  kind: OperationKind,
  members: readonly (keyof Marks)[],
): HostedOperation[] {
  const marks = marksOf(handler, key);
  return members.flatMap((member) => {
    const name = marks?.[member];
    return isText(name) ? [{ kind, name }] : [];
  });
}

/** The text around the variables of a template is a regular expression there, in which a dot is any character. */
function nameOf(kind: OperationKind, name: string): string {
  if (kind !== 'resource' || !name.includes('{')) return name;
  return name.replace(/\{[^}]*\}|\./g, (part) => (part === '.' ? '{any}' : part));
}

/** What else of a regular expression such a text may hold; nobody can tell what it matches. */
function isExpression(uri: string): boolean {
  return uri.includes('{') && /[*+?()[\]|^$\\]/.test(uri.replace(/\{[^}]*\}/g, ''));
}

function marksOf(handler: object, key: string): Marks | undefined {
  const marks: unknown = Reflect.getMetadata(key, handler);
  return isObject(marks) ? marks : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** All that it serves by name. Of a decorated method it keeps a function of its own, so not which it is. */
function registeredIn(modules: Modules): Pick<Registration, 'kind' | 'name'>[] {
  const registries = [...modules.values()].filter(isItsModule).flatMap(({ providers }) => {
    const registry = registryOf(providers);
    return registry === undefined ? [] : [registry];
  });
  const lists: readonly (readonly [string, OperationKind])[] = [
    ['tools', 'tool'],
    ['prompts', 'prompt'],
    ['resources', 'resource'],
  ];
  return registries.flatMap((registry) =>
    lists.flatMap(([list, kind]) => {
      const entries: unknown = Reflect.get(registry, list);
      const names: unknown[] = entries instanceof Map ? [...entries.keys()] : [];
      return names.filter(isText).map((name) => ({ kind, name: nameOf(kind, name) }));
    }),
  );
}

/** With `discovery: false`. A resource with a URI and a template stands under the URI alone. */
function missingIn(modules: Modules, declared: readonly DeclaredOperation[]): DeclaredOperation[] {
  const own = declared.filter((one) => one.host === host);
  const registered = registeredIn(modules);
  const served = own.filter(({ kind, name }) =>
    registered.some((one) => one.kind === kind && one.name === name),
  );
  return own.filter(
    (one) => !served.some(({ kind, method }) => kind === one.kind && method === one.method),
  );
}

/** Templates that match something else than they seem to. */
function problemsOf(declared: readonly DeclaredOperation[]): string[] {
  return declared
    .filter((one) => one.host === host && hasNeeds(one))
    .filter(({ kind, name }) => kind === 'resource' && isExpression(name))
    .map(
      ({ name, where }) =>
        `${NAME} reads the template "${name}" of ${where} as a regular expression, so that nobody can tell ` +
        `which URIs need its scopes: write it without * + ? ( ) [ ] | ^ $ and \\`,
    );
}

function hasNeeds({ requirement }: DeclaredOperation): boolean {
  return (
    typeof requirement === 'object' &&
    'anyOf' in requirement &&
    requirement.all.length + requirement.anyOf.length > 0
  );
}

/** mcp-nestjs 1. Its controllers are routes of Nest's, and it mounts nothing else. */
export const mcpNestjs: HostLibrary = {
  name: NAME,
  hosts(modules) {
    const all = [...modules.values()];
    return all.some(isItsModule) && !all.some(isOther) ? [host] : [];
  },
  isOperation: (method) => [TOOL, PROMPT, RESOURCE].some((key) => Reflect.hasMetadata(key, method)),
  isUsed: () => false,
  isThere: (modules) => [...modules.values()].some(isItsModule),
  ownsController: (type, module) => isItsModule(module) && TRANSPORTS.has(type.name),
  isTransport: () => false,
  runsElsewhere: (type, module) => isItsModule(module) && type.name === PLAYGROUND,
  tables: () => undefined,
  unserved: (modules, declared) => ({
    operations: missingIn(modules, declared),
    wayIn: 'leave discovery: false out of McpModule, or take @Scopes off',
  }),
  namedByHand: registeredIn,
  problems: (_modules, _classes, declared) => problemsOf(declared),
  readsUser: false,
  guardAdvice: `Set guard: 'global': its controllers take no guard of their own`,
  selfMountedText: '',
};
