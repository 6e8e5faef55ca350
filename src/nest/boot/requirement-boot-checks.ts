import { type OperationRequirement, staticNeeds } from '../../core/mcp/operation-scopes.js';
import { requirementsOf } from '../../core/mcp/settings.js';
import { UriTable } from '../../core/mcp/uri-table.js';
import { addScopeNeeds, type ScopeNeeds } from '../../core/lib/scopes.js';
import { methodNeeds, ownNeeds } from '../marks/handler-marks.js';
import type { Application, Finding, Route } from './boot-routes.js';
import type { DeclaredOperation } from '../mcp/hosts/mcp-discovery.js';

type Named = Pick<OperationRequirement, 'kind' | 'name'>;
type Requirement = Pick<OperationRequirement, 'requirement'>;

/** Requirements that nobody can fulfil, or that are written twice. */
export function requirementFindings(application: Application, routes: readonly Route[]): Finding[] {
  return [
    ...unadvertisedScopes(application, routes),
    ...writtenTwice(application),
    ...duplicates(application.declared),
    ...partialRequirements(application, routes),
  ];
}

/** What anybody may need anywhere in the application, as far as it can be known before a call. */
export function declaredNeeds({ classes, declared, resources }: Application): ScopeNeeds {
  return addScopeNeeds(
    ...classes.flatMap(({ type, methods }) => [
      ownNeeds(type),
      ...methods.map(({ handler }) => methodNeeds(type, handler)),
    ]),
    ...declared.map(staticNeeds),
    ...resources.all().flatMap(({ mcp }) => requirementsOf(mcp.options).map(staticNeeds)),
    ...resources.all().map(({ resource }) => ({ all: resource.scopes, anyOf: [] })),
  );
}

function unadvertisedScopes(application: Application, routes: readonly Route[]): Finding[] {
  const { declared, resources } = application;
  return resources.all().flatMap((one) => {
    const ofRoutes = routes
      .filter(({ resource, isPublic }) => resource === one && !isPublic)
      .flatMap(({ controller, handler }) => [
        ownNeeds(controller),
        methodNeeds(controller, handler),
      ]);
    // Whose tools these are is known at the call; with several resources, ask of the first.
    const ofTools = one === resources.mcpMain ? declared.map(staticNeeds) : [];
    const ofOptions = requirementsOf(one.mcp.options).map(staticNeeds);
    const required = new Set([...ofRoutes, ...ofTools, ...ofOptions].flatMap(scopesIn));
    const missing = [...required].filter((scope) => !one.resource.scopes.includes(scope));
    return missing.length === 0
      ? []
      : doubtful(
          `required but not in the option scopes of ${one.description}: ${missing.join(' ')}. ` +
            `Clients learn of them only from a refusal, and the authorization server may not know them`,
        );
  });
}

function writtenTwice({ resources, declared }: Application): Finding[] {
  const options = resources.all().flatMap(({ mcp }) => requirementsOf(mcp.options));
  return options.flatMap((one) => {
    const same = declared.find((other) => isSame(one, other) && needsSomething(other));
    return same === undefined
      ? []
      : doubtful(
          `mcp: ${one.kind} "${one.name}" also has scopes at ${same.where}; both are required`,
        );
  });
}

/** On one server the host runs one of the two; which one is not for us to know. */
function duplicates(declared: readonly DeclaredOperation[]): Finding[] {
  return declared.flatMap((one, index): Finding[] => {
    const earlier = declared.slice(0, index).find((other) => isSame(one, other));
    if (earlier === undefined || (!needsSomething(one) && !needsSomething(earlier))) return [];
    if (earlier.method.handler === one.method.handler) return [];
    const what = `the ${one.kind} "${one.name}" is declared by ${earlier.where} and ${one.where}`;
    return one.server !== undefined && one.server === earlier.server
      ? [{ weight: 'wrong', text: `${what}, and the server runs one of them: rename the other` }]
      : doubtful(`${what}: calls need the scopes of both, at every resource`);
  });
}

/** A requirement of one resource does not count at another, where the same server may stand, too. */
function partialRequirements(
  { resources, declared }: Application,
  routes: readonly Route[],
): Finding[] {
  const all = resources.all();
  return all.flatMap((one) =>
    requirementsOf(one.mcp.options)
      .filter((requirement) => declared.some((other) => isSame(requirement, other)))
      .flatMap(({ kind, name }) =>
        all
          .filter((other) => other !== one)
          .flatMap((other) => {
            const library = libraryBehind(other, routes);
            return library === undefined ? [] : [{ ...other, library }];
          })
          .filter(
            ({ mcp }) => !requirementsOf(mcp.options).some((same) => isSame(same, { kind, name })),
          )
          .flatMap((other) =>
            doubtful(
              `mcp: the ${kind} "${name}" has scopes in the options of ${one.description}, and ` +
                `${other.library.name} also stands behind ${other.description}, where they do not count: put them on the ` +
                `method with @Scopes, or into the options of both`,
            ),
          ),
      ),
  );
}

function libraryBehind(resource: Route['resource'], routes: readonly Route[]) {
  return routes.find((one) => one.library !== undefined && one.resource === resource)?.library;
}

/**
 * Names in the options that no server has. Only where they can be known: every endpoint of the resource is one
 * of a host whose methods are decorated.
 *
 * @param registered what hosts have besides the decorated methods.
 */
export function unknownNames(
  { resources, declared }: Application,
  routes: readonly Route[],
  registered: readonly Named[],
): Finding[] {
  return resources.all().flatMap((one) => {
    const endpoints = routes.filter(({ resource, isEndpoint }) => resource === one && isEndpoint);
    if (endpoints.length === 0 || !endpoints.every(({ library }) => library !== undefined))
      return [];
    one.mcp.knowsAllNames();
    return requirementsOf(one.mcp.options)
      .filter(({ kind }) => declared.some((other) => other.kind === kind))
      .filter((entry) => !isServed(entry, [...declared, ...registered]))
      .map(({ kind, name }): Finding => ({
        weight: 'open',
        text:
          `mcp: no server has the ${kind} "${name}", so the entry protects nothing: correct the name. For one ` +
          `that is registered while the application runs, set allowUnguarded: true`,
      }));
  });
}

/** A URI may be one of a template, and a template stands for URIs that only the server knows. */
function isServed(entry: Named, served: readonly Named[]): boolean {
  if (entry.kind !== 'resource') return served.some((other) => isSame(entry, other));
  if (/[{*:]/.test(entry.name.split('://').pop() ?? '')) return true;
  const resources = served.filter(({ kind }) => kind === 'resource');
  const table = new UriTable(
    resources.map((other) => [other.name, other] as const),
    true,
  );
  return table.find(entry.name).length > 0;
}

function isSame(one: Named, other: Named): boolean {
  return one.kind === other.kind && one.name === other.name;
}

export function needsSomething(one: Requirement): boolean {
  if (typeof one.requirement === 'function') return true;
  const needs = staticNeeds(one);
  return needs.rules !== undefined || scopesIn(needs).length > 0;
}

function scopesIn({ all, anyOf }: ScopeNeeds): string[] {
  return [...all, ...anyOf.flat()];
}

function doubtful(text: string): Finding[] {
  return [{ weight: 'doubtful', text }];
}
