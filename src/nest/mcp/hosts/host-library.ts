import type { OperationKind } from '../../../core/mcp/json-rpc.js';
import type { ClassLike } from '../../marks/handler-marks.js';
import type {
  DeclaredOperation,
  DiscoveredHost,
  Handler,
  KnownClass,
  ModuleOf,
  Modules,
  ServingLibrary,
} from './mcp-discovery.js';

/** One entry in the tables of a host. */
export interface Registration {
  readonly server: string;
  readonly kind: OperationKind;
  /** What clients ask for: the name of a tool or prompt, the URI or template of a resource. */
  readonly name: string;
  /** By which the host finds the method to run; it may be another one than that of this entry. */
  readonly key: string;
  readonly method: string;
  /** The classes that it may run the method of. None for what was registered by hand. */
  readonly types: readonly ClassLike[];
  readonly handlers: readonly Handler[];
}

/** All that a host has registered, where its own tables can be read. */
export interface HostTables {
  /** The name of the host. */
  readonly host: string;
  readonly registrations: readonly Registration[];
  /** What to do about a decorated method that is in none of them. */
  readonly wayIn: string;
}

/** Decorated methods that a host does not have, although it should. */
export interface Unserved {
  readonly operations: readonly DeclaredOperation[];
  /** What to do about them. */
  readonly wayIn: string;
}

/**
 * All that this package knows of one library that runs decorated methods and serves them itself. Another
 * one is a file beside `mcp-nest.ts` and a line in the list of `mcp-hosts.ts`; applications add simpler ones
 * by the option `mcp.hosts`.
 */
export interface HostLibrary extends ServingLibrary {
  /** Those of its versions that may run methods of this application. */
  hosts(modules: Modules): readonly DiscoveredHost[];
  /** Whether decorators mark the method as an operation, whichever library they are of. */
  isOperation(method: object): boolean;
  /** Whether it is in use, and may have mounted a transport that is no route. */
  isUsed(modules: Modules, declared: readonly DeclaredOperation[]): boolean;
  /** Whether it, or one that looks like it, is there, as far as modules tell. */
  isThere(modules: Modules): boolean;
  /** Whether it has made the controller, or the controller carries a transport of it. */
  ownsController(type: ClassLike, module: ModuleOf): boolean;
  /** Whether the class of a controller, or one that it extends, serves transports of it. */
  isTransport(type: ClassLike): boolean;
  /** Whether the controller runs operations for bodies that are no JSON-RPC. */
  runsElsewhere(type: ClassLike, module: ModuleOf): boolean;
  tables(modules: Modules): HostTables | undefined;
  /** What is decorated for it and that it does not serve, as far as that can be read without its tables. */
  unserved(modules: Modules, declared: readonly DeclaredOperation[]): Unserved;
  /** What it serves besides decorated methods, as far as that can be read. */
  namedByHand(modules: Modules): readonly Pick<Registration, 'kind' | 'name'>[];
  /** Why it serves what nobody here could have read. */
  problems(
    modules: Modules,
    classes: readonly KnownClass[],
    declared: readonly DeclaredOperation[],
  ): readonly string[];
  /** Whether it takes the caller from `request.user`. */
  readonly readsUser: boolean;
  /** What is wrong where it is in use, and no controller serves it. */
  readonly selfMountedText: string;
}
