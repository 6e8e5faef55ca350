import { isJsonObject, isObject, member } from '../../core/lib/members.js';
import { oneLine } from '../../core/lib/text.js';
import { type JsonSchema, jsonSchemaRule } from './json-schema.js';

/** What a schema of a library finds wrong with a value. */
interface SchemaIssue {
  /** In words. */
  readonly message: string;
  /** Where. Default: the whole. */
  readonly path?: readonly unknown[] | undefined;
}

/** As Standard Schema says it. */
type Validated<Output> =
  | {
      /** What the schema makes of it. */
      readonly value: Output;
      /** It fits. */
      readonly issues?: undefined;
    }
  | {
      /** Why it does not fit. */
      readonly issues: readonly SchemaIssue[];
    };

/**
 * A schema of a library that knows Standard Schema and Standard JSON Schema, such as zod from 4.2 on; `fromJsonSchema`
 * of the MCP SDK v2 makes one of any JSON Schema.
 */
export interface StandardSchema<Output = unknown> {
  /** As standardschema.dev has it. */
  readonly '~standard': {
    /** Checks and converts. */
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>;
    /** What lists show. */
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown>;
    };
    /** For the compiler alone. */
    readonly types?: { readonly output: Output } | undefined;
  };
}

/** What arguments may be like: a Standard Schema, or a JSON Schema of type `object`. */
export type ToolInputSchema = StandardSchema | JsonSchema;

export type CheckedArguments =
  { readonly args: unknown; readonly problem?: undefined } | { readonly problem: string };

/** Arguments of one tool: what lists say of them, and their check. */
export interface ToolSchema {
  readonly json: JsonSchema;
  check(args: unknown): CheckedArguments | Promise<CheckedArguments>;
}

const NOTHING: JsonSchema = Object.freeze({ type: 'object', additionalProperties: false });
const LONGEST_PROBLEM = 500;

/** @throws Error with the reason why it is no such schema */
export function toolSchema(given: ToolInputSchema = NOTHING): ToolSchema {
  return isStandard(given) ? ofLibrary(given['~standard']) : ofJson(given);
}

function isStandard(given: ToolInputSchema): given is StandardSchema {
  return '~standard' in given && isObject(given['~standard']);
}

function ofJson(json: JsonSchema): ToolSchema {
  requireObject(json);
  const rule = jsonSchemaRule(json);
  return {
    json,
    check: (args) => {
      const problem = rule(args, '');
      return problem === undefined ? { args } : { problem: problem.trim() };
    },
  };
}

function ofLibrary({ validate, jsonSchema }: StandardSchema['~standard']): ToolSchema {
  const json = jsonSchema?.input({ target: 'draft-2020-12' });
  if (!isJsonObject(json)) throw new Error('the library gives no JSON Schema of it; write one');
  requireObject(json);
  return {
    json,
    check: async (args) => {
      const checked = await validate(args);
      return checked.issues === undefined
        ? { args: checked.value }
        : { problem: checked.issues.map(sentence).join('; ').slice(0, LONGEST_PROBLEM) };
    },
  };
}

function requireObject(schema: JsonSchema): void {
  if (!isJsonObject(schema) || member(schema, 'type') !== 'object') {
    throw new Error("must be a schema of type 'object'");
  }
}

function sentence({ message, path = [] }: SchemaIssue): string {
  const names = path.map((step) => String(isObject(step) ? member(step, 'key') : step));
  const text = names.length === 0 ? message : `${names.join('.')}: ${message}`;
  return oneLine(text, LONGEST_PROBLEM);
}
