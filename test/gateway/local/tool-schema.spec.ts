import { describe, expect, test } from 'vitest';
import { fromJsonSchema } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { toolSchema } from '../../../src/gateway/local/tool-schema.js';

describe('14.1: schemas of arguments', () => {
  test('none takes no arguments', async () => {
    const { json, check } = toolSchema();
    expect(json).toEqual({ type: 'object', additionalProperties: false });
    expect(check({})).toEqual({ args: {} });
    for (const wrong of [{ a: 1 }, 'text', null, [], [1]]) {
      expect(check(wrong)).toEqual({ problem: 'it takes no arguments' });
    }
  });

  test('one of a library converts, and says where it does not fit', async () => {
    const { json, check } = toolSchema(
      z.object({ day: z.string().default('fri'), guests: z.array(z.object({ age: z.number() })) }),
    );
    expect(json).toMatchObject({ type: 'object', required: ['guests'] });
    expect(await check({ guests: [] })).toEqual({ args: { day: 'fri', guests: [] } });
    expect(await check({ guests: [{ age: 'x' }] })).toEqual({
      problem: expect.stringMatching(/^guests\.0\.age: /),
    });
  });

  test('the MCP SDK makes one of any JSON Schema, patterns included', async () => {
    const { json, check } = toolSchema(
      fromJsonSchema({ type: 'object', properties: { day: { type: 'string', pattern: '^fri$' } } }),
    );
    expect(json).toMatchObject({ properties: { day: { pattern: '^fri$' } } });
    expect(await check({ day: 'fri' })).toEqual({ args: { day: 'fri' } });
    expect(await check({ day: 'sat' })).toHaveProperty('problem');
  });

  test('what lists could not show, or nothing checks, is refused', () => {
    expect(() => toolSchema({ type: 'object' } as never)).toThrow('fromJsonSchema');
    expect(() => toolSchema(z.string() as never)).toThrow("of type 'object'");
    const validate = (value: unknown) => ({ value });
    expect(() => toolSchema({ '~standard': { validate } })).toThrow('gives no JSON Schema');
  });
});
