import type { Finding } from './boot-routes.js';
import { type DeclaredOperation, hasOwnScopes } from '../mcp/hosts/mcp-discovery.js';
import type { HostTables, Registration, Unserved } from '../mcp/hosts/host-library.js';
import { needsSomething } from './requirement-boot-checks.js';

/**
 * Where a host would run another method than the guard has judged, or one that it never saw. The guard
 * judges by what decorators say; this compares it with what the host has made of them.
 */
export function registrationFindings(
  tables: HostTables,
  declared: readonly DeclaredOperation[],
): Finding[] {
  const { registrations: registered } = tables;
  const problems = [
    ...sharedKeys(registered, declared),
    ...registered.flatMap((one) => [
      ...severalClasses(one, declared),
      ...otherNames(one, declared),
      ...unseenMethods(one, declared),
    ]),
    ...unregistered(tables, declared),
  ];
  return [...new Set(problems)].map((text) => ({ weight: 'wrong', text }));
}

function sharedKeys(
  registered: readonly Registration[],
  declared: readonly DeclaredOperation[],
): string[] {
  return registered.flatMap((one, index) => {
    const earlier = registered
      .slice(0, index)
      .find((other) => other.server === one.server && other.key === one.key);
    if (earlier === undefined || runnerOf(earlier) === runnerOf(one)) return [];
    if (!hasNeeds(one, declared) && !hasNeeds(earlier, declared)) return [];
    const names =
      one.name === earlier.name ? `"${one.name}"` : `"${earlier.name}" and "${one.name}"`;
    return [
      `${whereOf(earlier)} and ${whereOf(one)} share a name (${one.kind} ${names}), and the host runs the ` +
        `first of that name for both: give each a name of its own`,
    ];
  });
}

function severalClasses(one: Registration, declared: readonly DeclaredOperation[]): string[] {
  if (one.types.length < 2 || !hasNeeds(one, declared)) return [];
  const classes = one.types.map(({ name }) => name).join(' and ');
  return [
    `${classes} are provided under one token in several modules, and the host runs the ${one.kind} ` +
      `"${one.name}" of one of them: give each a token of its own`,
  ];
}

function otherNames(one: Registration, declared: readonly DeclaredOperation[]): string[] {
  const same = declared.filter((other) => isMethodOf(one, other));
  if (same.length === 0 || !same.some(needsSomething)) return [];
  if (same.some(({ kind, name }) => kind === one.kind && name === one.name)) return [];
  const [first] = same;
  return [
    `the host serves ${whereOf(one)} as ${one.kind} "${one.name}", its decorator said ` +
      `"${first?.name ?? ''}": name it in the decorator`,
  ];
}

/**
 * Names that are others than when the guard has read them; for hosts whose own tables are not at hand.
 *
 * @param now the same operations, read once more.
 */
export function changedNames(
  declared: readonly DeclaredOperation[],
  now: readonly DeclaredOperation[],
  tables: readonly HostTables[],
): Finding[] {
  return declared
    .filter((one) => !tables.some(({ host }) => host === one.host.name) && needsSomething(one))
    .flatMap((one) => {
      const same = now.filter(({ type, method }) => type === one.type && method === one.method);
      if (same.some(({ kind, name }) => kind === one.kind && name === one.name)) return [];
      const names = same.map(({ name }) => `"${name}"`).join(' and ') || 'nothing';
      const text =
        `${one.where} was the ${one.kind} "${one.name}" when its scopes were read, and is ${names} now: ` +
        'name it in the decorator, and change nothing when the application starts';
      return [{ weight: 'wrong', text } as const];
    });
}

/** Marks on members of an instance, or of an object that a factory made. */
function unseenMethods(one: Registration, declared: readonly DeclaredOperation[]): string[] {
  if (
    !one.handlers.some((handler) => hasOwnScopes(handler)) ||
    declared.some((other) => isMethodOf(one, other))
  )
    return [];
  return [
    `the host serves ${whereOf(one)} as ${one.kind} "${one.name}", and no class that Nest knows has this ` +
      `method, so that its @Scopes are unknown here: decorate methods of classes, or use the option mcp`,
  ];
}

function unregistered(
  { host, registrations, wayIn }: HostTables,
  declared: readonly DeclaredOperation[],
): string[] {
  return declared
    .filter((one) => one.host.name === host && needsSomething(one))
    .filter((one) => !registrations.some((other) => isMethodOf(other, one)))
    .map((one) => noServerText(one, wayIn));
}

/** Scopes that belong to a name which nobody serves; for hosts whose own tables are not at hand. */
export function unservedFindings({ operations, wayIn }: Unserved): Finding[] {
  return operations
    .filter(needsSomething)
    .map((one) => ({ weight: 'wrong', text: noServerText(one, wayIn) }));
}

function noServerText({ host, where, kind, name }: DeclaredOperation, wayIn: string): string {
  return `no server of ${host.name} has the ${kind} "${name}" of ${where}: ${wayIn}`;
}

function hasNeeds(one: Registration, declared: readonly DeclaredOperation[]): boolean {
  return (
    one.handlers.some((handler) => hasOwnScopes(handler)) ||
    one.types.some((type) => hasOwnScopes(type)) ||
    declared.some((other) => isMethodOf(one, other) && needsSomething(other))
  );
}

function isMethodOf({ types, method }: Registration, declared: DeclaredOperation): boolean {
  return types.includes(declared.type) && method === declared.method.name;
}

/** What tells two entries apart that would run different code. */
function runnerOf({ handlers, method }: Registration): unknown {
  return handlers.length === 1 ? handlers[0] : method;
}

function whereOf({ types, method }: Registration): string {
  const [type] = types;
  return type === undefined ? `"${method}"` : `${type.name}.${method}`;
}
