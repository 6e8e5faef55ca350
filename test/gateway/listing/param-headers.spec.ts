import { expect, test } from 'vitest';
import { paramHeaders } from '../../../src/gateway/listing/param-headers.js';
import type { Item } from '../../../src/gateway/listing/stored-list.js';

const item = (properties: object) =>
  ({ text: JSON.stringify({ inputSchema: { properties } }) }) as Item;

test('14.3: headers repeat the arguments that the schema names, in the encoding of the transport', () => {
  const tool = item({
    region: { type: 'string', 'x-mcp-header': 'Region' },
    count: { type: 'integer', 'x-mcp-header': 'Count' },
    dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
    name: { type: 'string', 'x-mcp-header': 'Name' },
    empty: { type: 'string', 'x-mcp-header': 'Empty' },
    absent: { type: 'string', 'x-mcp-header': 'Absent' },
    list: { type: 'array', 'x-mcp-header': 'List' },
    where: { properties: { city: { type: 'string', 'x-mcp-header': 'City' } } },
    any: { anyOf: [{ type: 'string', 'x-mcp-header': 'Any' }] },
    wrong: { type: 'string', 'x-mcp-header': 'a b' },
  });
  const args = {
    ...{ region: 'eu', count: 3, dry: false, name: 'é', empty: '', list: [1] },
    ...{ where: { city: 'Paris' }, any: 'x', wrong: 'x' },
  };
  const expected = {
    'mcp-param-region': 'eu',
    'mcp-param-count': '3',
    'mcp-param-dry': 'false',
    'mcp-param-name': '=?base64?w6k=?=',
    'mcp-param-empty': '=?base64??=',
    'mcp-param-city': 'Paris',
  };
  expect(paramHeaders(tool, args)).toEqual(expected);
  expect(paramHeaders(tool, args)).toEqual(expected); // known by now
});

test('14.3: a tool without them has none', () => {
  expect(paramHeaders(item({ day: { type: 'string' } }), { day: 'fri' })).toEqual({});
  expect(paramHeaders(item({ day: { 'x-mcp-header': 'Day' } }), undefined)).toEqual({});
});
