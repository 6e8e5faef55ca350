import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { McpServer } from '@modelcontextprotocol/server';
import { none } from 'authplane-nestjs/gateway';
import { z } from 'zod';
import { paramHeaders, requireParamHeaders } from '../../../src/gateway/listing/param-headers.js';
import type { Item } from '../../../src/gateway/listing/stored-list.js';
import { type GatewayApp, startGateway } from '../../support/gateway/gateway-app.js';
import { type RunningUpstream, startUpstream } from '../../support/gateway/upstream-servers.js';

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

test('14.4: headers of a client have to say what the body says', () => {
  const tool = item({
    name: { type: 'string', 'x-mcp-header': 'Name' },
    count: { type: 'number', 'x-mcp-header': 'Count' },
  });
  const check = (args: unknown, headers: Record<string, string>) => () =>
    requireParamHeaders(tool, args, headers);
  const fitting = [
    [
      { name: 'é', count: 42 },
      { 'mcp-param-name': '=?base64?w6k=?=', 'mcp-param-count': '42.0' },
    ],
    [{}, { 'mcp-param-name': 'ignored' }],
    [{ name: null, count: [] }, {}],
    [undefined, {}],
    [{ name: '' }, { 'mcp-param-name': '=?base64??=' }],
    [{ ['__proto__']: { name: 'x' } }, {}],
  ] as const;
  for (const [args, headers] of fitting) expect(check(args, headers)).not.toThrow();
  const wrong = [
    [{ name: 'a' }, {}, 'is missing'],
    [{ name: 'a' }, { 'mcp-param-name': 'b' }, 'differs'],
    [{ name: 'a' }, { 'mcp-param-name': '=?base64?!?=' }, 'differs'],
    [{ count: 0 }, { 'mcp-param-count': '' }, 'differs'],
    [{ count: 42 }, { 'mcp-param-count': '43' }, 'differs'],
    [{ name: '42' }, { 'mcp-param-name': '42.0' }, 'differs'],
  ] as const;
  for (const [args, headers, problem] of wrong) expect(check(args, headers)).toThrow(problem);
});

describe('14.4: Mcp-Param-* from end to end', () => {
  let upstream: RunningUpstream;
  let app: GatewayApp;
  beforeAll(async () => {
    upstream = await startUpstream(() => {
      const server = new McpServer({ name: 'regions', version: '1' });
      const region = z.string().meta({ 'x-mcp-header': 'Region' });
      server.registerTool('ask', { inputSchema: z.object({ region }) }, (args) => ({
        content: [{ type: 'text', text: args.region }],
      }));
      return server;
    });
    const { url } = upstream;
    app = await startGateway({
      gateway: {
        upstreams: {
          up: { url, token: none(), tools: { ask: { as: 'region' } } },
          hidden: { url, token: none(), tools: { ask: false } },
        },
      },
    });
  });
  afterAll(async () => {
    await app.close();
    await upstream.stop();
  });
  const calls = () => upstream.asked.filter(({ method }) => method === 'tools/call');

  test.each(['auto', 'legacy'] as const)(
    'a client (%s) reaches a server that checks them',
    async (mode) => {
      const client = await app.client(await app.token(), mode);
      await client.listTools();
      const result = await client.callTool({ name: 'region', arguments: { region: 'Zürich' } });
      expect(result.content).toEqual([{ type: 'text', text: 'Zürich' }]);
      const { headers, body } = calls().at(-1)!;
      expect(headers['mcp-param-region']).toBe(
        `=?base64?${Buffer.from('Zürich').toString('base64')}?=`,
      );
      expect(headers['mcp-name']).toBe('ask');
      expect(JSON.parse(body).params.name).toBe('ask');
      await client.close();
    },
  );

  test('a mismatch is refused before anything leaves', async () => {
    const before = calls().length;
    const params = { name: 'region', arguments: { region: 'eu' } };
    for (const headers of [{}, { 'mcp-param-region': 'us' }]) {
      const { status, json } = await app.ask('tools/call', params, { headers });
      expect([status, json.error.code]).toEqual([400, -32020]);
    }
    const named = { 'mcp-name': 'up__ask', 'mcp-param-region': 'eu' };
    expect((await app.ask('tools/call', params, { headers: named })).json.error.code).toBe(-32020);
    expect(calls()).toHaveLength(before);
    const right = await app.ask('tools/call', params, { headers: { 'mcp-param-region': 'eu' } });
    expect(right.json.result.content[0].text).toBe('eu');
  });

  test('a tool that is hidden is asked with no headers at all', async () => {
    const before = calls().length;
    const params = { name: 'hidden__ask', arguments: { region: 'eu' } };
    const { json } = await app.ask('tools/call', params, { headers: { 'mcp-param-region': 'eu' } });
    expect(json.error.code).toBe(-32602);
    expect(calls()).toHaveLength(before);
  });
});
