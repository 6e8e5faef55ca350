import { isJsonObject, isObject, member } from '../../core/lib/members.js';
import { oneLine } from '../../core/lib/text.js';

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

export type CheckedArguments =
  { readonly args: unknown; readonly problem?: undefined } | { readonly problem: string };

/** Arguments of one tool: what lists say of them, and their check. */
export interface ToolSchema {
  readonly json: Readonly<Record<string, unknown>>;
  check(args: unknown): CheckedArguments | Promise<CheckedArguments>;
}

const LONGEST_PROBLEM = 500;
const SHOWN_PROBLEMS = 5;

const NO_ARGUMENTS: ToolSchema = {
  json: Object.freeze({ type: 'object', additionalProperties: false }),
  check: (args) =>
    isJsonObject(args) && Object.keys(args).length === 0
      ? { args }
      : { problem: 'it takes no arguments' },
};

/** @throws Error with the reason why it is no such schema */
export function toolSchema(given?: StandardSchema): ToolSchema {
  if (given === undefined) return NO_ARGUMENTS;
  const standard: unknown = given['~standard']; // of the class, with some libraries
  if (!isObject(standard)) {
    throw new Error(
      'must be a Standard Schema; `fromJsonSchema` of the MCP SDK v2 makes one of a JSON Schema',
    );
  }
  const { validate, jsonSchema } = given['~standard'];
  const json = jsonSchema?.input({ target: 'draft-2020-12' });
  if (!isJsonObject(json)) throw new Error('the library gives no JSON Schema of it');
  if (member(json, 'type') !== 'object') throw new Error("must be a schema of type 'object'");
  return {
    json,
    check: async (args) => {
      const checked = await validate(args);
      return checked.issues === undefined
        ? { args: checked.value }
        : {
            problem: checked.issues
              .slice(0, SHOWN_PROBLEMS)
              .map(sentence)
              .join('; ')
              .slice(0, LONGEST_PROBLEM),
          };
    },
  };
}

function sentence({ message, path = [] }: SchemaIssue): string {
  const names = path.map((step) => String(isObject(step) ? member(step, 'key') : step));
  const text = names.length === 0 ? message : `${names.join('.')}: ${message}`;
  return oneLine(text, LONGEST_PROBLEM);
}
