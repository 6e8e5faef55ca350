import type { Check } from './option-checks.js';

/** One option: what is wrong with a value of it, and what it is when it is left out. */
export interface Setting<Value> {
  readonly check: Check;
  readonly byDefault: Value;
}

/** An option that is simply not there when it is left out. */
type SettingWithoutDefault = Pick<Setting<never>, 'check'>;

/**
 * The options of a subject, an entry each: nowhere else is an option checked or completed. What
 * `Resolved` always has needs a default; what it may lack has none.
 */
export type Settings<Resolved extends object> = {
  readonly [Name in keyof Resolved]-?: object extends Pick<Resolved, Name>
    ? SettingWithoutDefault
    : Setting<Resolved[Name]>;
};

/** Values of some of the options; `undefined` counts as left out. */
type Given<Resolved> = { readonly [Name in keyof Resolved]?: Resolved[Name] | undefined };

/** The checks of the table, for `problemsOf`. */
export function checksOf<Resolved extends object>(
  settings: Settings<Resolved>,
): Readonly<Record<keyof Resolved, Check>> {
  const entries = entriesOf(settings).map(([name, { check }]) => [name, check] as const);
  return Object.fromEntries(entries) as Record<keyof Resolved, Check>; // a name for each of the table
}

/**
 * What was given, completed: from `defaults` where it has the option, else from the table. Lists are
 * frozen copies, so later changes of those that were passed change nothing. Checks nothing.
 */
export function withDefaults<Resolved extends object>(
  settings: Settings<Resolved>,
  given: Given<Resolved>,
  defaults: Given<Resolved> = {},
): Resolved {
  const resolved: Record<string, unknown> = {};
  for (const [name, setting] of entriesOf(settings)) {
    const option = name as keyof Resolved;
    const value = given[option] ?? defaults[option] ?? setting.byDefault;
    if (value === undefined && !('byDefault' in setting)) continue;
    resolved[name] = Array.isArray(value) ? Object.freeze([...(value as unknown[])]) : value;
  }
  return resolved as Resolved; // by the type of the table
}

function entriesOf(
  settings: object,
): [name: string, setting: Partial<Setting<unknown>> & SettingWithoutDefault][] {
  return Object.entries(settings as Record<string, Setting<unknown>>);
}
