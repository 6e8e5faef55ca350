import type { ApplicationConfig, DiscoveryService, HttpAdapterHost } from '@nestjs/core';
import { ConfigurationError } from '../../core/errors/configuration-error.js';
import type { ScopeNeeds } from '../../core/lib/scopes.js';
import { resourceMetadataUrl } from '../../core/resource-metadata.js';
import { isProtectingGuard } from '../marks/authplane-protected.js';
import type { Application, Finding } from './boot-routes.js';
import { changedNames, registrationFindings, unservedFindings } from './host-registrations.js';
import { type BootReport, bootReport } from './mcp-boot-checks.js';
import {
  declaredOperations,
  type DiscoveredHost,
  knownClasses,
  type Modules,
} from '../mcp/hosts/mcp-discovery.js';
import {
  discoveredHosts,
  HOST_LIBRARIES,
  isHostController,
  libraryOf,
  runsElsewhere,
} from '../mcp/hosts/mcp-hosts.js';
import { TRUSTS_EVERY_SENDER, trustsEverySender } from './proxy-trust.js';
import type { ProtectedResources } from '../resources/protected-resources.js';
import { declaredNeeds, unknownNames } from './requirement-boot-checks.js';
import type { CheckedResource } from './self-check.js';
import { endpointsOf, knownOperation, unguardedStreams } from './self-check-targets.js';

/** What of the extras of the module the inspection depends on. */
export interface InspectionSettings {
  readonly guard?: 'global';
  readonly metadataRoute?: boolean | 'path';
  readonly allowUnguarded?: boolean;
}

export interface InspectedApplication {
  readonly modules: Modules;
  readonly discovery: DiscoveryService;
  readonly resources: ProtectedResources;
  readonly config: ApplicationConfig;
  readonly adapterHost: HttpAdapterHost;
  readonly extras: InspectionSettings;
  readonly isMiddlewareApplied?: boolean;
}

/**
 * Reads what the modules of an application declare, tells the guards, and refuses an application that is
 * not as protected as it says.
 */
export class BootInspection {
  readonly #modules: Modules;
  readonly #application: Application;
  readonly #allowUnguarded: boolean;
  readonly #config: ApplicationConfig;
  readonly #hosts: readonly DiscoveredHost[];
  readonly #adapterHost: HttpAdapterHost;
  readonly report: BootReport;

  /** @throws ConfigurationError for `@UseResource` with an unknown name. */
  constructor(application: InspectedApplication) {
    const { modules, discovery, resources, config, adapterHost, extras } = application;
    const classes = knownClasses(discovery, { libraryOf, runsElsewhere });
    const hosts = discoveredHosts(
      modules,
      resources.all().flatMap(({ mcp }) => mcp.options.hosts ?? []),
    );
    const declared = declaredOperations(classes, hosts);
    const usedLibrary = HOST_LIBRARIES.find((one) => one.isUsed(modules, declared));
    this.#hosts = hosts;
    this.#modules = modules;
    this.#config = config;
    this.#adapterHost = adapterHost;
    this.#allowUnguarded = extras.allowUnguarded ?? false;
    this.#application = {
      classes,
      declared,
      resources,
      usedLibrary,
      isGuardedGlobally: isGuardedGlobally(config, extras),
      isMiddlewareApplied: application.isMiddlewareApplied ?? false,
      globalInterceptors: [
        ...config.getGlobalInterceptors(),
        ...config.getGlobalRequestInterceptors().map(({ metatype }) => metatype),
      ],
      isHttp: (adapterHost.httpAdapter as unknown) !== undefined, // none in a microservice
    };
    const isUsed = usedLibrary !== undefined;
    resources.publishesUser = usedLibrary?.readsUser ?? false;
    const isLibrary =
      declared.length > 0 || isUsed || HOST_LIBRARIES.some((one) => one.isThere(modules));
    for (const { mcp } of resources.all()) mcp.declare(declared, isLibrary); // its URIs are loose
    for (const { type } of classes.filter(isHostController)) resources.hostControllers.add(type);
    this.report = bootReport(this.#application);
  }

  /**
   * @returns warnings.
   * @throws ConfigurationError for what is open or wrong by the decorators.
   */
  atStart(): string[] {
    return this.#settle(this.report.findings);
  }

