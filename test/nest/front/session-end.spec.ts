import { afterEach, describe, expect, test } from 'vitest';
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { Controller, Delete, Req } from '@nestjs/common';
import { Public } from 'authplane-nestjs';
import { type Platform, platforms } from '../../support/nest/start-app.js';
import { type McpApp, request, startMcpApp } from '../../support/nest/mcp-app.js';

/** A Python that has the package `mcp`. */
const { AUTHPLANE_PYTHON: PYTHON } = process.env;
const run = promisify(execFile);

let server: McpApp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

@Controller('plain')
@Public()
class PlainController {
  @Delete()
  take(@Req() { body, raw, headers }: { body: unknown; raw?: object; headers: object }) {
    const { rawHeaders } = (raw ?? { rawHeaders: [] }) as { rawHeaders: string[] };
    return { body: body ?? null, headers, rawHeaders };
  }
}

async function start(platform: Platform): Promise<McpApp> {
  const metadata = { controllers: [PlainController] };
  server = await startMcpApp({ platform, host: 'SDK v1 with sessions', metadata });
  return server;
}

async function openSession({ post }: McpApp): Promise<string> {
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  };
  const { headers } = await post(request('initialize', params));
  return String(headers.get('mcp-session-id'));
}

/** These very header lines, and nothing that a client library adds. */
async function remove(path: string, lines: readonly string[], body = ''): Promise<string> {
  const { hostname, port } = new URL(server!.mcpUrl);
  const socket = connect(Number(port), hostname);
  const head = [`DELETE ${path} HTTP/1.1`, `Host: ${hostname}:${port}`, ...lines];
  socket.write(`${head.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

const statusOf = (answer: string) => Number(answer.split(' ', 2)[1]);

describe.each(platforms)('10.14b: the end of a session on %s', (platform) => {
  test('a DELETE as Python clients send it ends the session, for its caller only', async () => {
    const app = await start(platform);
    const id = await openSession(app);
    const lines = async (claims: Record<string, unknown>) => [
      'Accept: application/json, text/event-stream',
      'Content-Type: application/json',
      'mcp-protocol-version: 2025-11-25',
      `mcp-session-id: ${id}`,
      `Authorization: ${await app.bearer('', claims)}`,
    ];
    expect(statusOf(await remove('/mcp', await lines({ sub: 'mallory' })))).toBe(404);
    const bothLengths = [[], ['Content-Length: 0']];
    const statuses = [];
    for (const length of bothLengths) {
      statuses.push(statusOf(await remove('/mcp', [...(await lines({})), ...length])));
    }
    expect(statuses[0]).toBe(200);
    expect(statuses[1]).not.toBe(400); // it is over already
    expect((await app.post(request('ping'), { headers: { 'mcp-session-id': id } })).status).toBe(
      404,
    );
  });

  test('a body is read as ever, and judged', async () => {
    await start(platform);
    const json = ['Content-Type: application/json', 'mcp-session-id: any'];
    const whole = await remove('/plain', [...json, 'Content-Length: 7'], '{"a":1}');
    expect(whole).toContain('"body":{"a":1}');
    const coded = [...json, 'Transfer-Encoding: chunked'];
    expect(await remove('/plain', coded, '7\r\n{"a":1}\r\n0\r\n\r\n')).toContain('"body":{"a":1}');
    const broken = await remove('/plain', [...json, 'Content-Length: 2'], '{"');
    expect(statusOf(broken)).toBe(400);
  });

  (PYTHON === undefined ? test.skip : test)(
    `a session of the official Python client${PYTHON === undefined ? ' (set AUTHPLANE_PYTHON to a Python that has mcp)' : ''}`,
    async () => {
      const { mcpUrl, bearer } = await start(platform);
      const token = (await bearer()).replace('Bearer ', '');
      const args = ['test/support/python/end_session.py', mcpUrl, token];
      const { stdout } = await run(String(PYTHON), args, { timeout: 30_000 });
      expect(stdout).toBe('open ran\nDELETE 200\n');
    },
  );
});

test('10.14b: on Fastify the header is gone in both views, and only there', async () => {
  await start('fastify');
  const json = ['Content-Type: application/json', 'X-Other: 1', 'content-type: text/plain'];
  const ending = await remove('/plain', [...json, 'Mcp-Session-Id: any']);
  expect(statusOf(ending)).toBe(200);
  expect(ending.split('\r\n\r\n')[1]?.toLowerCase()).not.toContain('content-type');
  expect(ending).toContain('"X-Other","1"');
  expect(statusOf(await remove('/plain', json))).toBe(400); // no session: Fastify's own answer
});
