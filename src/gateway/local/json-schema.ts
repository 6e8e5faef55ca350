import { isJsonObject, member } from '../../core/lib/members.js';
import { quoted } from '../../core/lib/text.js';

/** A schema of JSON Schema 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Says what is wrong with a value, and where; `undefined`: nothing. */
type Rule = (value: unknown, where: string) => string | undefined;
type Compile = (said: unknown, schema: JsonSchema) => Rule;

/** Say something to whoever reads them, and nothing about values (2020-12 §9; §7 leaves `format` to applications). */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  ...['$schema', '$comment', '$id', 'title', 'description', 'default', 'examples'],
  ...['deprecated', 'readOnly', 'writeOnly', 'format'],
]);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
  array: Array.isArray,
  object: isJsonObject,
};

/** Each keyword that is checked. What is none of them is no schema here: nothing is taken unchecked. */
const KEYWORDS: Readonly<Record<string, Compile>> = {
  type: typeRule,
  enum: (said) => oneOfRule(scalars(said)),
  const: (said) => oneOfRule(scalars([said])),
  properties: propertiesRule,
  required: requiredRule,
  additionalProperties: additionalRule,
  items: itemsRule,
  minimum: bound((value, limit) => value >= limit, 'at least'),
  maximum: bound((value, limit) => value <= limit, 'at most'),
  exclusiveMinimum: bound((value, limit) => value > limit, 'more than'),
  exclusiveMaximum: bound((value, limit) => value < limit, 'less than'),
  minLength: length((one, limit) => one >= limit, 'at least', 'characters', charactersIn),
  maxLength: length((one, limit) => one <= limit, 'at most', 'characters', charactersIn),
  minItems: length((one, limit) => one >= limit, 'at least', 'entries', entriesIn),
  maxItems: length((one, limit) => one <= limit, 'at most', 'entries', entriesIn),
  anyOf: (said) => choiceRule(said, (fitting) => fitting > 0),
  oneOf: (said) => choiceRule(said, (fitting) => fitting === 1),
  allOf: (said) => all(schemas(said)),
};

/**
 * A check of values by the schema. It takes the keywords of objects, arrays, numbers, strings and choices; patterns
 * and references are not among them, so that it takes as long as the value is large.
 *
 * @throws Error with the keyword that is not checked here, or is not well formed
 */
export function jsonSchemaRule(schema: unknown): Rule {
  if (typeof schema === 'boolean')
    return (_, where) => (schema ? undefined : `${where} is one too many`);
  if (!isJsonObject(schema)) throw new Error('a schema must be an object');
  return all(
    Object.entries(schema).flatMap(([keyword, said]): Rule[] => {
      if (ANNOTATIONS.has(keyword) || keyword.startsWith('x-')) return [];
      const compile = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined;
      if (compile === undefined) throw new Error(`${quoted(keyword)} is not checked`);
      return [compile(said, schema)];
    }),
  );
}

function all(rules: readonly Rule[]): Rule {
  return (value, where) => {
    for (const rule of rules) {
      const problem = rule(value, where);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

function typeRule(said: unknown): Rule {
  const names = Array.isArray(said) ? (said as unknown[]) : [said];
  const checks = names.map((name) => {
    const check = typeof name === 'string' && Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (check === undefined) throw new Error('type: there is no such type');
    return check;
  });
  return (value, where) =>
    checks.some((check) => check(value))
      ? undefined
      : `${where === '' ? 'they' : where} must be ${names.join(' or ')}`;
}

function scalars(said: unknown): readonly unknown[] {
  const isScalar = (one: unknown) => typeof one !== 'object' || one === null;
  if (Array.isArray(said) && said.every(isScalar)) return said as unknown[];
  throw new Error('enum, const: only texts, numbers, booleans and null');
}

function oneOfRule(values: readonly unknown[]): Rule {
  const known = new Set(values);
  const shown = values.map((one) => JSON.stringify(one)).join(', ');
  return (value, where) => (known.has(value) ? undefined : `${where} must be one of ${shown}`);
}

function propertiesRule(said: unknown): Rule {
  if (!isJsonObject(said)) throw new Error('properties: must be an object');
  const rules = Object.entries(said).map(([name, one]) => [name, jsonSchemaRule(one)] as const);
  return (value, where) => {
    if (!isJsonObject(value)) return undefined;
    for (const [name, rule] of rules) {
      if (!Object.hasOwn(value, name)) continue;
      const problem = rule(value[name], below(where, name));
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

function requiredRule(said: unknown): Rule {
  if (!Array.isArray(said) || !said.every((one) => typeof one === 'string')) {
    throw new Error('required: must be a list of names');
  }
  return (value, where) => {
    if (!isJsonObject(value)) return undefined;
    const missing = said.find((name) => !Object.hasOwn(value, name));
    return missing === undefined ? undefined : `${below(where, missing)} is missing`;
  };
}

function additionalRule(said: unknown, schema: JsonSchema): Rule {
  const properties = member(schema, 'properties');
  const known = new Set(isJsonObject(properties) ? Object.keys(properties) : []);
  const rule = jsonSchemaRule(said);
  return (value, where) => {
    if (!isJsonObject(value)) return undefined;
    for (const [name, one] of Object.entries(value)) {
      const problem = known.has(name) ? undefined : rule(one, below(where, quoted(name, 64)));
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

function itemsRule(said: unknown): Rule {
  const rule = jsonSchemaRule(said);
  return (value, where) => {
    if (!Array.isArray(value)) return undefined;
    for (const [at, one] of value.entries()) {
      const problem = rule(one, below(where, String(at)));
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

function bound(holds: (value: number, limit: number) => boolean, words: string): Compile {
  return (said) => {
    if (typeof said !== 'number') throw new Error('minimum, maximum: must be a number');
    return (value, where) =>
      typeof value !== 'number' || holds(value, said)
        ? undefined
        : `${where} must be ${words} ${said}`;
  };
}

function length(
  holds: (length: number, limit: number) => boolean,
  words: string,
  what: string,
  lengthOf: (value: unknown) => number | undefined,
): Compile {
  return (said) => {
    if (typeof said !== 'number' || !Number.isInteger(said) || said < 0) {
      throw new Error('lengths: must be whole numbers');
    }
    return (value, where) => {
      const size = lengthOf(value);
      if (size === undefined || holds(size, said)) return undefined;
      return `${where} must have ${words} ${said} ${what}`;
    };
  };
}

/** Characters, not units of UTF-16 (2020-12 §6.3.1). */
function charactersIn(value: unknown): number | undefined {
  return typeof value === 'string' ? [...value].length : undefined;
}

function entriesIn(value: unknown): number | undefined {
  return Array.isArray(value) ? value.length : undefined;
}

function schemas(said: unknown): readonly Rule[] {
  if (!Array.isArray(said) || said.length === 0)
    throw new Error('anyOf, oneOf, allOf: must be lists');
  return said.map(jsonSchemaRule);
}

function choiceRule(said: unknown, holds: (fitting: number) => boolean): Rule {
  const rules = schemas(said);
  return (value, where) => {
    const problems = rules.map((rule) => rule(value, where));
    const fitting = problems.filter((problem) => problem === undefined).length;
    if (holds(fitting)) return undefined;
    return (
      problems.find((problem) => problem !== undefined) ?? `${where} fits more than one choice`
    );
  };
}

/** `day`, `guests.0.name`. */
function below(where: string, name: string): string {
  return where === '' ? name : `${where}.${name}`;
}
