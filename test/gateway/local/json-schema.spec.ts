import { describe, expect, test } from 'vitest';
import { jsonSchemaRule } from '../../../src/gateway/local/json-schema.js';

const text = { type: 'string' };

describe('14.1: JSON Schema of arguments', () => {
  const cases: readonly (readonly [schema: object | boolean, value: unknown, problem?: string])[] =
    [
      [text, 'a'],
      [text, 1, 'x must be string'],
      [{ type: ['string', 'null'] }, null],
      [{ type: ['string', 'null'] }, 1, 'x must be string or null'],
      [{ type: 'integer' }, 1],
      [{ type: 'integer' }, 1.5, 'x must be integer'],
      [{ type: 'number' }, 1.5],
      [{ type: 'boolean' }, 'true', 'x must be boolean'],
      [{ type: 'array' }, {}, 'x must be array'],
      [{ type: 'object' }, [], 'x must be object'],
      [{ type: 'object' }, null, 'x must be object'],
      [{ enum: ['a', 1, null] }, null],
      [{ enum: ['a', 1] }, '1', 'x must be one of "a", 1'],
      [{ const: 'a' }, 'b', 'x must be one of "a"'],
      [{ properties: { a: text } }, { a: 1 }, 'x.a must be string'],
      [{ properties: { a: text } }, {}],
      [{ properties: { constructor: text } }, {}],
      [{ properties: { a: { properties: { b: text } } } }, { a: { b: 1 } }, 'x.a.b must be string'],
      [{ required: ['a'] }, {}, 'x.a is missing'],
      [{ required: ['toString'] }, {}, 'x.toString is missing'],
      [{ required: ['a'] }, 'no object'],
      [{ properties: { a: true }, additionalProperties: false }, { a: 1 }],
      [{ properties: { a: true }, additionalProperties: false }, { b: 1 }, 'x."b" is one too many'],
      [
        { additionalProperties: false },
        JSON.parse('{"__proto__":1}'),
        'x."__proto__" is one too many',
      ],
      [{ additionalProperties: text }, { b: 1 }, 'x."b" must be string'],
      [{ items: text }, ['a', 1], 'x.1 must be string'],
      [{ items: text }, {}],
      [{ minimum: 1 }, 0, 'x must be at least 1'],
      [{ maximum: 1 }, 1],
      [{ maximum: 1 }, 2, 'x must be at most 1'],
      [{ exclusiveMinimum: 1 }, 1, 'x must be more than 1'],
      [{ exclusiveMaximum: 1 }, 1, 'x must be less than 1'],
      [{ minimum: 1 }, 'no number'],
      [{ minLength: 2 }, '😀', 'x must have at least 2 characters'],
      [{ maxLength: 1 }, '😀'],
      [{ maxLength: 1 }, 'ab', 'x must have at most 1 characters'],
      [{ minItems: 1 }, [], 'x must have at least 1 entries'],
      [{ maxItems: 1 }, [1, 2], 'x must have at most 1 entries'],
      [{ maxItems: 1 }, 'no array'],
      [{ anyOf: [text, { type: 'null' }] }, null],
      [{ anyOf: [text, { type: 'null' }] }, 1, 'x must be string'],
      [{ oneOf: [text, { maxLength: 3 }] }, 'a', 'x fits more than one choice'],
      [{ oneOf: [text, { type: 'null' }] }, 'a'],
      [{ allOf: [text, { maxLength: 1 }] }, 'ab', 'x must have at most 1 characters'],
      [
        { ...text, title: 't', format: 'email', default: 'x', $schema: 's', 'x-mcp-header': 'D' },
        'a',
      ],
      [false, 1, 'x is one too many'],
    ];
  test.each(cases)('%j of %j: %s', (schema, value, problem) => {
    expect(jsonSchemaRule(schema)(value, 'x')).toBe(problem);
  });

  const refused: readonly (readonly [schema: unknown, problem: string])[] = [
    [{ pattern: 'a' }, '"pattern" is not checked'],
    [{ $ref: '#/a' }, '"$ref" is not checked'],
    [{ properties: { a: { not: {} } } }, '"not" is not checked'],
    [{ toString: {} }, '"toString" is not checked'],
    [{ type: 'text' }, 'there is no such type'],
    [{ type: 'constructor' }, 'there is no such type'],
    [{ enum: [{}] }, 'only texts'],
    [{ properties: [] }, 'properties: must be an object'],
    [{ required: [1] }, 'required: must be a list'],
    [{ minimum: '1' }, 'must be a number'],
    [{ minLength: -1 }, 'whole numbers'],
    [{ anyOf: [] }, 'must be lists'],
    [{ items: 1 }, 'a schema must be an object'],
  ];
  test.each(refused)('%j is refused when it is read', (schema, problem) => {
    expect(() => jsonSchemaRule(schema)).toThrow(problem);
  });
});
