import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Injectable } from '@nestjs/common';
import { Allow } from 'authplane-nestjs';
import { GatewayTool, none } from 'authplane-nestjs/gateway';
import { z } from 'zod';
import { type GatewayApp, startGateway } from '../support/gateway/gateway-app.js';

const judged: unknown[] = [];
const ran: unknown[] = [];

@Injectable()
class Folders {
  @GatewayTool({
    name: 'empty',
    inputSchema: z.object({ folder: z.string().trim().toLowerCase().default('all') }),
  })
  @Allow(({ user }, asked) => {
    const { arguments: args } = (asked?.params ?? {}) as { arguments?: { folder?: string } };
    judged.push([user, args?.folder]);
    return args?.folder !== 'all';
  })
  empty({ folder }: { folder: string }): string {
    ran.push(folder);
    return folder;
  }
}

describe('what @Allow judges is what a tool of the gateway runs with', () => {
  let app: GatewayApp;
  let lookups = 0;
  beforeAll(async () => {
    app = await startGateway({
      options: { user: ({ sub }) => `user ${sub} ${++lookups}` },
      gateway: { upstreams: { up: { url: 'http://127.0.0.1:9/mcp', token: none() } } },
      metadata: { providers: [Folders] },
    });
  });
  afterAll(() => app.close());

  test.each([{}, { folder: ' all' }, { folder: 'ALL' }])('%j is all folders', async (args) => {
    const token = await app.token({ sub: 'ann' });
    const answer = await app.ask('tools/call', { name: 'empty', arguments: args }, { token });
    expect(answer.status).toBe(403);
    expect(ran).toEqual([]);
    expect(judged.at(-1)).toEqual([expect.stringContaining('user ann'), 'all']);
  });

  test('what its schema makes of other arguments runs; the user is looked up once', async () => {
    const before = lookups;
    const token = await app.token({ sub: 'ann' });
    const params = { name: 'empty', arguments: { folder: ' Trash ' } };
    const { json } = await app.ask('tools/call', params, { token });
    expect(json.result.content[0].text).toBe('trash');
    expect(judged).toContainEqual([`user ann ${before + 1}`, ' Trash ']);
    expect(judged).toContainEqual([`user ann ${before + 1}`, 'trash']);
    expect(lookups).toBe(before + 1);
  });
});
