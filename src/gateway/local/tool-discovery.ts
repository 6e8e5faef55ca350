import { ContextIdFactory, MetadataScanner } from '@nestjs/core';
import type { DiscoveryService, ModuleRef } from '@nestjs/core';
import { ConfigurationError } from '../../core/errors/configuration-error.js';
import { addScopeNeeds, type ScopeNeeds } from '../../core/lib/scopes.js';
import { scopeNeeds } from '../../core/mcp/scope-requirement.js';
import {
  type ClassLike,
  GUARDS,
  handlerPolicy,
  isAuthplaneGuard,
  type ListingMark,
} from '../../nest/marks/handler-marks.js';
import { typesOf } from '../../nest/mcp/hosts/mcp-discovery.js';
import { gatewayToolAt, type GatewayToolOptions } from './gateway-tool.js';
import type { LocalTool } from './local-tools.js';
import { toolSchema } from './tool-schema.js';

/** A tool, and what its decorators ask of callers. */
export interface DiscoveredTool extends LocalTool {
  readonly needs: ScopeNeeds;
  readonly listing: ListingMark | undefined;
}

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];
type Run = LocalTool['run'];

interface Found {
  readonly options: GatewayToolOptions;
  readonly type: ClassLike;
  readonly key: string;
  readonly wrapper: Wrapper;
}

/** Finds the methods with `@GatewayTool`, once, at boot. */
export class ToolDiscovery {
  readonly #discovery: DiscoveryService;
  readonly #modules: ModuleRef;
  readonly #requireGateway: (name: string) => unknown;

  /** @param requireGateway throws for a name that no resource has */
  constructor(
    discovery: DiscoveryService,
    modules: ModuleRef,
    requireGateway: (name: string) => unknown,
  ) {
    this.#discovery = discovery;
    this.#modules = modules;
    this.#requireGateway = requireGateway;
  }

  /**
   * @param gateway whose tools: the name that `@UseResource` gives; `undefined`: of those without one.
   * @throws ConfigurationError naming every problem
   */
  toolsOf(
    gateway: string | undefined,
    { maxNameLength }: { readonly maxNameLength: number },
  ): readonly DiscoveredTool[] {
    const problems: string[] = [];
    const places = new Map<string, string>();
    const tools = this.#found().flatMap((one): DiscoveredTool[] => {
      const handler: unknown = Reflect.get(one.type.prototype, one.key);
      if (typeof handler !== 'function') return [];
      const { needs, resourceName, listing } = handlerPolicy(one.type, handler);
      if (resourceName !== undefined) this.#requireGateway(resourceName);
      if (resourceName !== gateway) return [];
      problems.push(...nameProblems(one, places, maxNameLength), ...aroundProblems(one, handler));
      try {
        return [{ ...this.#made(one), needs: needsOf(one.options, needs), listing }];
      } catch (error) {
        const reason = error instanceof Error ? error.message : '';
        problems.push(`@GatewayTool of ${whereOf(one)}: inputSchema: ${reason}`);
        return [];
      }
    });
    if (problems.length > 0) throw new ConfigurationError(problems);
    return tools;
  }

  /** A class that is registered twice has its tools once. */
  #found(): readonly Found[] {
    const scanner = new MetadataScanner();
    const wrappers = [...this.#discovery.getProviders(), ...this.#discovery.getControllers()];
    const found = new Map<ClassLike, Found[]>();
    for (const wrapper of wrappers) {
      for (const type of typesOf(wrapper)) {
        if (found.has(type)) continue;
        const tools = scanner.getAllMethodNames(type.prototype).flatMap((key): Found[] => {
          const options = gatewayToolAt(type.prototype, key);
          return options === undefined ? [] : [{ options, type, key, wrapper }];
        });
        found.set(type, tools);
      }
    }
    return [...found.values()].flat();
  }

  #made({ options, key, wrapper }: Found): LocalTool {
    const run: Run =
      wrapper.isDependencyTreeStatic() && !wrapper.isTransient
        ? async (...given) => invoke(wrapper.instance, key, given)
        : async (...given) => invoke(await this.#instanceFor(wrapper), key, given);
    return { options, schema: toolSchema(options.inputSchema), run };
  }

  /** One of its own for each call. */
  #instanceFor({ token }: Wrapper): Promise<unknown> {
    return this.#modules.resolve(token as ClassLike as never, ContextIdFactory.create(), {
      strict: false,
    });
  }
}

/** Two of one name would take calls from each other. */
function nameProblems(
  { options: { name }, type, key }: Found,
  places: Map<string, string>,
  maxNameLength: number,
): string[] {
  const where = whereOf({ type, key });
  const other = places.get(name);
  places.set(name, where);
  return [
    ...(other === undefined ? [] : [`the name "${name}" is that of ${other}, too`]),
    ...(name.length > maxNameLength ? [`the name "${name}" is longer than maxNameLength`] : []),
  ].map((problem) => `@GatewayTool of ${where}: ${problem}`);
}

const AROUND_METHODS = [GUARDS, '__pipes__', '__interceptors__'];

/** Nest runs nothing around a method that it does not call itself. What was to protect it must not be forgotten. */
function aroundProblems(found: Found, handler: object): string[] {
  const ofMethod = AROUND_METHODS.flatMap((key) => listAt(key, handler));
  const forgotten = [...ofMethod, ...listAt(GUARDS, found.type)].filter(
    (one) => !isAuthplaneGuard(one),
  );
  if (forgotten.length === 0) return [];
  const what = `Nest runs no guards, pipes and interceptors for it (${forgotten.map(nameOf).join(', ')})`;
  const remedy = 'ask callers with @Scopes and @Allow, and arguments with inputSchema';
  return [`@GatewayTool of ${whereOf(found)}: ${what}: ${remedy}`];
}

function listAt(key: string, target: object): unknown[] {
  const list: unknown = Reflect.getMetadata(key, target);
  return Array.isArray(list) ? list : [];
}

/** A class, or an instance. */
function nameOf(one: unknown): string {
  return typeof one === 'function' ? one.name : String((one as object).constructor.name);
}

function invoke(instance: unknown, key: string, given: Parameters<Run>): unknown {
  const method = Reflect.get(instance as object, key) as (...args: Parameters<Run>) => unknown;
  return Reflect.apply(method, instance, given);
}

function needsOf({ scopes }: GatewayToolOptions, ofMarks: ScopeNeeds): ScopeNeeds {
  return scopes === undefined ? ofMarks : addScopeNeeds(ofMarks, scopeNeeds(scopes));
}

function whereOf({ type, key }: Pick<Found, 'type' | 'key'>): string {
  return `${type.name}.${key}`;
}
