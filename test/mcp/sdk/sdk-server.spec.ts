import { CallToolRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { McpServer as McpServerV2, Server as ServerV2 } from '@modelcontextprotocol/server';
import { describe, expect, it } from 'vitest';
import {
  hasRegistrations,
  isCallable,
  isMethods,
  protocolOf,
  REGISTRATIONS,
} from '../../../src/mcp/sdk/sdk-server.js';

const INFO = { name: 'server', version: '1' };
const TOOLS = { capabilities: { tools: {} } };
const text = () => ({ content: [] });

/** Each server, and a way to register something on it. */
const servers: [string, () => object, (server: never) => void][] = [
  [
    'McpServer of v1',
    () => new McpServerV1(INFO),
    (server: McpServerV1) => server.registerTool('t', {}, text),
  ],
  [
    'McpServer of v2',
    () => new McpServerV2(INFO),
    (server: McpServerV2) => server.registerTool('t', {}, text),
  ],
  [
    'Server of v1',
    () => new ServerV1(INFO, TOOLS),
    (server: ServerV1) => server.setRequestHandler(CallToolRequestSchema, text),
  ],
  [
    'Server of v2',
    () => new ServerV2(INFO, TOOLS),
    (server: ServerV2) => server.setRequestHandler('tools/call', text),
  ],
];

describe.each(servers)('%s', (_, make, register) => {
  it('has a protocol object, itself or inside', () => {
    const server = make();
    const inner = 'server' in server ? server.server : server;
    expect(protocolOf(server, 'withConsent')).toBe(inner);
  });

  it('has registrations once something is registered', () => {
    const server = make();
    const has = () => hasRegistrations(server, protocolOf(server, 'scoped'));
    expect(has()).toBe(false);
    register(server as never);
    expect(has()).toBe(true);
  });
});

it.each([{}, { server: {} }, { setRequestHandler: 'x' }])('%o is no server', (server) => {
  expect(() => protocolOf(server, 'scoped')).toThrow(
    'authplane-nestjs: scoped: pass an McpServer or a Server of the MCP SDK',
  );
});

it('every public way to register is known, with what runs it', () => {
  const ways = Object.keys(REGISTRATIONS);
  const ofV1 = new McpServerV1(INFO) as unknown as Record<string, unknown>;
  expect(ways.filter((name) => !isCallable(ofV1[name]))).toEqual([]);
  const prototype = Object.getOwnPropertyNames(McpServerV1.prototype);
  const registering = prototype.filter((name) => /^register[A-Z]/.test(name));
  expect(registering.filter((name) => !ways.includes(name))).toEqual([]);
  expect(REGISTRATIONS['registerTool']).toEqual({ kind: 'tool', method: 'tools/call' });
  expect(REGISTRATIONS['prompt']).toEqual({ kind: 'prompt', method: 'prompts/get' });
  expect(REGISTRATIONS['resource']).toEqual({ kind: 'resource', method: 'resources/read' });
});

it('isCallable and isMethods', () => {
  expect([() => 1, class {}, {}, null].map(isCallable)).toEqual([true, true, false, false]);
  expect([{}, [], null, 'x', undefined].map(isMethods)).toEqual([true, true, false, false, false]);
});