  /**
   * To be called when host libraries have filled their tables.
   *
   * @returns warnings.
   * @throws ConfigurationError for hosts that run something else than the decorators say.
   */
  afterBootstrap(): string[] {
    const { declared, classes } = this.#application;
    const now = declaredOperations(classes, this.#hosts);
    const modules = this.#modules;
    const tables = HOST_LIBRARIES.flatMap((one) => one.tables(modules) ?? []);
    const names = [
      ...tables.flatMap(({ registrations }) => registrations),
      ...HOST_LIBRARIES.flatMap((one) => one.namedByHand(modules)),
    ];
    const problems = HOST_LIBRARIES.flatMap((one) => one.problems(modules, classes, declared));
    return this.#settle([
      ...tables.flatMap((one) => registrationFindings(one, declared)),
      ...changedNames(declared, now, tables),
      ...HOST_LIBRARIES.flatMap((one) => unservedFindings(one.unserved(modules, declared))),
      ...problems.map((text) => ({ weight: 'wrong', text }) as const),
      ...unknownNames(this.#application, this.report.routes, names),
      ...this.#proxyFindings(),
    ]);
  }

  /** Settings of the platform, which applications make as late as they listen. */
  #proxyFindings(): Finding[] {
    const hasNames = this.#application.resources.all().some(({ many }) => many?.hasNames === true);
    if (!hasNames || !trustsEverySender(this.#adapterHost.httpAdapter)) return [];
    return [{ weight: 'doubtful', text: TRUSTS_EVERY_SENDER }];
  }

  /** Scopes that somebody needs somewhere. */
  get needs(): ScopeNeeds {
    return declaredNeeds(this.#application);
  }

  /** URIs of the resources, by whether anybody may call their MCP endpoint. */
  uris({ isOpen }: { readonly isOpen: boolean }): string[] {
    return this.#application.resources
      .all()
      .filter((one) => this.report.unprotected.has(one) === isOpen)
      .map(({ description }) => description);
  }

  /** What the running application is to be asked. */
  checkedResources({ metadataRoute = true }: InspectionSettings): CheckedResource[] {
    const { resources, declared } = this.#application;
    const { unprotected, routes } = this.report;
    return resources.all().flatMap((one) => {
      const checked = {
        isGuarded:
          one.isMcp &&
          !unprotected.has(one) &&
          !endpointsOf(one, routes).some(({ isPublic }) => isPublic),
        admitsAnybody: one.mcp.options.authentication === 'when-needed',
        operation: knownOperation(one, declared),
        streams: unguardedStreams(one, routes, this.#config.getGlobalPrefix()),
      };
      return one.known.map((resource) => ({
        ...checked,
        resource,
        servesMetadata:
          metadataRoute !== false &&
          resource.metadataUrl === resourceMetadataUrl(resource.resource),
      }));
    });
  }

  /** Resources of which no name is known, and whose documents nobody else serves. */
  checkedTemplates({ metadataRoute = true }: InspectionSettings, isHosted: boolean): string[] {
    if (metadataRoute === false || isHosted) return [];
    return this.#application.resources.all().flatMap(({ templates }) => templates);
  }

  /** What is protected, what is open, and which web pages may call. */
  announce({ issuer, isReady }: { readonly issuer: string; readonly isReady: boolean }): void {
    const { events, endpoints } = this.#application.resources;
    const [guarded, open] = [this.uris({ isOpen: false }), this.uris({ isOpen: true })];
    if (guarded.length > 0) {
      events.emit({ type: 'protected', resources: guarded, issuer, isReady });
    }
    if (open.length > 0) events.emit({ type: 'open', resources: open });
    const origins = endpoints.flatMap(({ mcp, known }) =>
      known.flatMap((one) => mcp.at(one).originAnnouncement ?? []),
    );
    for (const text of new Set(origins)) events.emit({ type: 'set_up', text, isDoubtful: false });
  }

  #settle(findings: readonly Finding[]): string[] {
    const fatal = findings.filter(
      ({ weight }) => weight === 'wrong' || (weight === 'open' && !this.#allowUnguarded),
    );
    if (fatal.length === 0) return findings.map(({ text }) => text);
    const lastOpen = fatal.findLast(({ weight }) => weight === 'open');
    throw new ConfigurationError(
      fatal.map((one) => (one === lastOpen ? `${one.text}. ${WAY_OUT}` : one.text)),
    );
  }
}

/**
 * One guard would judge by the options of one of them, whichever of the two a handler imports.
 *
 * @throws ConfigurationError
 */
export function refuseSecond(module: object, modules: Modules): void {
  const same = [...modules.values()].filter(({ metatype }) => metatype === module);
  if (same.length < 2) return;
  throw new ConfigurationError(
    'AuthplaneModule.forRoot or forRootAsync is imported twice: import it once, in the root module, and add ' +
      'further resources with AuthplaneModule.forFeature({ name, … }) and @UseResource(name)',
  );
}

const WAY_OUT =
  'If all that is open here is meant to be open, allowUnguarded: true beside the options of the module lets ' +
  'the application start with warnings';

function isGuardedGlobally(config: ApplicationConfig, { guard }: InspectionSettings): boolean {
  return (
    guard === 'global' ||
    config.getGlobalGuards().some(isProtectingGuard) ||
    config.getGlobalRequestGuards().some(({ metatype }) => isProtectingGuard(metatype))
  );
}
